//! The command line: which commands there are, and what all of them need first.

mod check;
mod dev;
mod environment;
mod mail;
mod serve;
mod superuser;
mod user;

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::acts::{Actor, Refused};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, DatabaseConfig};
use crate::db::Db;
use crate::identity::{Email, Message};
use crate::keys::Keys;
use crate::logging;
use crate::mail::{Mail, Stationery, transport};
use crate::records::events::Origin;
use crate::web::language::Language;

/// What a command ends with: its error is told on the terminal, and the process ends with 1.
type Outcome = Result<(), Box<dyn Error>>;

#[derive(Parser)]
#[command(
    name = "latchkey",
    version,
    about = "Accounts as plain pages: sign-up, sign-in, recovery and profile"
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try it: serve with everything embedded under ./var/ and every mail at /dev/mail/
    Dev,
    /// Bring the database up to date, then serve, with the settings of the environment and of .env
    Serve,
    /// Bring the database up to date
    Migrate,
    /// Make an account that may do everything; asks for what is not given
    CreateSuperuser(superuser::Given),
    /// Check the settings, and that database, Redis, mail server and picture folder can be reached
    Check,
    /// Only deliver mail
    Courier,
    /// Copy a whole database to another one, which must be empty; stop all instances first
    MoveDatabase {
        /// Where everything is, like <sqlite://latchkey.sqlite3>
        from: String,
        /// Where it shall be, like <postgres://user:password@host/name>
        to: String,
    },
    /// Look after people
    #[command(subcommand)]
    User(user::Command),
    /// Look after the outbox
    #[command(subcommand)]
    Mail(mail::Command),
    /// Send a mail at once, to see that the settings are right
    SendTestMail {
        /// Where to
        address: String,
    },
}

/// Runs the command that the process was called with.
pub fn run() -> ExitCode {
    // Database, pictures and mails are for this user's eyes only.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let command = CommandLine::parse().command;
    match execute(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            error.downcast_ref::<Stop>().map_or(ExitCode::FAILURE, Stop::code)
        }
    }
}

fn execute(command: Command) -> Outcome {
    match command {
        Command::Dev => dev::run(),
        Command::Serve => serve::run(settings()?, |_| ()),
        Command::Migrate => migrate(&settings()?),
        Command::CreateSuperuser(given) => superuser::run(&settings()?, given),
        Command::Check => in_runtime(check::run(&settings()?)),
        Command::Courier => serve::run_courier(settings()?),
        Command::User(command) => in_runtime(user::run(command)),
        Command::Mail(command) => in_runtime(mail::run(command)),
        Command::MoveDatabase { from, to } => move_database(&from, &to),
        Command::SendTestMail { address } => in_runtime(send_test_mail(&settings()?, &address)),
    }
}

/// Why a command did nothing, where scripts may want to know. (1 is any other trouble, 2 a wrong call.)
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// There is no such person or mail.
    #[error("{0}")]
    NotFound(String),
    /// It makes no sense now.
    #[error("{0}")]
    Refused(String),
}

impl Stop {
    fn code(&self) -> ExitCode {
        match self {
            Self::NotFound(_) => ExitCode::from(3),
            Self::Refused(_) => ExitCode::from(4),
        }
    }
}

/// The application for a command, its database up to date.
fn open() -> Result<App, Box<dyn Error>> {
    let app = App::new(settings()?, Clock::system())?;
    app.db.migrate()?;
    Ok(app)
}

/// Whoever sits at the shell: no account of ours.
fn shell(reason: String) -> Actor {
    Actor { id: None, origin: Origin("command line".to_owned()), reason }
}

/// Why an act did not happen, for the shell.
fn stop(refused: Refused) -> Box<dyn Error> {
    match refused {
        Refused::Gone => Stop::NotFound("this person or mail is gone".to_owned()).into(),
        Refused::NameTaken => Stop::Refused("this username is taken".to_owned()).into(),
        Refused::NotNow(message) => Stop::Refused(english(&message)).into(),
        Refused::Database(error) => error.into(),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

fn english(message: &Message) -> String {
    message.render(str::to_owned)
}

/// The settings of a production; logging starts with them.
fn settings() -> Result<Config, Box<dyn Error>> {
    let environment = environment::with_env_file()?;
    let config = Config::from_lookup(&environment)?;
    logging::start(&environment, &config)?;
    Ok(config)
}

fn in_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    actix_web::rt::System::new().block_on(work)
}

fn migrate(config: &Config) -> Outcome {
    let count = Db::open(&config.database).migrate()?;
    say(format_args!("The database is up to date; {count} migrations ran."));
    Ok(())
}

fn move_database(from: &str, to: &str) -> Outcome {
    let open = |name: &str, url: &str| match DatabaseConfig::of_url(url) {
        Ok(config) => Ok(Db::open(&config)),
        Err(mistake) => Err(format!("{name} {mistake}")),
    };
    let (source, target) = (open("FROM", from)?, open("TO", to)?);
    source.migrate()?;
    target.migrate()?;
    for (table, count) in source.copy_to(&target)? {
        say(format_args!("{count:>9} {table}"));
    }
    say("Everything is there. Set DATABASE_URL to the new place, and start again.");
    Ok(())
}

async fn send_test_mail(config: &Config, address: &str) -> Outcome {
    let to = Email::parse(address).map_err(|message| message.render(str::to_owned))?;
    let language = Language::default();
    let keys = Keys::derive(&config.secret_keys);
    let stationery = Stationery { public_url: config.public_url.clone(), keys, language };
    let letter =
        stationery.write(&Mail::Test, "", std::time::Duration::ZERO).ok_or("there is no test mail")?;
    let id = crate::identity::Id::new();
    let message = transport::build(&letter, &config.mail.from, to.as_str(), id.as_str(), language)?;
    transport::Transport::open(&config.mail)?.send(message).await?;
    say(format_args!("A mail to {} is on its way.", to.as_str()));
    Ok(())
}

/// Says something to whoever called the command. A terminal that went away is no reason to stop.
fn say(line: impl Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}") {
        log::debug!("standard output is closed: {error}");
    }
}

fn complain(error: &dyn Display) {
    if let Err(closed) = writeln!(std::io::stderr(), "latchkey: {error}") {
        log::debug!("standard error is closed: {closed}");
    }
}
