//! One line in the log when the database stops working, and one when it works again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;

/// Since when the database is known not to work.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<Option<Instant>>>);

impl Outage {
    /// Whether one is known.
    pub(super) fn is_on(&self) -> bool {
        self.lock().is_some()
    }

    /// Begins with an error that is about the database as a whole, if it has not begun yet.
    pub(super) fn begin(&self, error: &Error) {
        let mut since = self.lock();
        if let (None, Error::Unavailable(why) | Error::Lost(why)) = (*since, error) {
            log::warn!("the database is unavailable: {why}");
            *since = Some(Instant::now());
        }
    }

    /// Ends.
    pub(super) fn end(&self) {
        if let Some(since) = self.lock().take() {
            let seconds = since.elapsed().max(Duration::from_secs(1)).as_secs();
            log::info!("the database is available again, after {seconds} s");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
