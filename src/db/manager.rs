//! The pool's way to make connections, and to know which are dead.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::TransactionManager;
use diesel::r2d2::{HandleError, ManageConnection, Pool, PoolError, PooledConnection};

use super::connecting::{Server, connect};
use super::connection::DbConnection;
use crate::config::DatabaseConfig;

/// How long a connection may stay idle: firewalls drop idle ones silently, some after four minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// On so many threads r2d2 makes the connections of one pool.
const CONNECTING_THREADS: usize = 3;
/// How many attempts to connect may hang, over all pools.
const MAX_HANGING: usize = 4 * CONNECTING_THREADS;
/// While somebody has been trying to connect for longer than this, the server is doubtful.
const PROMPT: Duration = Duration::from_millis(200);

/// A connection in the pool.
pub(super) struct Pooled {
    pub(super) conn: DbConnection,
    /// When it was made, in restarts of the server that we have noticed.
    pub(super) epoch: u64,
}

/// A pool, which makes its connections when they are needed.
pub(super) struct Connections {
    pool: Pool<Manager>,
    manager: Manager,
}

impl Connections {
    /// Gives a connection.
    ///
    /// # Errors
    /// When none is free, and none can be made, within three seconds.
    pub(super) fn get(&self) -> Result<PooledConnection<Manager>, PoolError> {
        self.pool.get()
    }

    /// Whether all of its threads hang while they connect: no client limits every step of that. Says so of a few pools only.
    pub(super) fn hangs(&self) -> bool {
        self.manager.attempts.number() >= CONNECTING_THREADS
            && self.manager.all_attempts.number() < MAX_HANGING
    }
}

/// Makes connections for a pool.
#[derive(Clone)]
pub(super) struct Manager {
    config: DatabaseConfig,
    epoch: Arc<AtomicU64>,
    /// Since when somebody has been trying to connect, if the server has not answered anybody since.
    trying_since: Arc<Mutex<Option<Instant>>>,
    /// For this pool.
    attempts: Attempts,
    /// For all that have been made.
    all_attempts: Attempts,
}

impl Manager {
    pub(super) fn new(config: DatabaseConfig, epoch: Arc<AtomicU64>) -> Self {
        Self {
            config,
            epoch,
            trying_since: Arc::default(),
            attempts: Attempts::default(),
            all_attempts: Attempts::default(),
        }
    }

    /// Builds a pool.
    pub(super) fn connections(&self) -> Connections {
        let manager = Self { attempts: Attempts::default(), ..self.clone() };
        let pool = Pool::builder()
            .max_size(self.config.pool_size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE_TIMEOUT))
            .connection_timeout(Duration::from_secs(3))
            .error_handler(Box::new(LogErrors))
            .build_unchecked(manager.clone());
        Connections { pool, manager }
    }

    fn trying_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.trying_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        let _attempts = [self.attempts.begin(), self.all_attempts.begin()];
        let epoch = self.epoch.load(Ordering::SeqCst);
        let since = *self.trying_since().get_or_insert_with(Instant::now);
        let server = if since.elapsed() > PROMPT { Server::Doubtful } else { Server::Good };
        let connected = connect(&self.config, server);
        // Also a refusal is an answer; but that of a probe only says that there was none.
        if connected.is_ok() || server == Server::Good {
            *self.trying_since() = None;
        }
        Ok(Pooled { conn: connected?, epoch })
    }

    /// Costs no trip: one connection that turned out dead condemns all that are as old.
    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Self::Error> {
        if pooled.epoch == self.epoch.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(diesel::r2d2::Error::QueryError(diesel::result::Error::BrokenTransactionManager))
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        type Transactions = <DbConnection as diesel::Connection>::TransactionManager;
        std::thread::panicking() || Transactions::is_broken_transaction_manager(&mut pooled.conn)
    }
}

/// How many attempts to connect are under way.
#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

impl Attempts {
    fn begin(&self) -> Attempt {
        self.0.fetch_add(1, Ordering::SeqCst);
        Attempt(self.clone())
    }

    fn number(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// One that is under way until this is dropped.
struct Attempt(Attempts);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Logs what goes wrong in the pool itself.
#[derive(Debug)]
struct LogErrors;

impl HandleError<diesel::r2d2::Error> for LogErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        // The outage that this makes is told once.
        log::debug!("no connection to the database: {error}");
    }
}
