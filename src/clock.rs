//! The only place that asks what time it is. Every rule gets the time as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::identity::Moment;

/// The system's clock, which a test may move forward.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    moved_seconds: Arc<AtomicU64>,
}

impl Clock {
    /// The system's clock as it is.
    pub fn system() -> Self {
        Self { started: Instant::now(), moved_seconds: Arc::default() }
    }

    /// The wall clock, for everything that is stored.
    #[expect(clippy::disallowed_methods, reason = "this is the one caller")]
    pub fn now(&self) -> Moment {
        Moment::new(OffsetDateTime::now_utc()).plus(self.moved())
    }

    /// Time since the start, which never runs backwards: for limits in this process.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed() + self.moved()
    }

    /// Lets time pass at once: how tests wait.
    pub fn advance(&self, span: Duration) {
        self.moved_seconds.fetch_add(span.as_secs(), Ordering::SeqCst);
    }

    fn moved(&self) -> Duration {
        Duration::from_secs(self.moved_seconds.load(Ordering::Relaxed))
    }
}
