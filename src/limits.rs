//! How often things may be done (GCRA): in Redis where there is one, so that all instances count together, and
//! in this process otherwise or while Redis is away. Never without a limit.

mod gcra;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use redis::Script;

use crate::clock::Clock;
pub use crate::config::Limit;
use crate::config::{LimitsConfig, Rate, RateLimits};
use crate::identity::keyed_mac;
use crate::redis_connection::RedisConnection;
use gcra::Meter;

/// Too many requests of a kind: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
pub struct TooMany(pub Duration);

/// Names a bucket: of which limit, and whose.
#[derive(Clone, Debug)]
pub struct LimitKey {
    limit: Limit,
    of: String,
    /// How many times as much as usual it holds.
    times: u32,
}

impl Limit {
    /// Names the bucket of somebody or something.
    pub fn of(self, whose: impl Into<String>) -> LimitKey {
        LimitKey { limit: self, of: whose.into(), times: 1 }
    }
}

impl LimitKey {
    /// Whether its bucket is one of that limit.
    pub fn is_of(&self, limit: Limit) -> bool {
        self.limit == limit
    }

    /// Names a bucket that holds so many times as much.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: self.times * times, ..self }
    }
}

/// Tokens that were taken, in order to give them back.
#[must_use = "tokens that are not given back are spent: say so with `spend`"]
pub struct Tokens(Vec<LimitKey>);

impl Tokens {
    /// Leaves them taken.
    pub fn spend(self) {
        drop(self);
    }

    /// Joins others to them.
    pub fn and(mut self, others: Option<Self>) -> Self {
        self.0.extend(others.into_iter().flat_map(|others| others.0));
        self
    }

    /// Leaves those of a limit taken, and returns the others.
    pub fn without(mut self, limit: Limit) -> Self {
        self.0.retain(|key| !key.is_of(limit));
        self
    }
}

/// The limits of this worker.
#[derive(Clone)]
pub struct Limits {
    config: Arc<LimitsConfig>,
    key: [u8; 32],
    clock: Clock,
    meter: Arc<Meter>,
    redis: Option<RedisConnection>,
}

impl Limits {
    /// Limits in this process.
    pub fn new(config: LimitsConfig, key: [u8; 32], clock: Clock) -> Self {
        Self { config: Arc::new(config), key, clock, meter: Arc::new(Meter::new()), redis: None }
    }

    /// The same limits, counted in Redis while it answers.
    #[must_use]
    pub fn shared_by(self, redis: Option<RedisConnection>) -> Self {
        Self { redis, ..self }
    }

    /// Takes a token from each of these buckets: from all of them, or from none.
    ///
    /// # Errors
    /// With the time to wait.
    pub async fn take(&self, keys: impl IntoIterator<Item = LimitKey>) -> Result<Tokens, TooMany> {
        let mut taken = Tokens(Vec::new());
        for key in keys {
            if let Err(too_many) = self.take_one(&key).await {
                self.give_back(taken).await;
                return Err(too_many);
            }
            taken.0.push(key);
        }
        Ok(taken)
    }

    async fn take_one(&self, key: &LimitKey) -> Result<(), TooMany> {
        if self.config.mode == RateLimits::Off {
            return Ok(());
        }
        let name = self.bucket(key);
        if let Some(wait) = self.in_redis(&name, key, Cost::Take).await {
            return if wait.is_zero() { Ok(()) } else { Err(TooMany(wait)) };
        }
        self.meter.take(name, self.rate(key), self.clock.monotonic()).map_err(TooMany)
    }

    /// Takes one in this process alone, at once.
    ///
    /// # Errors
    /// With the time to wait.
    pub fn take_here(&self, key: &LimitKey) -> Result<(), TooMany> {
        if self.config.mode == RateLimits::Off {
            return Ok(());
        }
        let name = format!("{}:{}", key.limit.name(), key.of);
        self.meter.take(name, self.rate(key), self.clock.monotonic()).map_err(TooMany)
    }

    /// Gives tokens back.
    pub async fn give_back(&self, tokens: Tokens) {
        for key in &tokens.0 {
            self.put_back(key, Cost::GiveBack).await;
        }
    }

    /// Fills buckets up again: what was counted in them counts no more.
    pub async fn refill(&self, keys: impl IntoIterator<Item = LimitKey>) {
        for key in keys {
            self.put_back(&key, Cost::Refill).await;
        }
    }

    async fn put_back(&self, key: &LimitKey, cost: Cost) {
        if self.config.mode == RateLimits::Off {
            return;
        }
        let name = self.bucket(key);
        if self.in_redis(&name, key, cost).await.is_none() {
            let tokens = cost.tokens(self.rate(key)).unsigned_abs();
            self.meter.give_back(&name, self.rate(key), tokens, self.clock.monotonic());
        }
    }

    fn rate(&self, key: &LimitKey) -> Rate {
        let Rate { burst, step } = self.config.rate(key.limit);
        Rate { burst: burst * key.times, step: step / key.times }
    }

    /// Names are hashed with a key, so that neither Redis nor a dump of it learns who they are about.
    fn bucket(&self, key: &LimitKey) -> String {
        let mac = keyed_mac(&self.key, &[key.limit.name(), &key.of]).finalize().into_bytes();
        format!("limit:{}:{}", key.limit.name(), URL_SAFE_NO_PAD.encode(mac))
    }

    /// How long to wait, zero for not at all; `None` when Redis does not answer.
    async fn in_redis(&self, name: &str, key: &LimitKey, cost: Cost) -> Option<Duration> {
        let redis = self.redis.as_ref()?;
        let rate = self.rate(key);
        let mut call = GCRA.prepare_invoke();
        call.key(redis.key(name)).arg(u64::try_from(rate.step.as_micros()).ok()?);
        call.arg(rate.burst).arg(cost.tokens(rate));
        let answer = redis.run(async |mut conn| call.invoke_async::<u64>(&mut conn).await).await;
        answer.ok().map(Duration::from_millis)
    }
}

/// What is done to a bucket.
#[derive(Clone, Copy)]
enum Cost {
    Take,
    GiveBack,
    Refill,
}

impl Cost {
    fn tokens(self, rate: Rate) -> i64 {
        match self {
            Self::Take => 1,
            Self::GiveBack => -1,
            Self::Refill => -i64::from(rate.burst),
        }
    }
}

/// Answers the milliseconds to wait, 0 when the token was taken. Uses the server's clock, clamped, so that a
/// clock that was set back holds nobody longer than one full window. A negative cost gives tokens back.
static GCRA: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local step, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ceil = now + step * burst
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
if tat < now then tat = now end
if tat > ceil then tat = ceil end
local new = tat + step * cost
if new > ceil then return math.ceil((new - ceil) / 1000) end
if new <= now then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], string.format('%.0f', new), 'PX', math.ceil((new - now) / 1000) + 1)
end
return 0
",
    )
});
