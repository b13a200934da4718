//! What is done periodically, beside the requests: forgetting what is over, removing what a crash left behind.

use std::collections::HashSet;
use std::time::Duration;

use crate::app::App;
use crate::clock::Clock;
use crate::db;
use crate::identity::Moment;
use crate::records::{events, links, mail_budgets, outbox, sessions, users, verifications};

const EVERY: Duration = Duration::from_secs(600);

/// A wall clock that moved by this much more or less than time passed was set, rightly or wrongly.
const JUMP: Duration = Duration::from_secs(600);
/// For how long nothing is forgotten after that: what a wrong clock makes old would be gone when it is right again.
const WAIT_AFTER_JUMP: Duration = Duration::from_secs(6 * 3600);

/// Sweeps, then every ten minutes again.
pub async fn work(app: App) {
    let mut watch = ClockWatch::new(&app.clock);
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

/// Compares the wall clock with the time that passes.
pub struct ClockWatch {
    wall: Moment,
    passed: Duration,
    waits_until: Duration,
}

impl ClockWatch {
    /// Begins to compare.
    pub fn new(clock: &Clock) -> Self {
        Self { wall: clock.now(), passed: clock.monotonic(), waits_until: Duration::ZERO }
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

/// Forgets unverified accounts after 72 hours, and everything else after its time.
///
/// # Errors
/// The database's. What was done stays done.
pub async fn sweep(app: &App) -> Result<(), db::Error> {
    let now = app.clock.now();
    // One transaction each, so that none holds the lock for long.
    let sweeps = [
        users::remove_stale,
        verifications::sweep,
        links::sweep,
        sessions::sweep,
        mail_budgets::sweep,
        outbox::sweep,
    ];
    for sweep in sweeps {
        app.db.write(move |conn| Ok::<_, db::Error>(sweep(conn, now)?)).await?;
    }
    app.db.forget_for_good().await?;
    let kept = app.config.events_kept;
    app.db.write(move |conn| Ok::<_, db::Error>(events::sweep(conn, kept, now)?)).await?;
    sweep_pictures(app).await
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
    let mut used = HashSet::new();
    for some in files.chunks(200) {
        let names: Vec<String> = some.iter().map(|(_, name)| name.clone()).collect();
        used.extend(app.db.read(move |conn| users::pictures_among(conn, &names)).await?);
    }
    // A folder of which nothing is in use is more likely another site's than full of what crashes left.
    if used.is_empty() {
        return Ok(());
    }
    for (file, name) in files {
        if !used.contains(&name) {
            app.pictures.remove_file(file).await;
        }
    }
    Ok(())
}
