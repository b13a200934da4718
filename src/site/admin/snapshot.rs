//! How many there are of everything, counted now and then: over a million people that takes longer than a page may.
//!
//! Where counting is quick it is done for each page, so that nobody ever sees an old number on a small site. Where it is
//! not, a page shows the last numbers, and has those older than a minute counted anew beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::Moment;
use crate::records::outbox::{self, State};
use crate::records::sign_ins;
use crate::records::users::census::{self, Census};

/// What counting may take to be done for each page.
const QUICK: Duration = Duration::from_millis(30);
/// For how long numbers that took longer are not counted anew.
const FRESH: Duration = Duration::from_secs(60);
/// Older numbers are shown to nobody.
const STALE: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
/// How many days the picture shows.
const DAYS: u32 = 30;

/// The numbers of a moment.
#[derive(Clone)]
pub struct Snapshot {
    /// When they were counted.
    pub at: Moment,
    /// How many people there are.
    pub census: Census,
    /// Day by day, the last one is today.
    pub days: Vec<Day>,
    /// Mails to be sent.
    pub waiting: i64,
    /// Mails that were refused for good.
    pub failed: i64,
    took: Duration,
}

/// What happened on one day.
#[derive(Clone)]
pub struct Day {
    /// Its beginning, in UTC.
    pub at: Moment,
    /// New accounts.
    pub sign_ups: i64,
    /// Sign-ins.
    pub sign_ins: i64,
}

/// The last numbers, shared by all workers.
#[derive(Clone, Default)]
pub struct Snapshots {
    last: Arc<Mutex<Option<Snapshot>>>,
    /// One count at a time is enough.
    is_counting: Arc<AtomicBool>,
}

impl Snapshots {
    /// The numbers now, or the last ones.
    pub(super) async fn get(app: &App) -> Result<Snapshot, db::Error> {
        let last = app.snapshots.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let age = |last: &Snapshot| app.clock.now().since(last.at);
        match last.filter(|last| last.took > QUICK && age(last) < STALE) {
            Some(last) => {
                if age(&last) > FRESH && !app.snapshots.is_counting.swap(true, Ordering::SeqCst) {
                    refresh_beside(app);
                }
                Ok(last)
            }
            None => refresh(app).await,
        }
    }
}

fn refresh_beside(app: &App) {
    let app = app.clone();
    actix_web::rt::spawn(async move {
        if let Err(error) = refresh(&app).await {
            log::warn!("the people could not be counted: {error}");
        }
        app.snapshots.is_counting.store(false, Ordering::SeqCst);
    });
}

async fn refresh(app: &App) -> Result<Snapshot, db::Error> {
    let now = app.clock.now();
    let taken = app.db.read(move |conn| take(conn, now)).await?;
    *app.snapshots.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken.clone());
    Ok(taken)
}

fn take(conn: &mut Connection, now: Moment) -> Result<Snapshot, db::Error> {
    let started = Instant::now();
    let census = census::take(conn)?;
    let mut days = Vec::new();
    for ago in (0..DAYS).rev() {
        let at = now.start_of_day().minus(DAY * ago);
        let sign_ups = census::joined_between(conn, at, at.plus(DAY))?;
        days.push(Day { at, sign_ups, sign_ins: sign_ins::count_between(conn, at, at.plus(DAY))? });
    }
    let (waiting, failed) = (outbox::count(conn, State::Waiting)?, outbox::count(conn, State::Failed)?);
    Ok(Snapshot { at: now, census, days, waiting, failed, took: started.elapsed() })
}
