//! Make an account that may do everything. The only way to the first one: no page makes it.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};

use super::{Outcome, english, in_runtime, say, shell};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::db;
use crate::identity::{Email, Id, Password, Role, Username};
use crate::records::events::{self, Kind};
use crate::records::users::{self, NewUser};
use crate::records::verifications;

/// What the command line may give.
#[derive(clap::Args)]
pub(super) struct Given {
    /// Name of the account
    #[arg(long)]
    username: Option<String>,
    /// Address of the account, taken as confirmed
    #[arg(long)]
    email: Option<String>,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

pub(super) fn run(config: &Config, given: Given) -> Outcome {
    if !given.password_stdin && !io::stdin().is_terminal() {
        return Err("this is no terminal: give --username, --email and --password-stdin".into());
    }
    let username = Username::parse(&given.username.map_or_else(|| ask("Username"), Ok)?)
        .map_err(|message| english(&message))?;
    let email =
        Email::parse(&given.email.map_or_else(|| ask("E-mail"), Ok)?).map_err(|message| english(&message))?;
    let typed = if given.password_stdin { first_line()? } else { ask_password()? };
    let own_words = [username.as_str(), email.as_str()];
    let password =
        Password::choose(&typed, config.passwords.rules, &own_words).map_err(|message| english(&message))?;
    in_runtime(async move {
        let app = App::new(config.clone(), Clock::system())?;
        app.db.migrate()?;
        let name = username.as_str().to_owned();
        create(&app, username, email, password).await?;
        say(format_args!("The superuser {name} can sign in now."));
        Ok(())
    })
}

/// Adds a verified superuser. A sign-up that still waits for its code makes way.
///
/// # Errors
/// When the name or the address is taken, or the database is away.
pub(super) async fn create(app: &App, username: Username, email: Email, password: Password) -> Outcome {
    let hash = app.hasher.hash(password).await?;
    let now = app.clock.now();
    let taken = app
        .db
        .write(move |conn| {
            if !verifications::make_way(conn, &username.canonical(), None, now)? {
                return Ok(Some("this username is taken"));
            }
            if let Some(holder) = users::by_email(conn, &email.canonical())?
                && !users::remove_unverified(conn, &holder.id)?
            {
                return Ok(Some("this address has an account already"));
            }
            let id = Id::new();
            let new = NewUser {
                id: &id,
                username: &username,
                email: Some(&email),
                password_hash: &hash,
                role: Role::Superuser,
                verified_at: Some(now),
            };
            users::insert(conn, &new, now)?;
            let origin = shell(String::new()).origin;
            events::note(conn, Kind::SuperuserCreated, Some(&id), &origin, username.as_str(), now)?;
            Ok::<_, db::Error>(None)
        })
        .await?;
    taken.map_or(Ok(()), |why| Err(why.into()))
}

fn ask(what: &str) -> io::Result<String> {
    write!(io::stdout(), "{what}: ")?;
    io::stdout().flush()?;
    first_line()
}

fn ask_password() -> Result<String, Box<dyn Error>> {
    let password = rpassword::prompt_password("Password: ")?;
    if password == rpassword::prompt_password("Password again: ")? {
        Ok(password)
    } else {
        Err("the two passwords are not the same".into())
    }
}

fn first_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
