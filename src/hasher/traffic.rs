//! The requests that hashing gives way to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The longest that hashing works without looking who came.
const SPELL: Duration = Duration::from_micros(500);
/// How long it rests for each who came: what a page takes.
const REST: Duration = Duration::from_micros(100);
/// The longest rest after a spell. It leaves a third of the time: no flood of requests keeps people from signing in.
const LONGEST_REST: Duration = Duration::from_millis(1);

/// How many requests have come.
#[derive(Default)]
pub struct Traffic(AtomicU32);

impl Traffic {
    /// Counts one.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins a piece of work that rests for those who come from now on.
    pub fn rests(&self) -> Rests<'_> {
        Rests { traffic: self, seen: self.so_far(), since: Instant::now() }
    }

    fn so_far(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The rests of one piece of work.
pub struct Rests<'a> {
    traffic: &'a Traffic,
    /// How many had come at the last rest.
    seen: u32,
    /// When it ended.
    since: Instant,
}

impl Rests<'_> {
    /// Rests if that is due. Called often, it looks at the clock and no more.
    pub fn rest_if_due(&mut self) {
        if self.since.elapsed() < SPELL {
            return;
        }
        let rest = self.rest_after(self.traffic.so_far());
        if !rest.is_zero() {
            #[expect(clippy::disallowed_methods, reason = "the threads of the hasher serve nobody else")]
            std::thread::sleep(rest);
        }
        self.since = Instant::now();
    }

    /// For how long to rest when so many have come. Those who come meanwhile count for the next time.
    fn rest_after(&mut self, so_far: u32) -> Duration {
        let came = so_far.wrapping_sub(self.seen);
        self.seen = so_far;
        (REST * came.min(1000)).min(LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_rests_for_who_came_and_never_for_long() {
        let traffic = Traffic(AtomicU32::new(u32::MAX - 1));
        let mut rests = traffic.rests();
        assert_eq!(rests.rest_after(traffic.so_far()), Duration::ZERO, "nobody came");
        // Past the largest number, too.
        (0..3).for_each(|_| traffic.count());
        assert_eq!(rests.rest_after(traffic.so_far()), 3 * REST);
        assert_eq!(rests.rest_after(traffic.so_far()), Duration::ZERO, "each counts once");
        (0..5000).for_each(|_| traffic.count());
        assert_eq!(rests.rest_after(traffic.so_far()), LONGEST_REST);
    }
}
