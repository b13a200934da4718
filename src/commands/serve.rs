//! Serve until a signal says stop; then finish what is under way.

use std::net::TcpListener;

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use tokio::signal::unix::{SignalKind, signal};

use super::Outcome;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::server;

/// Serves with these settings. `when_ready` runs before the first request, with the database up to date.
pub(super) fn run(config: Config, when_ready: impl FnOnce(&App)) -> Outcome {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let bind = config.bind;
    let url = config.public_url.origin().to_owned();
    let listener = TcpListener::bind(bind)
        .map_err(|error| format!("cannot listen on {bind}: {error}; choose another address with BIND"))?;
    System::new().block_on(async move {
        let app = App::new(config, Clock::system())?;
        let ready = app.pictures.prepare().await;
        ready.map_err(|error| format!("cannot store pictures: {error}; check MEDIA_ROOT and MEDIA_URL"))?;
        let migrated = app.db.migrate()?;
        if migrated > 0 {
            log::info!("the database is up to date; migrations run: {migrated}");
        }
        when_ready(&app);
        log::info!("listening on {bind} for {url}");
        let stopping = app.clone();
        let on_start = |server| drop(actix_web::rt::spawn(stop_on_signal(server, stopping)));
        server::serve(app, listener, on_start).await?;
        log::info!("stopped");
        Ok(())
    })
}

/// Only delivers mail, whatever `COURIER` says.
pub(super) fn run_courier(config: Config) -> Outcome {
    System::new().block_on(async move {
        let app = App::new(config, Clock::system())?;
        app.db.migrate()?;
        log::info!("delivering mail");
        let couriers = server::start_couriers(&app)?;
        stop_signal().await?;
        app.begin_shutdown();
        for courier in couriers {
            courier.await?;
        }
        Ok(())
    })
}

async fn stop_on_signal(server: ServerHandle, app: App) {
    if let Err(error) = stop_signal().await {
        log::error!("signals cannot be received: {error}");
        return;
    }
    log::info!("stopping after finishing requests in progress");
    app.begin_shutdown();
    server.stop(true).await;
}

async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}
