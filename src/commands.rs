//! The command line: which commands there are, and what all of them need first.

mod check;
mod dev;
mod environment;
mod listeners;
mod mail;
mod serve;
mod superuser;
mod user;

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::accounts::administration::{ActError, Actor};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, DatabaseConfig, Given, TransportKind};
use crate::courier::{self, Transport};
use crate::db::Db;
use crate::identity::{Email, Id, LinkToken, Message, Zone};
use crate::keys::Keys;
use crate::language::Language;
use crate::logging;
use crate::mail::{MailWriter, TestMail};
use crate::records::events::Source;
use crate::records::transfer;

/// What a command ends with: its error is shown on the terminal, and the process ends with 1 or as [`Exit`] says.
type Outcome = Result<(), Box<dyn Error>>;

#[derive(Parser)]
#[command(
    name = "latchkey",
    version,
    about = "A self-hosted accounts service: sign-up, sign-in, password recovery and profiles"
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try it: serve with everything embedded under ./var/ and every email at /dev/mail/
    Dev,
    /// Bring the database up to date, then serve, with the settings of the environment and of .env
    Serve,
    /// Bring the database up to date
    Migrate,
    /// Create a superuser; asks for what is not given
    CreateSuperuser(superuser::Given),
    /// Check the settings, and that database, Redis, mail server and picture folder can be reached
    Check,
    /// Only deliver mail, without serving pages
    Courier,
    /// Copy a whole database to another one, which must be empty; stop all instances first
    MoveDatabase {
        /// The database to copy from, for example `sqlite://latchkey.sqlite3`, or `file:PATH` of a file that holds its URL
        from: String,
        /// The empty database to copy to, for example `postgres://user@host/name`, or `file:PATH` of a file that holds its URL
        to: String,
    },
    /// Show the secret that an application uses to ask who is signed in (see docs/applications.md)
    AppSecret {
        /// The application's host, for example wiki.example.org
        host: String,
    },
    /// Manage accounts
    #[command(subcommand)]
    User(user::Command),
    /// Manage the outbox
    #[command(subcommand)]
    Mail(mail::Command),
    /// Send a test email now, to check the email settings
    SendTestMail {
        /// Email address to send the test to
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
            error.downcast_ref::<Exit>().map_or(ExitCode::FAILURE, Exit::code)
        }
    }
}

fn execute(command: Command) -> Outcome {
    match command {
        Command::Dev => dev::run(),
        Command::Serve => serve::run(settings()?),
        Command::Migrate => migrate(&settings()?),
        Command::CreateSuperuser(given) => superuser::run(&settings()?, given),
        Command::Check => in_runtime(check::run(&settings()?)),
        Command::Courier => serve::run_courier(settings()?),
        Command::AppSecret { host } => app_secret(&settings()?, &host),
        Command::User(command) => in_runtime(user::run(command)),
        Command::Mail(command) => in_runtime(mail::run(command)),
        Command::MoveDatabase { from, to } => move_database(&from, &to),
        Command::SendTestMail { address } => in_runtime(send_test_mail(&settings()?, &address)),
    }
}

/// Why a command did nothing, where scripts may want to know. (1 is any other error, 2 a wrong call.)
#[derive(Debug, thiserror::Error)]
enum Exit {
    /// There is no such account or mail.
    #[error("{0}")]
    NotFound(String),
    /// It makes no sense now.
    #[error("{0}")]
    NotNow(String),
}

impl Exit {
    fn code(&self) -> ExitCode {
        match self {
            Self::NotFound(_) => ExitCode::from(3),
            Self::NotNow(_) => ExitCode::from(4),
        }
    }
}

/// Opens the program for a command, its database up to date.
fn open() -> Result<App, Box<dyn Error>> {
    let config = settings()?;
    if config.database.is_missing_file() {
        return Err(
            "there is no database yet at DATABASE_URL; is this the folder that latchkey serves from?".into(),
        );
    }
    let app = App::new(config, Clock::system())?;
    app.db.migrate()?;
    Ok(app)
}

/// Whoever calls a command: no account of ours.
fn operator(reason: String) -> Actor {
    Actor { id: None, source: Source::CommandLine, reason }
}

