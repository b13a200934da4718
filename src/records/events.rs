//! The audit log: who did what, when and from where. Nothing in the program changes a row of it, but to forget who an account that
//! is gone belonged to.

mod kinds;
mod looking_back;
mod yours;

use std::net::IpAddr;

use diesel::prelude::*;

use super::{Cursor, older_than};
use crate::db::schema::events;
use crate::db::{Connection, after_commit};
use crate::identity::{Id, Message, Moment, Role, t};

pub use kinds::Kind;
pub use looking_back::{failures_before, forget_some, is_newest, sign_ups_gone};

/// Where something came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A browser or program at that IP address.
    Ip(IpAddr),
    /// Somebody at the command line.
    CommandLine,
    /// This program by itself.
    Program,
    /// Nobody says any more: the account is gone.
    Forgotten,
}

/// The detail of a picture that its person removed.
pub const PICTURE_REMOVED: &str = "removed";
/// The detail of a change that puts back what was before.
pub const UNDONE: &str = "undone";

const COMMAND_LINE: &str = "command-line";
const PROGRAM: &str = "program";
const FORGOTTEN: &str = "forgotten";

impl Source {
    /// The text in the database.
    pub fn stored(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::CommandLine => COMMAND_LINE.to_owned(),
            Self::Program => PROGRAM.to_owned(),
            Self::Forgotten => FORGOTTEN.to_owned(),
        }
    }

    /// Names a stored source on a page.
    pub fn name(stored: &str) -> Message {
        match stored {
            COMMAND_LINE => t("Command line").into(),
            PROGRAM => t("Latchkey (automatic)").into(),
            FORGOTTEN => t("Not kept").into(),
            ip => Message::verbatim(ip),
        }
    }
}

/// Something that happened, to be written to the audit log. No part of it ever holds a secret.
pub struct NewEvent<'a> {
    pub kind: Kind,
    /// The account that it happened to.
    pub user: Option<&'a Id>,
    /// Who did it, when that is somebody else.
    pub actor: Option<&'a Id>,
    /// Where it was done.
    pub source: &'a Source,
    /// The reason that was given, or what else there is to say.
    pub detail: &'a str,
    pub was: &'a str,
    pub became: &'a str,
}

/// Logs what a person, or the program, did. `detail` never holds a secret.
pub fn note(
    conn: &mut Connection,
    kind: Kind,
    user: Option<&Id>,
    source: &Source,
    detail: &str,
    now: Moment,
) -> QueryResult<()> {
    insert(conn, &NewEvent { kind, user, actor: None, source, detail, was: "", became: "" }, now).map(drop)
}

/// Logs that something happened; returns the identifier of the event.
pub fn insert(conn: &mut Connection, new: &NewEvent<'_>, now: Moment) -> QueryResult<Id> {
    let event = Event {
        id: Id::new(),
        at: now,
        kind: new.kind.as_str().to_owned(),
        user_id: new.user.cloned(),
        actor_id: new.actor.cloned(),
        source: new.source.stored(),
        detail: new.detail.to_owned(),
        was: new.was.to_owned(),
        became: new.became.to_owned(),
    };
    diesel::insert_into(events::table).values(&event).execute(conn)?;
    after_commit::audit(event.line());
    Ok(event.id)
}

/// Something that happened: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub struct Event {
    pub id: Id,
    pub at: Moment,
    kind: String,
    /// The account that it happened to.
    pub user_id: Option<Id>,
    /// Who did it, when that is somebody else.
    pub actor_id: Option<Id>,
    /// Where it was done, as [`Source::name`] reads it.
    pub source: String,
    /// The reason that was given, or what else there is to say.
    pub detail: String,
    pub was: String,
    pub became: String,
}

impl Event {
    /// Tells it to programs that read the log. Without reasons and details: those are for who may see the audit log.
    fn line(&self) -> String {
        serde_json::json!({
            "id": self.id.as_str(),
            "event": self.kind,
            "user": self.user_id.as_ref().map(Id::as_str),
            "actor": self.actor_id.as_ref().map(Id::as_str),
            "source": self.source,
        })
        .to_string()
    }

