//! A worker's own connection to SQLite: a row by a unique key is found at once, on the thread that serves everybody else, and without
//! waiting for one that another worker has in hand.

use std::sync::{Arc, Mutex};

use diesel::QueryResult;
use diesel::r2d2::ManageConnection;

use super::Error;
use super::connection::DbConnection;
use super::manager::{Manager, Pooled};

/// The connection, opened when first needed.
pub(super) struct Inline {
    manager: Manager,
    own: Mutex<Option<Pooled>>,
}

impl Inline {
    pub(super) fn new(manager: Manager) -> Arc<Self> {
        Arc::new(Self { manager, own: Mutex::new(None) })
    }

    /// One for another worker.
    pub(super) fn another(&self) -> Arc<Self> {
        Self::new(self.manager.clone())
    }

    /// Runs a query; `None` where there is no connection, or somebody else has it: a thread that serves never waits.
    pub(super) fn run<T>(
        &self,
        query: impl FnOnce(&mut DbConnection) -> QueryResult<T>,
    ) -> Option<Result<T, Error>> {
        let mut own = self.own.try_lock().ok()?;
        let mut pooled = match own.take() {
            Some(pooled) => pooled,
            // Why it cannot be opened is told by whoever asks the pool next.
            None => self.manager.connect().ok()?,
        };
        let answer = query(&mut pooled.conn).map_err(Error::from);
        if !answer.as_ref().is_err_and(Error::is_lost) {
            *own = Some(pooled);
        }
        Some(answer)
    }
}
