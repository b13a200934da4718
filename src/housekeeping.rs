//! What is done periodically, beside the requests: forgetting what is over, removing what a crash left behind.

use std::collections::HashSet;
use std::time::Duration;

use diesel::QueryResult;

use crate::accounts::dormancy;
use crate::accounts::leaving::{self, LeaveRules, RemovalRules, Removed};
use crate::app::App;
use crate::clock::Clock;
use crate::db::{self, Connection};
use crate::identity::{Id, Moment};
use crate::pictures;
use crate::records::retention::Kept;
use crate::records::{events, users};

/// How often.
pub const EVERY: Duration = Duration::from_secs(600);

/// How long ago the newest event is, at most, where the clock is trusted at the start.
const LONG_AGO: Duration = Duration::from_secs(24 * 3600);
/// A wall clock that moved by this much more or less than time passed was set, rightly or wrongly.
const JUMP: Duration = Duration::from_secs(600);
/// For how long nothing is forgotten after that: what a wrong clock makes old would be gone when it is right again.
const WAIT_AFTER_JUMP: Duration = Duration::from_secs(6 * 3600);

/// Sweeps, then every ten minutes again.
pub async fn work(app: App) {
    let newest = match app.db.read(events::newest).await {
        Ok(newest) => newest.map_or(Newest::Never, Newest::At),
        Err(error) => {
            log::warn!("cannot read when the last event happened: {error}");
            Newest::Unknown
        }
    };
    let mut watch = ClockWatch::new(&app.clock, newest);
    loop {
        if watch.look(&app.clock) == ClockState::Steady
            && let Err(error) = sweep(&app).await
        {
            log::warn!("housekeeping failed: {error}");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What the wall clock was found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    Steady,
    /// Not long ago, rightly or wrongly.
    WasSet,
}

/// When something happened last.
#[derive(Clone, Copy)]
pub enum Newest {
    At(Moment),
    Never,
    Unknown,
}

/// Compares the wall clock with the time that passes.
pub struct ClockWatch {
    wall: Moment,
    passed: Duration,
    waits_until: Duration,
}

impl ClockWatch {
    /// Begins to compare. A process that starts long after the newest thing that happened may have been stopped for as long, or
    /// have a clock that is ahead: nobody knows, and nothing is lost by waiting.
    pub fn new(clock: &Clock, newest: Newest) -> Self {
        let (wall, passed) = (clock.now(), clock.monotonic());
        let why = match newest {
            Newest::At(newest) if wall.since(newest) > LONG_AGO => {
                Some("nothing has happened for over a day, or the clock is wrong")
            }
            Newest::At(_) | Newest::Never => None,
            Newest::Unknown => Some("the clock could not be checked"),
        };
        if let Some(why) = why {
            log::info!("{why}: nothing is deleted for the next {} hours", WAIT_AFTER_JUMP.as_secs() / 3600);
        }
        let waits_until = why.map_or(Duration::ZERO, |_| passed + WAIT_AFTER_JUMP);
        Self { wall, passed, waits_until }
    }

    /// Compares again, and says whether the wall clock has run as time did, for a while.
    pub fn look(&mut self, clock: &Clock) -> ClockState {
        let (wall, passed) = (clock.now(), clock.monotonic());
        let expected = self.wall.plus(passed.saturating_sub(self.passed));
        let jump = wall.since(expected).max(expected.since(wall));
        (self.wall, self.passed) = (wall, passed);
        if jump > JUMP {
            log::warn!(
                "the clock was set by {} seconds: nothing is deleted for the next {} hours",
                jump.as_secs(),
                WAIT_AFTER_JUMP.as_secs() / 3600
            );
            self.waits_until = passed + WAIT_AFTER_JUMP;
        }
        if passed >= self.waits_until { ClockState::Steady } else { ClockState::WasSet }
    }
}

/// Forgets unverified accounts after 72 hours, and everything else after its time; settles the accounts that leave or that nobody uses.
///
/// # Errors
/// The database's. What was done stays done.
pub async fn sweep(app: &App) -> Result<(), db::Error> {
    let now = app.clock.now();
    // One transaction each, so that none holds the lock for long.
    for kept in Kept::ALL {
        if let Some(span) = kept.span(&app.config) {
            app.db.write(move |conn| Ok::<_, db::Error>(kept.sweep(conn, span, now)?)).await?;
        }
    }
    settle_accounts(app).await?;
    app.db.forget_for_good().await?;
    sweep_pictures(app).await
}

/// So many accounts of a kind are settled at a time: the others wait ten minutes.
const BATCH: i64 = 200;

/// Deletes the accounts whose days of grace are over, and tells, blocks or deletes those that nobody uses. Each in a transaction of
/// its own, which looks again: of several instances one does it.
async fn settle_accounts(app: &App) -> Result<(), db::Error> {
    let rules = LeaveRules::new(&app.config, &app.keys).removal;
    let now = app.clock.now();
    for user in app.db.read(move |conn| users::leaving::due(conn, now, BATCH)).await? {
        forget_events(app, user.clone(), rules, now).await;
        remove(app, move |conn| leaving::finish(conn, &user, rules, now)).await;
    }
    app.db.write(move |conn| Ok::<_, db::Error>(leaving::forget_sign_ups(conn, rules, BATCH, now)?)).await?;
    let Some(dormant) = app.config.lifecycle.dormancy else {
        // What people were told holds no more.
        app.db.write(|conn| users::dormancy::call_all_off(conn).map_err(db::Error::from)).await?;
        return Ok(());
    };
    for user in app.db.read(move |conn| dormancy::due(conn, BATCH, now)).await? {
        remove(app, move |conn| dormancy::end(conn, &user, dormant, rules, now)).await;
    }
    for user in app.db.read(move |conn| dormancy::to_tell(conn, dormant, BATCH, now)).await? {
        let told = app.db.write(move |conn| Ok::<_, db::Error>(dormancy::tell(conn, &user, dormant, now)?));
        told.await.unwrap_or_else(|error| unsettled(&error));
    }
    app.wakeup.wake();
    Ok(())
}

/// Forgets whose the events of an account were, some at a time.
async fn forget_events(app: &App, user: Id, rules: RemovalRules, now: Moment) {
    loop {
        let whose = user.clone();
        let forgotten =
            app.db.write(move |conn| Ok::<_, db::Error>(leaving::forget_some(conn, &whose, rules, now)?));
        match forgotten.await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return unsettled(&error),
        }
    }
}

/// Removes an account, and then its picture. One that cannot be removed keeps nobody else from it.
async fn remove(
    app: &App,
    removal: impl Fn(&mut Connection) -> QueryResult<Option<Removed>> + Send + Sync + 'static,
) {
    match app.db.write(move |conn| removal(conn).map_err(db::Error::from)).await {
        Ok(Some(Removed { picture: Some(picture), .. })) => {
            app.pictures.remove(pictures::Kept::Picture, &picture).await;
        }
        Ok(_) => {}
        Err(error) => unsettled(&error),
    }
}

fn unsettled(error: &db::Error) {
    log::warn!("an account could not be settled, and will be tried again: {error}");
}

/// A crash between writing a picture and writing its row, or after the row and before the old file's end,
/// leaves a file that no row names.
async fn sweep_pictures(app: &App) -> Result<(), db::Error> {
    let files = match app.pictures.settled().await {
        Ok(files) => files,
        Err(error) => {
            log::warn!("pictures cannot be listed: {error}");
            return Ok(());
        }
    };
    // Whoever chooses a part of a picture does so within the hour.
    let (sources, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|settled| settled.kept == pictures::Kept::Source);
    for source in sources {
        app.pictures.remove_file(source.file).await;
    }
    let mut used = HashSet::new();
    for some in files.chunks(200) {
        let names: Vec<String> = some.iter().map(|settled| settled.name.clone()).collect();
        used.extend(app.db.read(move |conn| users::pictures_among(conn, &names)).await?);
    }
    // A folder of which nothing is in use is more likely another site's than full of what crashes left.
    if used.is_empty() {
        return Ok(());
    }
    for unused in files.into_iter().filter(|settled| !used.contains(&settled.name)) {
        app.pictures.remove_file(unused.file).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_starts_with_a_clock_that_may_be_ahead_deletes_nothing_for_hours() {
        let clock = Clock::system();
        let state = |newest: Newest| ClockWatch::new(&clock, newest).look(&clock);
        let ago = |hours: u64| Newest::At(clock.now().minus(Duration::from_secs(hours * 3600)));
        assert_eq!(state(Newest::Never), ClockState::Steady, "nothing has ever happened");
        assert_eq!(state(ago(1)), ClockState::Steady);
        assert_eq!(state(ago(365 * 24)), ClockState::WasSet);
        assert_eq!(state(Newest::Unknown), ClockState::WasSet, "the database is away");
        let mut watch = ClockWatch::new(&clock, ago(365 * 24));
        clock.advance(WAIT_AFTER_JUMP);
        assert_eq!(watch.look(&clock), ClockState::Steady, "six hours later it was just a long rest");
    }
}
