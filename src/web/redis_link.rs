//! One worker's connection to Redis: made when first needed, given up at the first trouble, tried again soon.
//!
//! A breaker keeps a Redis that hangs from holding every request for the whole timeout: after a failure the
//! link answers "away" at once, until it is time for one more try.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError};
use secrecy::ExposeSecret;

use crate::config::RedisConfig;

const RESPONSE_TIMEOUT: Duration = Duration::from_millis(400);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a link that failed stays shut.
const COOLING: Duration = Duration::from_millis(300);

/// Redis does not answer.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("Redis does not answer")]
pub struct Away;

/// A worker's link to Redis.
#[derive(Clone)]
pub struct RedisLink {
    client: Client,
    prefix: Arc<str>,
    state: Arc<Mutex<State>>,
    connecting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    shut_until: Option<Instant>,
    was_away: bool,
}

impl RedisLink {
    /// A link that connects when first used.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(config: &RedisConfig) -> Result<Self, RedisError> {
        let settings = TcpSettings::default().set_nodelay(true);
        let info = config.url.expose_secret().into_connection_info()?.set_tcp_settings(settings);
        Ok(Self {
            client: Client::open(info)?,
            prefix: config.prefix.as_str().into(),
            state: Arc::default(),
            connecting: Arc::default(),
        })
    }

    /// The full name of a key.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Runs `call` on the connection.
    ///
    /// # Errors
    /// [`Away`] when there is no answer in time, or one that means that Redis cannot serve now.
    pub async fn run<T>(
        &self,
        call: impl AsyncFn(MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Away> {
        match call(self.connection().await?).await {
            // Redis closed it, to start again or because it was idle: that alone is no trouble.
            Err(error) if error.is_connection_dropped() => {
                self.lock().connection = None;
                call(self.connection().await?).await
            }
            answered => answered,
        }
        .map_err(|error| self.fail(&error))
    }

    /// Whether Redis answers at all.
    pub async fn answers(&self) -> bool {
        self.run(async |mut conn| redis::cmd("PING").query_async::<String>(&mut conn).await).await.is_ok()
    }

    async fn connection(&self) -> Result<MultiplexedConnection, Away> {
        if let Some(connection) = self.open()? {
            return Ok(connection);
        }
        // One connects; whoever comes meanwhile waits for what it finds.
        let _turn = self.connecting.lock().await;
        if let Some(connection) = self.open()? {
            return Ok(connection);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        match self.client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => {
                let mut state = self.lock();
                state.connection = Some(connection.clone());
                state.shut_until = None;
                if std::mem::take(&mut state.was_away) {
                    log::info!("Redis is back");
                }
                Ok(connection)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// The connection, if there is one; nothing when it is time to make one.
    fn open(&self) -> Result<Option<MultiplexedConnection>, Away> {
        let state = self.lock();
        match (&state.connection, state.shut_until) {
            (Some(connection), _) => Ok(Some(connection.clone())),
            (None, Some(until)) if Instant::now() < until => Err(Away),
            (None, _) => Ok(None),
        }
    }

    /// What it says (that it is loading, or out of memory) is its answer to one call; silence shuts the link.
    fn fail(&self, error: &RedisError) -> Away {
        if !(error.is_io_error() || error.is_timeout()) {
            log::warn!("Redis refused: {error}");
            return Away;
        }
        let mut state = self.lock();
        state.connection = None;
        state.shut_until = Some(Instant::now() + COOLING);
        if !std::mem::replace(&mut state.was_away, true) {
            log::warn!("Redis does not answer: {error}");
        }
        Away
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
