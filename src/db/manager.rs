//! The pool's way to make connections, and to know which are dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel::r2d2::{HandleError, ManageConnection, Pool};

use super::connecting::{Server, connect};
use super::connection::DbConnection;
use crate::config::DatabaseConfig;

/// How long a connection may be unused: firewalls forget one in silence, some after four minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// A connection in the pool.
pub(super) struct Pooled {
    pub(super) conn: DbConnection,
    /// When it was made, in restarts of the server that we have noticed.
    pub(super) epoch: u64,
}

/// Makes connections for the pool.
#[derive(Clone)]
pub(super) struct Manager {
    config: DatabaseConfig,
    epoch: Arc<AtomicU64>,
    /// Whether somebody is connecting, or could not.
    is_connecting: Arc<AtomicBool>,
}

impl Manager {
    pub(super) fn new(config: DatabaseConfig, epoch: Arc<AtomicU64>) -> Self {
        Self { config, epoch, is_connecting: Arc::default() }
    }

    /// Builds a pool, which makes its connections when they are needed.
    pub(super) fn pool(&self) -> Pool<Self> {
        Pool::builder()
            .max_size(self.config.pool_size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE_TIMEOUT))
            .connection_timeout(Duration::from_secs(3))
            .error_handler(Box::new(LogErrors))
            .build_unchecked(self.clone())
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let is_doubtful = self.is_connecting.swap(true, Ordering::SeqCst);
        let conn = connect(&self.config, if is_doubtful { Server::Doubtful } else { Server::Good })?;
        self.is_connecting.store(false, Ordering::SeqCst);
        Ok(Pooled { conn, epoch })
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

/// Logs what goes wrong in the pool itself.
#[derive(Debug)]
struct LogErrors;

impl HandleError<diesel::r2d2::Error> for LogErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        // The outage that this makes is told once.
        log::debug!("no connection to the database: {error}");
    }
}
