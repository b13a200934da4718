//! How many there are of everything, counted periodically: over a million accounts that takes longer than a page may.
//!
//! Where counting is quick it is done for each overview, so that nobody sees an old number there on a small site. Where it is
//! not, a page shows the last numbers, and has those older than a minute counted again beside it. The total of a list of over a thousand
//! accounts may be a minute old in any case.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::QueryResult;

use crate::clock::Clock;
use crate::db::{self, Connection, Db};
use crate::identity::Moment;
use crate::records::outbox::{self, State};
use crate::records::sessions;
use crate::records::users::census::{self, Census};

/// What counting may take to be done for each page.
const QUICK: Duration = Duration::from_millis(30);
/// For how long numbers that took longer are not counted again.
const FRESH: Duration = Duration::from_secs(60);
/// Older numbers are shown to nobody.
const STALE: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
/// How many days the chart shows.
const DAYS: u32 = 30;

/// The numbers of a moment.
#[derive(Clone)]
pub struct Snapshot {
    pub at: Moment,
    /// How many accounts there are.
    pub census: Census,
    /// Day by day, the last one is today.
    pub days: Vec<Day>,
    pub waiting: i64,
    /// Mails that were refused for good.
    pub failed: i64,
    /// People who have waited for their code for over a day.
    pub stuck: i64,
    took: Duration,
}

/// What happened on one day.
#[derive(Clone)]
pub struct Day {
    /// Its beginning, in UTC.
    pub at: Moment,
    pub sign_ups: i64,
    /// Sign-ins.
    pub sessions: i64,
}

/// The last numbers, shared by all workers.
#[derive(Clone)]
pub struct Statistics {
    db: Db,
    clock: Clock,
    last: Arc<Mutex<Option<Snapshot>>>,
    /// One count at a time is enough.
    is_counting: Arc<AtomicBool>,
}

impl Statistics {
    /// Nothing is counted yet.
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, last: Arc::default(), is_counting: Arc::default() }
    }

    /// Returns numbers that are less than a minute old, or what [`Self::get`] does.
    ///
    /// # Errors
    /// The database's, when there are no numbers yet.
    pub async fn recent(&self) -> Result<Snapshot, db::Error> {
        match self.last().filter(|last| self.age(last) < FRESH) {
            Some(last) => Ok(last),
            None => self.get().await,
        }
    }

    /// Returns the numbers now, or the last ones.
    ///
    /// # Errors
    /// The database's, when there are no numbers yet.
    pub async fn get(&self) -> Result<Snapshot, db::Error> {
        match self.last().filter(|last| last.took > QUICK && self.age(last) < STALE) {
            Some(last) => {
                if self.age(&last) > FRESH && !self.is_counting.swap(true, Ordering::SeqCst) {
                    self.refresh_later();
                }
                Ok(last)
            }
            None => self.refresh().await,
        }
    }

    fn last(&self) -> Option<Snapshot> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How old numbers are. A clock that was set back makes them old, not new for ever.
    fn age(&self, of: &Snapshot) -> Duration {
        let now = self.clock.now();
        if of.at.is_ahead_of(now) { STALE } else { now.since(of.at) }
    }

    fn refresh_later(&self) {
        let statistics = self.clone();
        actix_web::rt::spawn(async move {
            if let Err(error) = statistics.refresh().await {
                log::warn!("the accounts could not be counted: {error}");
            }
            statistics.is_counting.store(false, Ordering::SeqCst);
        });
    }

    async fn refresh(&self) -> Result<Snapshot, db::Error> {
        let now = self.clock.now();
        let taken = self.db.read(move |conn| take(conn, now)).await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken.clone());
        Ok(taken)
    }
}

fn take(conn: &mut Connection, now: Moment) -> QueryResult<Snapshot> {
    let started = Instant::now();
    let census = census::take(conn)?;
    let mut days = Vec::new();
    for ago in (0..DAYS).rev() {
        let at = now.start_of_day().minus(DAY * ago);
        let sign_ups = census::joined_between(conn, at, at.plus(DAY))?;
        days.push(Day { at, sign_ups, sessions: sessions::count_between(conn, at, at.plus(DAY))? });
    }
    let waiting = outbox::count(conn, State::Waiting)?;
    let failed = outbox::count(conn, State::Failed)?;
    let stuck = census::waiting_since(conn, now.minus(DAY))?;
    Ok(Snapshot { at: now, census, days, waiting, failed, stuck, took: started.elapsed() })
}
