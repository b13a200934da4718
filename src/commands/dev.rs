//! Try it: no file, no service and no question. Everything is kept under `./var/`.
//!
//! Only the process' environment can change something here: a `.env` may be a production's, and its database,
//! Redis and mail server are not for trying things out.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Outcome, english, environment, in_runtime, listeners, say, serve, superuser};
use crate::app::App;
use crate::clock::Clock;
use crate::identity::{Email, Password, Role, Username, random_name};
use crate::paths::admin::ADMIN;
use crate::paths::service::DEV_MAILS;
use crate::paths::{HOME, Route, absolute};
use crate::records::users;

const FOLDER: &str = "var";
const SUPERUSER: &str = "keeper";

pub(super) fn run() -> Outcome {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).map_err(|error| format!("cannot create the folder {FOLDER}: {error}"))?;
    let _lock = lock(folder)?;
    let usual = [
        ("SECRET_KEY", kept_key(&folder.join("secret-key"))?),
        ("DEBUG", "on".to_owned()),
        ("DATABASE_URL", format!("sqlite://{FOLDER}/latchkey.sqlite3")),
        ("EMAIL_BACKEND", "file".to_owned()),
        ("EMAIL_FILE_PATH", format!("{FOLDER}/mails")),
        ("MEDIA_ROOT", format!("{FOLDER}/media")),
    ];
    let config = super::start(&environment::of_process().and_usual(usual))?;
    in_runtime(async move {
        let signals = serve::Signals::listen()?;
        // Before anything is made, so that a port that is taken costs nothing.
        let listeners = listeners::open(&config)?;
        let app = App::new(config, Clock::system())?;
        serve::prepare(&app).await?;
        first_superuser(&app).await?;
        greet(&app)?;
        serve::serve(app, listeners, signals).await
    })
}

/// Keeps a second one out of the folder: the two would share a database, and each would show half of the mails.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join("lock");
    let lock = File::create(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
    lock.try_lock().map_err(|_| "latchkey dev is already running in this folder".to_owned())?;
    Ok(lock)
}

/// Creates a superuser where there is none, and shows the password.
async fn first_superuser(app: &App) -> Outcome {
    let census = app.db.read(users::census::take).await?;
    if census.of(Some(Role::Superuser), None) > 0 {
        return Ok(());
    }
    let password = random_name();
    let email = Email::parse("keeper@localhost.invalid").map_err(|message| english(&message))?;
    superuser::create(app, Username::from_stored(SUPERUSER.to_owned()), email, Password::entered(&password))
        .await?;
    say(format_args!("\n  First superuser: {SUPERUSER}, password: {password} (shown only once)"))
}

fn greet(app: &App) -> Outcome {
    let at = |path: Route<0>| absolute(&app.config.public_url, path.path());
    say(format_args!("\n  Latchkey      {}", at(HOME)))?;
    say(format_args!("  Mailbox       {}", at(DEV_MAILS)))?;
    say(format_args!("  Admin         {}", at(ADMIN)))?;
    say(format_args!("  Superuser     {SUPERUSER}, with the password shown on the first run"))?;
    say(format_args!(
        "\n  Everything is kept in ./{FOLDER}/, unless the environment says otherwise; .env isn't read."
    ))?;
    say("  Delete the folder to start again. Stop with Ctrl+C.\n")
}

/// Reads the key in a file, made at the first run.
fn kept_key(path: &Path) -> Result<String, String> {
    let trouble = |error: io::Error| format!("{}: {error}", path.display());
    match fs::read_to_string(path) {
        Ok(key) if !key.trim().is_empty() => Ok(key.trim().to_owned()),
        Ok(_) => Err(format!("{} is empty; delete it, and a new key is made", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key: String = (0..4).map(|_| random_name()).collect();
            fs::write(path, &key).map_err(trouble)?;
            Ok(key)
        }
        Err(error) => Err(trouble(error)),
    }
}
