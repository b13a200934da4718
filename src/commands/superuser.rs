//! Create a superuser. The only way to the first one: no page creates it.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};

use super::{Outcome, english, explained, in_runtime, operator, say};
use crate::accounts::new_user::{self, NewAccount};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::hasher::OWN_LINE;
use crate::identity::{Email, Password, Role, Username};
use crate::records::events::Kind;

/// What the command line may give.
#[derive(clap::Args)]
pub(super) struct Given {
    /// Username
    #[arg(long)]
    username: Option<String>,
    /// Email address, treated as confirmed
    #[arg(long)]
    email: Option<String>,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

pub(super) fn run(config: &Config, given: Given) -> Outcome {
    if !given.password_stdin && !io::stdin().is_terminal() {
        return Err("standard input is not a terminal: use --username, --email and --password-stdin".into());
    }
    let username = Username::parse(&given.username.map_or_else(|| ask("Username"), Ok)?)
        .map_err(|message| english(&message))?;
    let email =
        Email::parse(&given.email.map_or_else(|| ask("Email"), Ok)?).map_err(|message| english(&message))?;
    let typed = if given.password_stdin { first_line()? } else { ask_password()? };
    let own_words = [username.to_string(), email.to_string()];
    let password = Password::choose(&typed, config.passwords.rules).map_err(|message| english(&message))?;
    password.refuse_if_guessable(&own_words).map_err(|message| english(&message))?;
    in_runtime(async move {
        let app = App::new(config.clone(), Clock::system())?;
        app.db.migrate()?;
        let name = username.as_str().to_owned();
        create(&app, username, email, password).await?;
        say(format_args!("The superuser {name} can sign in now."));
        Ok(())
    })
}

/// Creates a superuser, its address taken as confirmed.
///
/// # Errors
/// When the username or the address is taken, or the database is away.
pub(super) async fn create(app: &App, username: Username, email: Email, password: Password) -> Outcome {
    let hash = app.hasher.hash(OWN_LINE, password).await?;
    let now = app.clock.now();
    let new = NewAccount { username, email, role: Role::Superuser, hash };
    let actor = operator(String::new());
    let created =
        app.db.write(move |conn| new_user::create(conn, &new, Kind::SuperuserCreated, &actor, now)).await;
    created.map(drop).map_err(explained)
}

fn ask(what: &str) -> io::Result<String> {
    write!(io::stdout(), "{what}: ")?;
    io::stdout().flush()?;
    first_line()
}

fn ask_password() -> Result<String, Box<dyn Error>> {
    let password = rpassword::prompt_password("Password: ")?;
    if password == rpassword::prompt_password("Repeat the password: ")? {
        Ok(password)
    } else {
        Err("the passwords don't match".into())
    }
}

fn first_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
