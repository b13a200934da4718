//! One line in the log when the database stops working, and one when it works again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Error;

/// Whether the database works, as far as we have noticed.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<Option<Since>>>);

struct Since {
    began: Instant,
    /// Whether reads went on.
    writes_only: bool,
}

/// What was shown by a piece of work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Read,
    Written,
}

impl Outage {
    /// Whether writes are known not to work.
    pub(super) fn is_on(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Notes how a piece of work went.
    pub(super) fn note(&self, error: Option<&Error>, proof: Proof) {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(Error::Unavailable(why) | Error::Lost(why)) if since.is_none() => {
                log::warn!("the database is unavailable: {why}");
                *since = Some(Since { began: Instant::now(), writes_only: why.contains("read") });
            }
            Some(_) => {}
            None => {
                let is_over = |since: &Since| proof == Proof::Written || !since.writes_only;
                if let Some(since) = since.take_if(|since| is_over(since)) {
                    let seconds = since.began.elapsed().max(Duration::from_secs(1)).as_secs();
                    log::info!("the database is available again, after {seconds} s");
                }
            }
        }
    }
}
