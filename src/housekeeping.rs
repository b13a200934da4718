//! What is done periodically, beside the requests: forgetting what is over, removing what a crash left behind.

use std::collections::HashSet;
use std::time::Duration;

use crate::app::App;
use crate::db;
use crate::records::{events, links, mail_budgets, outbox, sessions, users, verifications};

const EVERY: Duration = Duration::from_secs(600);

/// Sweeps, then every ten minutes again.
pub async fn work(app: App) {
    loop {
        if let Err(error) = sweep(&app).await {
            log::warn!("housekeeping failed: {error}");
        }
        tokio::time::sleep(EVERY).await;
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
