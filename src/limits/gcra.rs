//! The generic cell rate algorithm, in this process: the same arithmetic as the script in Redis.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Rate;

/// The most buckets in memory; beyond that, those that are full again go, then any.
const MAX_BUCKETS: usize = 100_000;
const SHARDS: usize = 16;

/// All buckets of this process, by name.
pub struct Meter {
    shards: Vec<Mutex<HashMap<String, Duration>>>,
    hasher: RandomState,
}

impl Meter {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Takes a token, or returns how long to wait for one. `now` never runs backwards.
    pub fn take(&self, name: String, rate: Rate, now: Duration) -> Result<(), Duration> {
        let mut shard = self.shard(&name);
        // When the bucket will be full again.
        let full_at = shard.get(&name).copied().unwrap_or_default().max(now) + rate.step;
        let limit = now + rate.step * rate.burst;
        if full_at > limit {
            return Err(full_at.saturating_sub(limit));
        }
        if shard.len() >= MAX_BUCKETS / SHARDS && !shard.contains_key(&name) {
            make_room(&mut shard, now);
        }
        shard.insert(name, full_at);
        Ok(())
    }

    /// Gives tokens back.
    pub fn give_back(&self, name: &str, rate: Rate, tokens: u64, now: Duration) {
        let mut shard = self.shard(name);
        if let Some(full_at) = shard.get_mut(name) {
            *full_at = full_at.saturating_sub(rate.step * u32::try_from(tokens).unwrap_or(u32::MAX));
            if *full_at <= now {
                shard.remove(name);
            }
        }
    }

    fn shard(&self, name: &str) -> MutexGuard<'_, HashMap<String, Duration>> {
        let shard = usize::try_from(self.hasher.hash_one(name) % SHARDS as u64).unwrap_or_default();
        #[expect(clippy::indexing_slicing, reason = "there are SHARDS of them")]
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(shard: &mut HashMap<String, Duration>, now: Duration) {
    shard.retain(|_, full_at| *full_at > now);
    if shard.len() >= MAX_BUCKETS / SHARDS {
        // The fullest buckets first: one that has nearly all tokens back loses least by being forgotten.
        let mut ends: Vec<Duration> = shard.values().copied().collect();
        ends.sort_unstable();
        let median = ends.get(ends.len() / 2).copied().unwrap_or(now);
        shard.retain(|_, full_at| *full_at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 5, step: Duration::from_secs(60) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn exactly_the_burst_passes_then_one_a_step() {
        let meter = Meter::new();
        let passed = |now| (0..10).filter(|_| meter.take("a".into(), RATE, now).is_ok()).count();
        assert_eq!(passed(at(0)), 5);
        assert_eq!(meter.take("a".into(), RATE, at(10)), Err(at(50)));
        assert_eq!(passed(at(60)), 1);
        assert_eq!(passed(at(100_000)), 5);
        assert_eq!((0..10).filter(|_| meter.take("b".into(), RATE, at(0)).is_ok()).count(), 5);
    }

    #[test]
    fn a_token_given_back_was_never_taken() {
        let meter = Meter::new();
        for _ in 0..100 {
            assert!(meter.take("a".into(), RATE, at(0)).is_ok());
            meter.give_back("a", RATE, 1, at(0));
        }
    }

    #[test]
    fn memory_has_a_limit() {
        let meter = Meter::new();
        for number in 0..2 * MAX_BUCKETS {
            assert!(meter.take(number.to_string(), RATE, at(0)).is_ok());
        }
        assert!(meter.shards.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>() <= MAX_BUCKETS);
    }
}
