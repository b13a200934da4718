//! The pool's way to make connections, and to know which are dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diesel::connection::TransactionManager;
use diesel::r2d2::ManageConnection;

use super::connecting::connect;
use super::connection::DbConnection;
use crate::config::DatabaseConfig;

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
}

impl Manager {
    pub(super) fn new(config: DatabaseConfig, epoch: Arc<AtomicU64>) -> Self {
        Self { config, epoch }
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        Ok(Pooled { conn: connect(&self.config)?, epoch })
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
