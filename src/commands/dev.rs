//! Try it: no file, no service and no question. Everything is kept under `./var/`.
//!
//! Only the process' environment can change something here: a `.env` may be a production's, and its database,
//! Redis and mail server are not for trying things out.

use std::fs;
use std::io;
use std::path::Path;

use super::{Outcome, english, environment, in_runtime, say, serve, superuser};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::{Email, Password, Role, Username, random_name};
use crate::logging;
use crate::paths::admin::ADMIN;
use crate::paths::service::DEV_MAILS;
use crate::paths::{HOME, Route, absolute};
use crate::records::users;

const FOLDER: &str = "var";
const SUPERUSER: &str = "keeper";

pub(super) fn run() -> Outcome {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).map_err(|error| format!("cannot create the folder {FOLDER}: {error}"))?;
    let secret_key = kept_key(&folder.join("secret-key"))?;
    let lookup = move |name: &str| {
        environment::of_process(name).or_else(|| {
            let embedded = match name {
                "SECRET_KEY" => secret_key.clone(),
                "DEBUG" => "on".to_owned(),
                "DATABASE_URL" => format!("sqlite://{FOLDER}/latchkey.sqlite3"),
                "EMAIL_BACKEND" => "file".to_owned(),
                "EMAIL_FILE_PATH" => format!("{FOLDER}/mails"),
                "MEDIA_ROOT" => format!("{FOLDER}/media"),
                _ => return None,
            };
            Some(embedded)
        })
    };
    let config = Config::from_lookup(&lookup)?;
    logging::start(&lookup, &config)?;
    in_runtime(first_superuser(&config))?;
    serve::run(config, greet)
}

/// Creates a superuser where there is none, and shows the password.
async fn first_superuser(config: &Config) -> Outcome {
    let app = App::new(config.clone(), Clock::system())?;
    app.db.migrate()?;
    let census = app.db.read(users::census::take).await?;
    if census.of(Some(Role::Superuser), None) > 0 {
        return Ok(());
    }
    let password = random_name();
    let email = Email::parse("keeper@localhost.invalid").map_err(|message| english(&message))?;
    superuser::create(&app, Username::from_stored(SUPERUSER.to_owned()), email, Password::entered(&password))
        .await?;
    say(format_args!("\n  First superuser: {SUPERUSER}, password: {password} (shown only once)"));
    Ok(())
}

fn greet(app: &App) {
    let at = |path: Route<0>| absolute(&app.config.public_url, path.path());
    say(format_args!("\n  Latchkey      {}", at(HOME)));
    say(format_args!("  Mailbox       {}", at(DEV_MAILS)));
    say(format_args!("  Admin         {}", at(ADMIN)));
    say(format_args!("  Superuser     {SUPERUSER}, with the password shown on the first run"));
    say(format_args!("\n  Everything is kept in ./{FOLDER}/. Delete it to start again. Stop with Ctrl+C.\n"));
}

/// Reads the key in a file, made at the first run.
fn kept_key(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(key) => Ok(key.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key: String = (0..4).map(|_| random_name()).collect();
            fs::write(path, &key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
