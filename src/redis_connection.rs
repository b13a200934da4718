//! One worker's connection to Redis: made when first needed, given up at the first failure, tried again soon.
//!
//! A breaker keeps a Redis that hangs from holding every request for the whole timeout: after a failure the
//! connection answers "unavailable" at once, until it is time for one more try.

mod source;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::RedisError;

pub use source::AnyConnection;
use source::Source;

use crate::config::RedisConfig;
use crate::identity::random_name;

/// How long nobody tries again after a failure.
const COOLING: Duration = Duration::from_millis(300);

/// While a server of a cluster is silent, the cluster's connection is replaced at most this often: a new one learns which servers serve
/// now.
const RENEWAL: Duration = Duration::from_secs(1);

/// How a Redis begins what it says when it is not, or not any more, the one that keeps our keys: a replica, a node of a cluster, one
/// that starts, one whose passwords have changed.
const NOT_ME: [&str; 9] =
    ["READONLY", "MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "NOAUTH", "WRONGPASS", "NOREPLICAS"];

/// Redis does not answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("Redis does not answer")]
pub struct Unavailable;

/// A worker's connection to Redis.
#[derive(Clone)]
pub struct RedisConnection {
    prefix: Arc<str>,
    state: Arc<Mutex<State>>,
    source: Arc<tokio::sync::Mutex<Source>>,
}

#[derive(Default)]
struct State {
    connection: Option<AnyConnection>,
    closed_until: Option<Instant>,
    /// When a cluster's connection was replaced last.
    renewed_at: Option<Instant>,
    was_away: bool,
}

impl RedisConnection {
    /// Prepares a connection that is made when first used.
    ///
    /// # Errors
    /// When an address is none.
    pub fn new(config: &RedisConfig) -> Result<Self, RedisError> {
        Ok(Self {
            prefix: config.prefix.as_str().into(),
            state: Arc::default(),
            source: Arc::new(tokio::sync::Mutex::new(Source::new(&config.place)?)),
        })
    }

    /// Puts the prefix in front of a key.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs `call` on the connection.
    ///
    /// # Errors
    /// [`Unavailable`] when there is no answer in time, or one that means that Redis cannot serve now.
    pub async fn run<T>(
        &self,
        call: impl AsyncFn(AnyConnection) -> Result<T, RedisError>,
    ) -> Result<T, Unavailable> {
        match call(self.connection().await?).await {
            // Redis closed it, to start again or because it was idle: that alone is no failure.
            Err(error) if error.is_connection_dropped() => {
                self.lock().connection = None;
                call(self.connection().await?).await
            }
            answered => answered,
        }
        .inspect(|_| self.note_answer())
        .map_err(|error| self.fail(&error))
    }

    /// Proves that sessions can be kept: writes a key, reads it and takes it away again.
    ///
    /// # Errors
    /// What Redis said, or that it said nothing.
    pub async fn prove(&self) -> Result<(), String> {
        let name = self.key(&format!("check:{}", random_name()));
        let mut all = redis::pipe();
        // As long as some hundred sessions: one more byte may fit where no session does.
        all.cmd("SET").arg(&name).arg(vec![b'-'; 64 * 1024]).arg("EX").arg(60).ignore();
        all.cmd("GET").arg(&name).cmd("EXPIRE").arg(&name).arg(60).ignore().cmd("DEL").arg(&name).ignore();
        let why = std::cell::RefCell::new("no answer".to_owned());
        let proved = self.run(async |mut conn| {
            let answer = all.query_async::<(Option<String>,)>(&mut conn).await;
            answer.inspect_err(|error| *why.borrow_mut() = told(error))
        });
        proved.await.map(drop).map_err(|_| why.take())
    }

    /// Whether [`Self::prove`] does.
    pub async fn works(&self) -> bool {
        self.prove().await.is_ok()
    }

    async fn connection(&self) -> Result<AnyConnection, Unavailable> {
        if let Some(connection) = self.open()? {
            return Ok(connection);
        }
        // One connects; those who come in the meantime wait for what it finds.
        let mut source = self.source.lock().await;
        if let Some(connection) = self.open()? {
            return Ok(connection);
        }
        match source.connect().await {
            Ok(connection) => {
                let mut state = self.lock();
                state.connection = Some(connection.clone());
                state.closed_until = None;
                Ok(connection)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// The connection, if there is one; nothing when it is time to make one.
    fn open(&self) -> Result<Option<AnyConnection>, Unavailable> {
        let state = self.lock();
        match (&state.connection, state.closed_until) {
            (Some(connection), _) => Ok(Some(connection.clone())),
            (None, Some(until)) if Instant::now() < until => Err(Unavailable),
            (None, _) => Ok(None),
        }
    }

    /// Opens the breaker where another connection may lead to a Redis that serves us: after silence, and after an answer that means
    /// "not me any more". What else it says (that it is out of memory) is its answer to one call.
    fn fail(&self, error: &RedisError) -> Unavailable {
        let mut state = self.lock();
        let is_elsewhere = codes(error).iter().any(|code| NOT_ME.contains(&code.as_str()));
        let is_silent = error.is_io_error() || error.is_timeout();
        // Most servers of a cluster serve while one is silent.
        let is_cluster = matches!(state.connection, Some(AnyConnection::Cluster(_)));
        if is_cluster && is_silent {
            if state.renewed_at.is_none_or(|at| at.elapsed() > RENEWAL) {
                actix_web::rt::spawn(self.clone().renew());
            }
        } else if !is_cluster && (is_silent || is_elsewhere) {
            state.connection = None;
            state.closed_until = Some(Instant::now() + COOLING);
        }
        if !std::mem::replace(&mut state.was_away, true) {
            log::warn!("Redis is unavailable: {}", told(error));
        }
        Unavailable
    }

    /// Makes a new connection while the old one stays in use. A cluster's connection finds its way by itself when a server says so or
    /// hangs up, but waits for a silent one until TCP gives up.
    async fn renew(self) {
        // One at a time: whoever has lost the connection altogether waits for it, too.
        let Ok(mut source) = self.source.try_lock() else { return };
        let renewed = source.connect().await;
        let mut state = self.lock();
        state.renewed_at = Some(Instant::now());
        match renewed {
            Ok(connection) => state.connection = Some(connection),
            Err(error) => log::debug!("cannot reconnect to the Redis cluster: {}", told(&error)),
        }
    }

    fn note_answer(&self) {
        if std::mem::take(&mut self.lock().was_away) {
            log::info!("Redis is available again");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How Redis began what it said, to one command or to several that were sent together.
fn codes(error: &RedisError) -> Vec<String> {
    let answers = error.clone().into_server_errors();
    answers.iter().flat_map(|answers| answers.iter()).map(|(_, answer)| answer.code().to_owned()).collect()
}

/// What Redis said, once.
fn told(error: &RedisError) -> String {
    let answers = error.clone().into_server_errors();
    match answers.as_ref().and_then(|answers| answers.first()) {
        Some((_, answer)) => format!("{} {}", answer.code(), answer.details().unwrap_or_default()),
        None => error.to_string(),
    }
}