/// Explains on the terminal why an act did not happen.
fn explained(error: ActError) -> Box<dyn Error> {
    match error {
        ActError::Gone => Exit::NotFound("this account or email no longer exists".to_owned()).into(),
        ActError::UsernameTaken => Exit::NotNow("that username is taken".to_owned()).into(),
        ActError::EmailTaken => Exit::NotNow("an account already has this email address".to_owned()).into(),
        ActError::NotNow(message) => Exit::NotNow(english(&message)).into(),
        ActError::Database(error) => error.into(),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

fn english(message: &Message) -> String {
    Language::of_site().say(message, &Zone::utc())
}

/// Reads the settings of a production; logging starts with them.
fn settings() -> Result<Config, Box<dyn Error>> {
    start(&environment::with_env_file()?)
}

/// Reads these settings; logging starts with them.
fn start(given: &Given) -> Result<Config, Box<dyn Error>> {
    let config = Config::of(given)?;
    logging::start(given.value("RUST_LOG"), environment::logs_to_journal(given), &config)?;
    Ok(config)
}

fn in_runtime(work: impl Future<Output = Outcome>) -> Outcome {
    actix_web::rt::System::new().block_on(work)
}

fn migrate(config: &Config) -> Outcome {
    let count = Db::open(&config.database).migrate()?;
    say(format_args!("The database is up to date. Migrations run: {count}."))?;
    Ok(())
}

fn move_database(from: &str, to: &str) -> Outcome {
    let open = |name: &str, argument: &str| {
        let url = match argument.strip_prefix("file:") {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{name}: {path}: {error}"))?
            }
            None => argument.to_owned(),
        };
        if argument.contains("://") && DatabaseConfig::holds_password(argument) {
            complain(&format_args!(
                "the password in {name} can be seen by everybody on this machine; write file:PATH instead"
            ));
        }
        match DatabaseConfig::of_url(url.trim()) {
            Ok(config) if name == "FROM" && config.is_missing_file() => Err(format!("{name}: no such file")),
            Ok(config) => Ok(Db::open(&config)),
            Err(error) => Err(format!("{name} {error}")),
        }
    };
    let source = open("FROM", from)?;
    let target = open("TO", to)?;
    source.migrate()?;
    target.migrate()?;
    for (table, count) in source.copy_to(&target, transfer::copy)? {
        say(format_args!("{count:>9} {table}"))?;
    }
    say("Everything has been copied. Set DATABASE_URL to the new database, then start Latchkey again.")?;
    Ok(())
}

fn app_secret(config: &Config, host: &str) -> Outcome {
    let application = config.applications.at(host).ok_or("APPS lists no application at that host")?;
    let keys = Keys::derive(&config.secret_keys);
    let secret = LinkToken::of_application(&keys.application, &application.host, application.secret_number);
    say(secret.expose())
}

async fn send_test_mail(config: &Config, address: &str) -> Outcome {
    let to = Email::parse(address).map_err(|message| english(&message))?;
    let language = Language::of_site();
    let keys = Keys::derive(&config.secret_keys);
    let writer = MailWriter::new(config, &keys, language);
    let test = writer.write(&TestMail {}.into(), "", Duration::ZERO).ok_or("there is no test mail")?;
    let sender = (&config.mail.from, config.mail.reply_to.as_ref());
    let message = courier::build(&test, sender, to.as_str(), Id::new().as_str(), language)?;
    let said = Transport::open(&config.mail)?.send(message).await?;
    match &config.mail.transport {
        TransportKind::Smtp(_) => say(format_args!("Test email sent to {to}. The mail server said: {said}")),
        TransportKind::File(folder) => {
            say(format_args!("Nothing was sent. The email is in {}.", folder.display()))
        }
        TransportKind::Console => say("Nothing was sent. The email is printed above."),
    }
}

/// Says something to whoever called the command.
///
/// # Errors
/// When it cannot be written. Somebody who has read enough (`| head`) is no error.
fn say(line: impl Display) -> Outcome {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("can't write to standard output: {error}").into())
        }
        _ => Ok(()),
    }
}

fn complain(error: &dyn Display) {
    if let Err(closed) = writeln!(std::io::stderr(), "latchkey: {error}") {
        log::debug!("standard error is closed: {closed}");
    }
}