    /// Its kind; none for one that a newer version wrote.
    pub fn kind(&self) -> Option<Kind> {
        Kind::parse(&self.kind)
    }

    /// Whether somebody did it to somebody else: a person, or whoever works at the command line.
    fn is_act(&self) -> bool {
        let is_known = self.kind().is_some_and(|kind| kind.acted().is_some());
        is_known && (self.actor_id.is_some() || self.source == COMMAND_LINE)
    }

    /// Why somebody did it to somebody else; empty where nobody said.
    pub fn reason(&self) -> &str {
        let says_more =
            matches!(self.kind(), Some(Kind::MailRetried | Kind::MailCancelled | Kind::AccountsDownloaded));
        if self.is_act() && !says_more { &self.detail } else { "" }
    }

    /// Tells what happened, on a page, with `{user}` and `{actor}` as the people in it.
    pub fn told(&self) -> Message {
        let Some(kind) = self.kind() else { return Message::verbatim(self.kind.clone()) };
        let new_role = Role::parse(&self.became).filter(|_| kind == Kind::RoleChanged && self.is_act());
        let sentence = match new_role {
            _ if kind == Kind::PictureChanged && self.detail == PICTURE_REMOVED => {
                t("{user} removed their picture")
            }
            _ if kind == Kind::PictureChanged && self.detail == UNDONE => t("{user} put their picture back"),
            _ if kind == Kind::DetailsChanged && self.detail == UNDONE => {
                t("{user} undid a change to their details")
            }
            Some(Role::User) => t("{actor} changed {user}'s role to User"),
            Some(Role::Merchant) => t("{actor} made {user} a merchant"),
            Some(Role::Staff) => t("{actor} made {user} staff"),
            Some(Role::Superuser) => t("{actor} made {user} a superuser"),
            None => kind.acted().filter(|_| self.is_act()).unwrap_or_else(|| kind.told()),
        };
        sentence.into()
    }
}

/// Whose events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    #[default]
    Anybody,
    /// Those of one account, which may be gone.
    One(Id),
    /// Those of an account that never was: none.
    Nobody,
}

impl Whose {
    fn id(&self) -> Option<&Id> {
        match self {
            Self::One(id) => Some(id),
            Self::Anybody | Self::Nobody => None,
        }
    }
}

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// That happened to this account.
    pub user: Whose,
    /// That this account did to somebody else.
    pub actor: Whose,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// Only those of one of these kinds, where there are any.
    pub among: &'static [Kind],
    /// Only those that somebody else did.
    pub acted: bool,
    /// Then or later.
    pub from: Option<Moment>,
    /// Before then.
    pub before: Option<Moment>,
}

/// Lists the newest events after a cursor.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: i64,
) -> QueryResult<Vec<Event>> {
    if filter.user == Whose::Nobody || filter.actor == Whose::Nobody {
        return Ok(Vec::new());
    }
    let mut query = events::table.into_boxed();
    if let Some(user) = filter.user.id() {
        query = query.filter(events::user_id.eq(user.clone()));
    }
    if let Some(actor) = filter.actor.id() {
        query = query.filter(events::actor_id.eq(actor.clone()));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(events::kind.eq(kind.as_str()));
    }
    if !filter.among.is_empty() {
        query = query.filter(events::kind.eq_any(filter.among.iter().map(|kind| kind.as_str())));
    }
    if filter.acted {
        query = query.filter(events::actor_id.is_not_null().or(events::source.eq(COMMAND_LINE)));
    }
    if let Some(from) = filter.from {
        query = query.filter(events::at.ge(from));
    }
    if let Some(before) = filter.before {
        query = query.filter(events::at.lt(before));
    }
    older_than!(query, after, events::at, events::id)
        .order((events::at.desc(), events::id.desc()))
        .limit(limit)
        .select(Event::as_select())
        .load(conn)
}

/// Returns when the newest event was.
pub fn newest(conn: &mut Connection) -> QueryResult<Option<Moment>> {
    events::table.order(events::at.desc()).select(events::at).first(conn).optional()
}

/// Forgets events from before then.
pub(super) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(events::table.filter(events::at.lt(before))).execute(conn)
}
