//! Manage accounts from the command line: the same acts as on the admin pages, with the same rules and events.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Exit, Outcome, english, explained, json, open, operator, say};
use crate::accounts::administration::{Act, Rules};
use crate::app::App;
use crate::identity::{AccountStatus, Email, Moment, Role};
use crate::pictures::Kept;
use crate::records::sessions;
use crate::records::users::directory::{self, Filter, Key, Order};
use crate::records::users::two_factor::TwoFactor;
use crate::records::users::{self, Listed, User};

/// So many accounts are read at once.
const BATCH: usize = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List accounts, all or some
    List {
        /// Beginning of a username, an email address or a name
        #[arg(long, default_value = "")]
        search: String,
        /// user, merchant, staff or superuser
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// active, unverified (email not confirmed), blocked or leaving (about to be deleted)
        #[arg(long, value_parser = status)]
        status: Option<AccountStatus>,
        /// on or off: whether signing in takes a second step
        #[arg(long, value_parser = two_factor)]
        two_factor: Option<TwoFactor>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show what is known about an account
    Show(Whom),
    /// Block an account and sign it out everywhere
    Block(Against),
    /// Unblock an account
    Unblock(Whom),
    /// Treat an account's email address as confirmed
    Verify(Whom),
    /// Change an account's role
    SetRole {
        #[command(flatten)]
        whom: Against,
        /// user, merchant, staff or superuser
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Email a link to choose a new password
    SendReset(Whom),
    /// Turn off two-step sign-in for someone who has lost it, and sign them out everywhere
    ResetTwoFactor(Against),
    /// Email a request to set up two-step sign-in
    RemindTwoFactor(Whom),
    /// Sign an account out everywhere
    EndSessions(Against),
    /// Delete an account after the days of grace
    Delete {
        #[command(flatten)]
        whom: Against,
        /// Delete it at once, for good
        #[arg(long)]
        now: bool,
    },
    /// Keep an account that is about to be deleted
    Keep(Whom),
}

#[derive(Args)]
pub(super) struct Whom {
    /// Username, email address or ID
    person: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Against {
    #[command(flatten)]
    whom: Whom,
    /// Reason; the person may see it
    #[arg(long)]
    reason: String,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "choose user, merchant, staff or superuser".to_owned())
}

fn two_factor(word: &str) -> Result<TwoFactor, String> {
    TwoFactor::parse(word).ok_or_else(|| "choose on, off or due".to_owned())
}

fn status(word: &str) -> Result<AccountStatus, String> {
    AccountStatus::parse(word).ok_or_else(|| "choose active, unverified, blocked or leaving".to_owned())
}

pub(super) async fn run(command: Command) -> Outcome {
    let app = open()?;
    let (act, whom, reason) = match command {
        Command::List { search, role, status, two_factor, json } => {
            let search = search.trim().to_lowercase();
            let required_of = required_of(&app).to_vec();
            let filter = Filter { search, role, status, two_factor, required_of, ..Filter::default() };
            return list(&app, filter, json).await;
        }
        Command::Show(whom) => return show(&app, &whom).await,
        Command::Unblock(whom) => (Act::Unblock, whom, String::new()),
        Command::Verify(whom) => (Act::Verify, whom, String::new()),
        Command::SendReset(whom) => (Act::SendReset, whom, String::new()),
        Command::SetRole { whom, role } => (Act::SetRole(role), whom.whom, whom.reason),
        Command::ResetTwoFactor(against) => (Act::ResetTwoFactor, against.whom, against.reason),
        Command::RemindTwoFactor(whom) => (Act::RemindTwoFactor, whom, String::new()),
        Command::Block(against) => (Act::Block, against.whom, against.reason),
        Command::EndSessions(against) => (Act::EndSessions, against.whom, against.reason),
        Command::Delete { whom, now: true } => (Act::Delete, whom.whom, whom.reason),
        Command::Delete { whom, now: false } => (Act::BeginDeletion, whom.whom, whom.reason),
        Command::Keep(whom) => (Act::Keep, whom, String::new()),
    };
    perform(&app, &whom, act, reason).await
}

/// An account as a line or an object.
#[derive(Serialize)]
struct UserLine {
    id: String,
    username: String,
    email: Option<String>,
    name: String,
    phone: String,
    role: &'static str,
    status: &'static str,
    two_factor: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaves: Option<String>,
    joined: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl UserLine {
    fn of(user: &Listed, required_of: &[Role]) -> Self {
        Self {
            id: user.id.as_str().to_owned(),
            username: user.username.to_string(),
            email: user.email.as_ref().map(Email::to_string),
            name: user.full_name.clone(),
            phone: user.phone.clone(),
            role: user.role.as_str(),
            status: user.status().as_str(),
            two_factor: user.two_factor(required_of).as_str(),
            blocked_reason: user.blocked_reason.clone(),
            leaves: user.leaves_at.map(Moment::iso),
            joined: user.created_at.iso(),
            last_seen: None,
            deleted: false,
        }
    }

    fn line(&self) -> String {
        let email = self.email.as_deref().unwrap_or("-");
        format!("{}  {:<30}  {:<40}  {:<9}  {}", self.id, self.username, email, self.role, self.status)
    }
}

/// The roles that have to sign in with a second step.
fn required_of(app: &App) -> &[Role] {
    &app.config.two_factor.required_of
}

async fn list(app: &App, filter: Filter, as_json: bool) -> Outcome {
    let order = Order { key: Key::Joined, descending: false };
    let required_of = filter.required_of.clone();
    let mut after = None;
    loop {
        let filter = filter.clone();
        let found =
            app.db.read(move |conn| directory::page(conn, &filter, order, after.as_ref(), BATCH)).await?;
        for line in found.users.iter().map(|user| UserLine::of(user, &required_of)) {
            say(if as_json { json(&line)? } else { line.line() })?;
        }
        match found.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

async fn show(app: &App, whom: &Whom) -> Outcome {
    let user = find(app, &whom.person).await?;
    let wanted = vec![user.id.clone()];
    let seen = app.db.read(move |conn| sessions::last_seen(conn, &wanted)).await?;
    let line = UserLine {
        last_seen: seen.get(&user.id).map(|at| at.iso()),
        ..UserLine::of(&user.into(), required_of(app))
    };
    if whom.json {
        say(json(&line)?)?;
        return Ok(());
    }
    let rows = [
        ("id", line.id.as_str()),
        ("username", &line.username),
        ("email", line.email.as_deref().unwrap_or("-")),
        ("name", &line.name),
        ("phone", &line.phone),
        ("role", line.role),
        ("status", line.status),
        ("two-step", line.two_factor),
        ("blocked", line.blocked_reason.as_deref().unwrap_or_default()),
        ("leaves", line.leaves.as_deref().unwrap_or_default()),
        ("joined", &line.joined),
        ("last seen", line.last_seen.as_deref().unwrap_or("never")),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        say(format_args!("{name:<10} {value}"))?;
    }
    Ok(())
}

async fn find(app: &App, person: &str) -> Result<User, Box<dyn std::error::Error>> {
    let wanted = person.trim().to_ascii_lowercase();
    let found = app.db.read(move |conn| users::by_any_name(conn, &wanted)).await?;
    found.ok_or_else(|| Exit::NotFound(format!("there is no account called {person}")).into())
}

async fn perform(app: &App, whom: &Whom, act: Act, reason: String) -> Outcome {
    let reason = act.kind().reason(&reason).map_err(|message| Exit::NotNow(english(&message)))?;
    let user = find(app, &whom.person).await?;
    let actor = operator(reason);
    let id = user.id.clone();
    let rules = Rules::new(&app.config, &app.keys);
    let now = app.clock.now();
    let done = app.db.write(move |conn| act.perform(conn, &id, &actor, rules, now)).await;
    if let Some(picture) = done.map_err(explained)?.picture {
        app.pictures.remove(Kept::Picture, &picture).await;
    }
    let id = user.id.clone();
    let current = app.db.read(move |conn| users::by_id(conn, &id)).await?;
    let line = UserLine {
        deleted: current.is_none(),
        ..UserLine::of(&current.unwrap_or(user).into(), required_of(app))
    };
    say(match (whom.json, line.deleted) {
        (true, _) => json(&line)?,
        (false, true) => format!("{} has been deleted.", line.username),
        (false, false) => line.line(),
    })
}
