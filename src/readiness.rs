//! Whether this process can serve: proved by writing, for a part that answers is not a part that works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::db::Db;
use crate::redis_connection::RedisConnection;

/// For how long a proof counts: load balancers ask often, and each proof is a write.
const KEPT: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Nobody can be signed in; pages that need nobody to be are there.
    NoRedis,
    NoDatabase,
}

/// Finds out, once a second at most.
#[derive(Clone, Default)]
pub struct ReadinessProbe(Arc<Mutex<Option<(Instant, Readiness)>>>);

impl ReadinessProbe {
    /// Tells what was found within the last second, or looks.
    pub async fn look(&self, db: &Db, redis: Option<&RedisConnection>) -> Readiness {
        // Those who ask meanwhile wait for the same answer.
        let mut last = self.0.lock().await;
        if let Some((at, found)) = *last
            && at.elapsed() < KEPT
        {
            return found;
        }
        let found = prove(db, redis).await;
        *last = Some((Instant::now(), found));
        found
    }
}

async fn prove(db: &Db, redis: Option<&RedisConnection>) -> Readiness {
    if db.prove().await.is_err() {
        return Readiness::NoDatabase;
    }
    match redis {
        Some(redis) if !redis.works().await => Readiness::NoRedis,
        _ => Readiness::Ready,
    }
}
