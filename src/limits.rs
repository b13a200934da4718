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
use crate::config::RateLimits;
use crate::identity::keyed_mac;
use crate::redis_connection::RedisConnection;
use gcra::{Meter, Rate};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What is limited. The numbers stand in [`Limit::rate`] and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Wrong passwords for one account, in any spelling of its name.
    SignInAccount,
    /// Wrong passwords from one network.
    SignInNetwork,
    /// Whether this network failed at this account within the hour.
    SignInPair,
    /// Different accounts that one network fails at.
    SignInSpread,
    /// Sign-ups from one network.
    SignUp,
    /// Codes and code resends from one network.
    Code,
    /// Forgotten passwords and reset links from one network.
    Recovery,
    /// Uploads of one account.
    Picture,
    /// Everything from one network. Never in Redis: it would cost each request a trip.
    Everything,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::SignInAccount => "sign-in-account",
            Self::SignInNetwork => "sign-in-network",
            Self::SignInPair => "sign-in-pair",
            Self::SignInSpread => "sign-in-spread",
            Self::SignUp => "sign-up",
            Self::Code => "code",
            Self::Recovery => "recovery",
            Self::Picture => "picture",
            Self::Everything => "everything",
        }
    }

    fn rate(self) -> Rate {
        let (burst, step) = match self {
            Self::SignInAccount => (5, MINUTE),
            Self::SignInNetwork => (20, HOUR / 60),
            Self::SignInPair => (1, HOUR),
            Self::SignInSpread => (15, HOUR / 15),
            Self::SignUp => (10, HOUR / 10),
            Self::Code => (60, HOUR / 120),
            Self::Recovery | Self::Picture => (20, HOUR / 20),
            Self::Everything => (600, MINUTE / 600),
        };
        Rate { burst, step }
    }
}

/// Too many requests of a kind: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
pub struct TooMany(pub Duration);

/// The limits of this worker.
#[derive(Clone)]
pub struct Limits {
    mode: RateLimits,
    key: [u8; 32],
    clock: Clock,
    meter: Arc<Meter>,
    redis: Option<RedisConnection>,
}

impl Limits {
    /// Limits in this process.
    pub fn new(mode: RateLimits, key: [u8; 32], clock: Clock) -> Self {
        Self { mode, key, clock, meter: Arc::new(Meter::new()), redis: None }
    }

    /// The same limits, counted in Redis while it answers.
    #[must_use]
    pub fn shared_by(self, redis: Option<RedisConnection>) -> Self {
        Self { redis, ..self }
    }

    /// Takes a token from the bucket of somebody or something.
    ///
    /// # Errors
    /// With the time to wait.
    pub async fn take(&self, limit: Limit, of: &str) -> Result<(), TooMany> {
        if self.mode == RateLimits::Off {
            return Ok(());
        }
        let name = self.bucket(limit, of);
        if let Some(answer) = self.in_redis(&name, limit, 1).await {
            return if answer.is_zero() { Ok(()) } else { Err(TooMany(answer)) };
        }
        self.meter.take(name, limit.rate(), self.clock.monotonic()).map_err(TooMany)
    }

    /// The same in this process alone, at once.
    ///
    /// # Errors
    /// With the time to wait.
    pub fn take_here(&self, limit: Limit, whom: &str) -> Result<(), TooMany> {
        if self.mode == RateLimits::Off {
            return Ok(());
        }
        let name = format!("{}:{whom}", limit.name());
        self.meter.take(name, limit.rate(), self.clock.monotonic()).map_err(TooMany)
    }

    /// Gives a token back.
    pub async fn give_back(&self, limit: Limit, whom: &str) {
        if self.mode == RateLimits::Off {
            return;
        }
        let name = self.bucket(limit, whom);
        if self.in_redis(&name, limit, -1).await.is_none() {
            self.meter.give_back(&name, limit.rate(), self.clock.monotonic());
        }
    }

    /// Names are hashed with a key, so that neither Redis nor a dump of it learns who they are about.
    fn bucket(&self, limit: Limit, whom: &str) -> String {
        let mac = keyed_mac(&self.key, &[limit.name(), whom]).finalize().into_bytes();
        format!("limit:{}:{}", limit.name(), URL_SAFE_NO_PAD.encode(mac))
    }

    /// How long to wait, zero for not at all; `None` when Redis does not answer.
    async fn in_redis(&self, name: &str, limit: Limit, cost: i64) -> Option<Duration> {
        let redis = self.redis.as_ref()?;
        let rate = limit.rate();
        let mut call = GCRA.prepare_invoke();
        call.key(redis.key(name)).arg(u64::try_from(rate.step.as_micros()).ok()?).arg(rate.burst).arg(cost);
        let answer = redis.run(async |mut conn| call.invoke_async::<u64>(&mut conn).await).await;
        answer.ok().map(Duration::from_millis)
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
