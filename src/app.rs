//! The application: its parts, the order in which a request passes through them, and how it starts and stops.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpServer, web};

use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::hasher::Hasher;
use crate::housekeeping;
use crate::keys::Keys;
use crate::mail::courier::{Bell, Courier, HANDS};
use crate::mail::mailbox::SentMails;
use crate::records::pictures::Pictures;
use crate::site::{self, Snapshots};
use crate::web::fault::Fault;
use crate::web::limits::Limits;
use crate::web::redis_link::RedisLink;
use crate::web::{assets, frame, gate, routes, session};

/// Everything that handlers work with. Cheap to clone; each worker has its own.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// All keys.
    pub keys: Arc<Keys>,
    /// The one door to SQL.
    pub db: Db,
    /// The one door to bcrypt.
    pub hasher: Hasher,
    /// What time it is.
    pub clock: Clock,
    /// How often things may be done.
    pub limits: Limits,
    /// Where pictures lie.
    pub pictures: Pictures,
    /// Rings for the courier, and knows when the process ends.
    pub bell: Bell,
    /// The last numbers of the admin pages.
    pub snapshots: Snapshots,
    /// With `DEBUG`: what was sent.
    pub sent_mails: Option<SentMails>,
    /// This worker's link to Redis.
    pub redis: Option<RedisLink>,
}

impl App {
    /// Builds the application; connects to nothing yet.
    ///
    /// # Errors
    /// When a part cannot be made of the settings.
    pub fn new(config: Config, clock: Clock) -> Result<Self, Box<dyn std::error::Error>> {
        let keys = Keys::derive(&config.secret_keys);
        Ok(Self {
            db: Db::open(&config.database),
            hasher: Hasher::start(&config.passwords)?,
            limits: Limits::new(config.rate_limits, keys.limit, clock.clone()),
            pictures: Pictures::new(&config.media)?,
            bell: Bell::default(),
            snapshots: Snapshots::default(),
            sent_mails: config.debug.then(SentMails::default),
            redis: None,
            keys: Arc::new(keys),
            config: Arc::new(config),
            clock,
        })
    }

    /// The application that serves a request.
    ///
    /// # Errors
    /// Never, in a server that [`serve`] built.
    pub fn of(req: &HttpRequest) -> Result<web::Data<Self>, Fault> {
        req.app_data::<web::Data<Self>>().cloned().ok_or_else(|| Fault::Internal("no application".to_owned()))
    }

    /// The same application with a link to Redis of its own: one connection per worker needs no lock and wakes
    /// no other thread.
    fn for_worker(&self) -> Self {
        let redis = self.config.redis.as_ref().and_then(|config| match RedisLink::new(config) {
            Ok(link) => Some(link),
            Err(error) => {
                log::error!("REDIS_URL cannot be used: {error}");
                None
            }
        });
        Self { limits: self.limits.clone().shared_by(redis.clone()), redis, ..self.clone() }
    }
}

/// Serves until it is stopped, then lets what is under way finish.
///
/// # Errors
/// When the listener or the way out for mail cannot be used.
pub async fn serve(app: App, listener: TcpListener, on_start: impl FnOnce(ServerHandle)) -> io::Result<()> {
    let couriers = if app.config.mail.courier { start_couriers(&app)? } else { Vec::new() };
    let housekeeper = actix_web::rt::spawn(housekeeping::work(app.clone()));
    let template = app.clone();
    let server = HttpServer::new(move || {
        let app = template.for_worker();
        let session = session::layer(&app, app.redis.clone());
        let data = web::Data::new(app);
        actix_web::App::new()
            .app_data(web::Data::clone(&data))
            .wrap(from_fn(gate::keep))
            .wrap(from_fn(frame::draw))
            .configure(site::health::routes)
            .service(routes::page(crate::paths::route::STATIC, assets::serve))
            .service(
                web::scope("")
                    .wrap(session)
                    .wrap(from_fn(session::around))
                    .configure(|routes| site::routes(routes, &data.config))
                    .default_service(web::to(routes::nowhere)),
            )
            .default_service(web::to(routes::nowhere))
    })
    // Answers made of several writes would otherwise wait 40 ms for the client's acknowledgement.
    .tcp_nodelay(true)
    // The database is all that may block them, and it has as many connections.
    .worker_max_blocking_threads(2)
    .max_connections(1024)
    .client_request_timeout(Duration::from_secs(5))
    .keep_alive(Duration::from_secs(15))
    .shutdown_timeout(30)
    .disable_signals()
    .listen(listener)?
    .run();
    on_start(server.handle());
    let bell = app.bell.clone();
    server.await?;
    bell.stop();
    housekeeper.abort();
    for courier in couriers {
        if let Err(error) = courier.await {
            log::error!("a courier ended early: {error}");
        }
    }
    Ok(())
}

/// Starts this process' couriers on the current thread.
///
/// # Errors
/// When the settings name no way out for mail.
pub fn start_couriers(app: &App) -> io::Result<Vec<actix_web::rt::task::JoinHandle<()>>> {
    let parts = (app.db.clone(), app.clock.clone(), app.bell.clone());
    let courier =
        Courier::new(&app.config, &app.keys, parts, app.sent_mails.clone()).map_err(io::Error::other)?;
    let courier = Arc::new(courier);
    let hand = || {
        let courier = Arc::clone(&courier);
        actix_web::rt::spawn(async move { courier.work().await })
    };
    Ok((0..HANDS).map(|_| hand()).collect())
}
