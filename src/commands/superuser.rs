//! Create a superuser. The only way to the first one: no page creates it.

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};

use super::{Outcome, english, explained, in_runtime, operator, say};
use crate::accounts::new_user::{self, NewAccount};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::hasher::OWN_LINE;
use crate::identity::{Email, Message, Password, Role, Username};
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
    if given.password_stdin && (given.username.is_none() || given.email.is_none()) {
        return Err("--password-stdin needs --username and --email".into());
    }
    in_runtime(async {
        let app = App::new(config.clone(), Clock::system())?;
        app.db.migrate()?;
        let username = answer(given.username, || ask("Username"), Username::parse)?;
        let email = answer(given.email, || ask("Email"), Email::parse)?;
        let own_words = [username.to_string(), email.to_string()];
        let judge = |typed: &str| {
            let password = Password::choose(typed, config.passwords.rules)?;
            password.refuse_if_guessable(&own_words).map(|()| password)
        };
        let typed = if given.password_stdin { Some(first_line()?) } else { None };
        let password = answer(typed, ask_password, judge)?;
        let name = username.as_str().to_owned();
        create(&app, username, email, password).await?;
        say(format_args!("The superuser {name} can sign in now."))
    })
}

/// Reads what was given, or asks until the answer can be read.
fn answer<T>(
    given: Option<String>,
    ask: impl Fn() -> io::Result<String>,
    read: impl Fn(&str) -> Result<T, Message>,
) -> Result<T, Box<dyn Error>> {
    if let Some(given) = given {
        return read(&given).map_err(|message| english(&message).into());
    }
    loop {
        match read(&ask()?) {
            Ok(answer) => return Ok(answer),
            Err(message) => say(english(&message))?,
        }
    }
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

fn ask_password() -> io::Result<String> {
    loop {
        let password = rpassword::prompt_password("Password: ")?;
        if password == rpassword::prompt_password("Repeat the password: ")? {
            return Ok(password);
        }
        writeln!(io::stdout(), "The passwords don't match.")?;
    }
}

/// Reads a line. A byte-order mark in front, which some editors write, is no part of it.
fn first_line() -> io::Result<String> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']).to_owned())
}
