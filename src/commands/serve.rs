//! Serve until a signal says stop; then finish what is under way.

use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Outcome, listeners};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::server::{self, Listener};

/// Serves with these settings.
pub(super) fn run(config: Config) -> Outcome {
    System::new().block_on(async move {
        let signals = Signals::listen()?;
        let listeners = listeners::open(&config)?;
        let app = App::new(config, Clock::system())?;
        prepare(&app).await?;
        serve(app, listeners, signals).await
    })
}

/// Brings the database up to date, and looks whether pictures can be kept.
pub(super) async fn prepare(app: &App) -> Outcome {
    warn(&app.config);
    let ready = app.pictures.prepare().await;
    ready.map_err(|error| format!("cannot store pictures: {error}; check MEDIA_ROOT and MEDIA_URL"))?;
    let migrated = app.db.migrate()?;
    if migrated > 0 {
        log::info!("the database is up to date; migrations run: {migrated}");
    }
    Ok(())
}

/// Serves until a signal says stop.
pub(super) async fn serve(app: App, listeners: Vec<Listener>, signals: Signals) -> Outcome {
    for listener in &listeners {
        log::info!("listening on {} for {}", listener.name(), app.config.public_url.origin());
    }
    let stopping = app.clone();
    let on_start = |server| {
        tell_systemd(NotifyState::Ready);
        drop(actix_web::rt::spawn(watchdog()));
        drop(actix_web::rt::spawn(stop_on_signal(signals, server, stopping)));
    };
    server::serve(app, listeners, on_start).await?;
    log::info!("stopped");
    Ok(())
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
}

/// Tells systemd how we are, where it asked to be told (`Type=notify`).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::debug!("systemd is not told: {error}");
    }
}

/// Says that we live twice in the time that systemd allows (`WatchdogSec=`), from the thread that serves.
async fn watchdog() {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    loop {
        tell_systemd(NotifyState::Watchdog);
        tokio::time::sleep(within.min(Duration::from_secs(3600)) / 2).await;
    }
}

/// Only delivers mail, whatever `COURIER` says.
pub(super) fn run_courier(config: Config) -> Outcome {
    System::new().block_on(async move {
        let signals = Signals::listen()?;
        let app = App::new(config, Clock::system())?;
        warn(&app.config);
        app.db.migrate()?;
        log::info!("delivering mail");
        tell_systemd(NotifyState::Ready);
        drop(actix_web::rt::spawn(watchdog()));
        let couriers = server::start_couriers(&app)?;
        signals.stop().await;
        tell_systemd(NotifyState::Stopping);
        app.begin_shutdown();
        for courier in couriers {
            courier.await?;
        }
        Ok(())
    })
}

async fn stop_on_signal(signals: Signals, server: ServerHandle, app: App) {
    signals.stop().await;
    log::info!("stopping after finishing requests in progress");
    tell_systemd(NotifyState::Stopping);
    app.begin_shutdown();
    server.stop(true).await;
}

/// What others tell the process. Listened to from the beginning: a signal that nobody listens to ends it.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until the process is to end.
    async fn stop(mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // A terminal that was closed, or a habit of who rotates logs. Nothing is read anew, and nothing ends.
                _ = self.hang_up.recv() => {
                    log::info!("SIGHUP is ignored; restart the service to reload the settings");
                }
            }
        }
    }
}
