//! The requests that hashing gives way to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long hashing goes on before it looks for requests that have arrived: by the clock, also while others have the core.
const SPELL: Duration = Duration::from_micros(500);
/// The rest that one request is worth, shared by all threads: about twice the processor time of a page on PostgreSQL, here and
/// in the database.
const REST_OF_ALL: Duration = Duration::from_micros(200);
/// The shortest rest: the system stretches anything shorter. Less than this is saved up.
const SHORTEST_REST: Duration = Duration::from_micros(100);
/// The longest rest after a spell. It leaves hashing a third of the time, so no flood of requests stops sign-ins.
const LONGEST_REST: Duration = Duration::from_millis(1);

/// The requests that hashing gives way to, counted.
pub struct Traffic {
    requests: AtomicU32,
    /// How long one thread rests for each.
    rest: Duration,
    /// How often it was asked whether a rest is due: after each round.
    #[cfg(test)]
    pub rounds: AtomicU32,
}

impl Traffic {
    /// Starts counting, for that many threads.
    pub fn new(threads: usize) -> Self {
        let threads = u32::try_from(threads.max(1)).unwrap_or(u32::MAX);
        Self {
            requests: AtomicU32::new(0),
            rest: REST_OF_ALL / threads,
            #[cfg(test)]
            rounds: AtomicU32::new(0),
        }
    }

    /// Counts a request.
    pub fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins a piece of work that rests for requests that arrive from now on.
    pub fn rests(&self) -> Rests<'_> {
        Rests { traffic: self, seen: self.so_far(), since: Instant::now() }
    }

    /// Tells how many have arrived.
    pub fn so_far(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The rests of one piece of work.
pub struct Rests<'a> {
    traffic: &'a Traffic,
    /// How many requests had arrived when the last rest began.
    seen: u32,
    /// When it began to work again.
    since: Instant,
}

impl Rests<'_> {
    /// Rests if that is due. Cheap to call often: it reads a clock and a counter.
    pub fn rest_if_due(&mut self) {
        #[cfg(test)]
        self.traffic.rounds.fetch_add(1, Ordering::Relaxed);
        let Some(rest) = self.due_after(self.since.elapsed()) else { return };
        #[expect(clippy::disallowed_methods, reason = "the threads of the hasher serve nobody else")]
        std::thread::sleep(rest);
        self.since = Instant::now();
    }

    /// Says how long to rest when so much time has passed, for the requests that have arrived since the last rest began.
    fn due_after(&mut self, passed: Duration) -> Option<Duration> {
        if passed < SPELL {
            return None;
        }
        let so_far = self.traffic.so_far();
        // The counter wraps around.
        let owed = self.traffic.rest.saturating_mul(so_far.wrapping_sub(self.seen));
        if owed < SHORTEST_REST {
            return None;
        }
        self.seen = so_far;
        Some(owed.min(LONGEST_REST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashing_rests_for_each_request_and_never_for_long() {
        let traffic = Traffic { requests: AtomicU32::new(u32::MAX - 1), ..Traffic::new(4) };
        let mut rests = traffic.rests();
        let mut due = |requests: u32, passed| {
            (0..requests).for_each(|_| traffic.count());
            rests.due_after(passed)
        };
        assert_eq!(due(0, SPELL), None, "nobody asks");
        assert_eq!(due(1, SPELL), None, "too little to rest for");
        // The counter wraps around here.
        assert_eq!(due(2, SPELL), Some(3 * REST_OF_ALL / 4), "four threads share it");
        assert_eq!(due(0, SPELL), None, "each request counts once");
        assert_eq!(due(5000, SPELL / 2), None, "it has hardly begun");
        assert_eq!(due(0, SPELL), Some(LONGEST_REST));
    }
}
