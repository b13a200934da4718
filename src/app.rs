//! The parts of the running program, and nothing else.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{Config, TransportKind};
use crate::courier::{CourierParts, SentMails, Shutdown, Wakeup};
use crate::db::Db;
use crate::hasher::Hasher;
use crate::keys::Keys;
use crate::limits::Limits;
use crate::passkeys::Passkeys;
use crate::pictures::Pictures;
use crate::places::Places;
use crate::readiness::ReadinessProbe;
use crate::redis_connection::RedisConnection;
use crate::statistics::Statistics;

/// Everything that handlers work with. Cheap to clone; each worker has its own.
#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub keys: Arc<Keys>,
    pub db: Db,
    /// The hashing threads.
    pub hasher: Hasher,
    pub clock: Clock,
    /// How often things may be done.
    pub limits: Limits,
    pub pictures: Pictures,
    /// Where people may sign in with them.
    pub passkeys: Option<Passkeys>,
    /// Where IP addresses are, where the operator gave a database.
    pub places: Option<Places>,
    /// Whether this process can serve.
    pub readiness: ReadinessProbe,
    pub wakeup: Wakeup,
    /// Knows when the process is to end.
    pub shutdown: Shutdown,
    /// The numbers of the admin pages.
    pub statistics: Statistics,
    /// With `DEBUG`: what was sent.
    pub sent_mails: Option<SentMails>,
    /// The connection to Redis, if sessions and limits are kept there.
    pub redis: Option<RedisConnection>,
}

impl App {
    /// Builds the program; connects to nothing yet.
    ///
    /// # Errors
    /// When a part cannot be made of the settings.
    pub fn new(config: Config, clock: Clock) -> Result<Self, Box<dyn std::error::Error>> {
        let keys = Keys::derive(&config.secret_keys);
        let db = Db::open(&config.database);
        Ok(Self {
            hasher: Hasher::new(&config.passwords),
            limits: Limits::new(config.limits.clone(), keys.limit, clock.clone()),
            pictures: Pictures::new(&config.media)?,
            passkeys: Passkeys::of(&config)?,
            places: config.geoip_database.as_deref().map(open_places).transpose()?,
            readiness: ReadinessProbe::default(),
            wakeup: Wakeup::default(),
            shutdown: Shutdown::default(),
            statistics: Statistics::new(db.clone(), clock.clone()),
            sent_mails: config.debug.then(|| match &config.mail.transport {
                TransportKind::File(folder) => SentMails::in_folder(folder),
                TransportKind::Smtp(_) | TransportKind::Console => SentMails::default(),
            }),
            redis: config.redis.as_ref().map(RedisConnection::new).transpose()?,
            keys: Arc::new(keys),
            config: Arc::new(config),
            db,
            clock,
        })
    }

    /// Gives a worker its own connections, so that it needs no lock and wakes no other thread.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "one was already prepared from the same settings"
    )]
    pub fn for_worker(&self) -> Self {
        let redis = self.config.redis.as_ref();
        let redis = redis.map(|config| RedisConnection::new(config).expect("settings of Redis"));
        Self {
            db: self.db.for_worker(),
            limits: self.limits.clone().shared_by(redis.clone()),
            redis,
            ..self.clone()
        }
    }

    /// Ends the process in good order: what is under way is finished.
    pub fn begin_shutdown(&self) {
        self.shutdown.begin(&self.wakeup);
    }

    /// The parts that a courier works with.
    pub fn courier_parts(&self) -> CourierParts {
        CourierParts {
            db: self.db.clone(),
            clock: self.clock.clone(),
            wakeup: self.wakeup.clone(),
            shutdown: self.shutdown.clone(),
            sent: self.sent_mails.clone(),
        }
    }
}

fn open_places(file: &Path) -> Result<Places, String> {
    Places::open(file).map_err(|error| format!("GEOIP_DATABASE {} cannot be used: {error}", file.display()))
}
