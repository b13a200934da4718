//! Look after people from the shell: the same acts as on the admin pages, with the same rules and the same events.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Outcome, Stop, english, json, open, say, shell, stop};
use crate::acts::{Act, Rules};
use crate::app::App;
use crate::db;
use crate::identity::{Id, Role, Standing};
use crate::records::sign_ins;
use crate::records::users::directory::{self, Filter, Key, Order};
use crate::records::users::{self, User};

/// So many people are read at once.
const BATCH: usize = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Everybody, or those who fit
    List {
        /// Beginning of a username, an address or a name
        #[arg(long, default_value = "")]
        search: String,
        /// user, merchant, staff or superuser
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// active, unverified or blocked
        #[arg(long, value_parser = standing)]
        standing: Option<Standing>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// What is known about one person
    Show(Whom),
    /// Keep somebody out and end their sessions
    Block(Against),
    /// Let somebody in again
    Unblock(Whom),
    /// Take somebody's address as confirmed
    Verify(Whom),
    /// Give somebody another role
    SetRole {
        #[command(flatten)]
        whom: Against,
        /// user, merchant, staff or superuser
        #[arg(long, value_parser = role)]
        role: Role,
    },
    /// Mail somebody a link to choose a password
    SendReset(Whom),
    /// Sign somebody out everywhere
    EndSessions(Against),
    /// Remove somebody for good
    Delete(Against),
}

#[derive(Args)]
pub(super) struct Whom {
    /// Username, address or identifier
    person: String,
    /// A JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Against {
    #[command(flatten)]
    whom: Whom,
    /// Why; the person may be told
    #[arg(long)]
    reason: String,
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "choose user, merchant, staff or superuser".to_owned())
}

fn standing(word: &str) -> Result<Standing, String> {
    Standing::parse(word).ok_or_else(|| "choose active, unverified or blocked".to_owned())
}

pub(super) async fn run(command: Command) -> Outcome {
    let app = open()?;
    let (act, whom, reason) = match command {
        Command::List { search, role, standing, json } => {
            let filter = Filter { search: search.trim().to_lowercase(), role, standing, ..Filter::default() };
            return list(&app, filter, json).await;
        }
        Command::Show(whom) => return show(&app, &whom).await,
        Command::Unblock(whom) => (Act::Unblock, whom, String::new()),
        Command::Verify(whom) => (Act::Verify, whom, String::new()),
        Command::SendReset(whom) => (Act::SendReset, whom, String::new()),
        Command::SetRole { whom, role } => (Act::SetRole(role), whom.whom, whom.reason),
        Command::Block(against) => (Act::Block, against.whom, against.reason),
        Command::EndSessions(against) => (Act::EndSessions, against.whom, against.reason),
        Command::Delete(against) => (Act::Delete, against.whom, against.reason),
    };
    perform(&app, &whom, act, reason).await
}

/// A person as a line or an object.
#[derive(Serialize)]
struct Told {
    id: String,
    username: String,
    email: Option<String>,
    name: String,
    phone: String,
    role: &'static str,
    standing: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_reason: Option<String>,
    joined: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl Told {
    fn of(user: &User) -> Self {
        Self {
            id: user.id.as_str().to_owned(),
            username: user.username.clone(),
            email: user.email.clone(),
            name: user.full_name.clone(),
            phone: user.phone.clone(),
            role: user.role.as_str(),
            standing: user.standing().as_str(),
            blocked_reason: user.blocked_reason.clone(),
            joined: user.created_at.iso(),
            last_seen: None,
            deleted: false,
        }
    }

    fn line(&self) -> String {
        let email = self.email.as_deref().unwrap_or("-");
        format!("{}  {:<30}  {:<40}  {:<9}  {}", self.id, self.username, email, self.role, self.standing)
    }
}

async fn list(app: &App, filter: Filter, as_json: bool) -> Outcome {
    let order = Order { key: Key::Joined, descending: false };
    let mut after = None;
    loop {
        let filter = filter.clone();
        let page = move |conn: &mut db::Connection| {
            Ok::<_, db::Error>(directory::page(conn, &filter, order, after.as_ref(), BATCH)?)
        };
        let found = app.db.read(page).await?;
        for told in found.people.iter().map(Told::of) {
            say(if as_json { json(&told)? } else { told.line() });
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
    let seen = app.db.read(move |conn| Ok::<_, db::Error>(sign_ins::last_seen(conn, &wanted)?)).await?;
    let told = Told { last_seen: seen.get(&user.id).map(|at| at.iso()), ..Told::of(&user) };
    if whom.json {
        say(json(&told)?);
        return Ok(());
    }
    let rows = [
        ("id", told.id.as_str()),
        ("username", &told.username),
        ("email", told.email.as_deref().unwrap_or("-")),
        ("name", &told.name),
        ("phone", &told.phone),
        ("role", told.role),
        ("standing", told.standing),
        ("blocked", told.blocked_reason.as_deref().unwrap_or_default()),
        ("joined", &told.joined),
        ("last seen", told.last_seen.as_deref().unwrap_or("never")),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        say(format_args!("{name:<10} {value}"));
    }
    Ok(())
}

async fn find(app: &App, person: &str) -> Result<User, Box<dyn std::error::Error>> {
    let wanted = person.trim().to_ascii_lowercase();
    let find = move |conn: &mut db::Connection| {
        let found = match Id::parse(&wanted) {
            Some(id) => users::by_id(conn, &id)?,
            None if !wanted.is_ascii() => None,
            None if wanted.contains('@') => users::by_email(conn, &wanted)?,
            None => users::by_username(conn, &wanted)?,
        };
        Ok::<_, db::Error>(found)
    };
    let found = app.db.read(find).await?;
    found.ok_or_else(|| Stop::NotFound(format!("there is nobody called {person}")).into())
}

async fn perform(app: &App, whom: &Whom, act: Act, reason: String) -> Outcome {
    let reason = act.reason(&reason).map_err(|message| Stop::Refused(english(&message)))?;
    let user = find(app, &whom.person).await?;
    let actor = shell(reason);
    let (id, rules, now) = (user.id.clone(), Rules::new(&app.config, &app.keys), app.clock.now());
    let done = match app.db.write(move |conn| act.perform(conn, &id, &actor, rules, now)).await {
        Ok(done) => done,
        Err(refused) => return Err(stop(refused)),
    };
    if let Some(picture) = done.picture {
        app.pictures.remove(&picture).await;
    }
    let id = user.id.clone();
    let now = app.db.read(move |conn| Ok::<_, db::Error>(users::by_id(conn, &id)?)).await?;
    let told = Told { deleted: now.is_none(), ..Told::of(now.as_ref().unwrap_or(&user)) };
    say(match (whom.json, told.deleted) {
        (true, _) => json(&told)?,
        (false, true) => format!("{} is gone.", told.username),
        (false, false) => told.line(),
    });
    Ok(())
}
