//! The only place that asks what time it is. Every rule gets the time as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::identity::Moment;

/// The system's clock, which a test may move.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    moved_seconds: Arc<AtomicU64>,
    /// By how much the wall clock is wrong, as far as a test says so.
    wrong_seconds: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock as it is.
    pub fn system() -> Self {
        Self { started: Instant::now(), moved_seconds: Arc::default(), wrong_seconds: Arc::default() }
    }

    /// The wall clock, for everything that is stored.
    #[expect(clippy::disallowed_methods, reason = "this is the one caller")]
    pub fn now(&self) -> Moment {
        let wrong = self.wrong_seconds.load(Ordering::Relaxed);
        let ahead = wrong.saturating_add_unsigned(self.moved().as_secs());
        let (now, by) = (Moment::new(OffsetDateTime::now_utc()), Duration::from_secs(ahead.unsigned_abs()));
        match ahead {
            0 => now,
            1.. => now.plus(by),
            ..0 => now.minus(by),
        }
    }

    /// Time since the start, which never runs backwards: for limits in this process.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed() + self.moved()
    }

    /// Lets time pass at once: how tests wait.
    pub fn advance(&self, span: Duration) {
        self.moved_seconds.fetch_add(span.as_secs(), Ordering::SeqCst);
    }

    /// Sets the wall clock ahead or back of what it should say, as a machine's clock may be: no time passes.
    pub fn set_wrong_by(&self, seconds: i64) {
        self.wrong_seconds.store(seconds, Ordering::SeqCst);
    }

    fn moved(&self) -> Duration {
        Duration::from_secs(self.moved_seconds.load(Ordering::Relaxed))
    }
}
