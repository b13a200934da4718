//! The audit log: who did what, when and from where. Nothing in the program changes a row of it.

use std::net::IpAddr;
use std::time::Duration;

use diesel::prelude::*;

use super::{Cursor, older_than};
use crate::db::schema::events;
use crate::db::{Connection, after_commit};
use crate::identity::{Id, Message, Moment, Sentence, t};

/// Each kind of event: its word in the database and in the log, in the words of the OWASP Logging Vocabulary where it has
/// them, and what a page calls it.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident: $word:literal, $name:expr;)+) => {
        /// Kinds of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[$about])* $kind),+ }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word in the database and in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),+ }
            }

            /// What it is called on a page.
            pub fn name(self) -> Sentence {
                match self { $(Self::$kind => $name),+ }
            }
        }
    };
}

kinds! {
    /// A new account that waits for its code.
    SignedUp: "signed-up", t("Signed up");
    /// An account was confirmed.
    Verified: "verified", t("Email address confirmed");
    /// A wrong code.
    CodeWrong: "code-wrong", t("Wrong code");
    /// Signed in.
    SignedIn: "signed-in", t("Signed in");
    /// A wrong password, or an unknown name.
    SignInFailed: "sign-in-failed", t("Sign-in failed");
    /// The right password of a blocked account.
    SignInBlocked: "sign-in-blocked", t("Sign-in refused (blocked)");
    /// Signed out.
    SignedOut: "signed-out", t("Signed out");
    /// The password was confirmed.
    PasswordConfirmed: "password-confirmed", t("Password confirmed");
    /// A reset link was sent.
    ResetSent: "reset-sent", t("Password link sent");
    /// A new password by reset link.
    PasswordReset: "password-reset", t("Password reset");
    /// A new password by the person signed in.
    PasswordChanged: "password-changed", t("Password changed");
    /// A change of email was requested.
    EmailChangeAsked: "email-change-asked", t("Email change requested");
    /// A new email address was confirmed.
    EmailChanged: "email-changed", t("Email changed");
    /// A change of email was undone.
    EmailRestored: "email-restored", t("Email change undone");
    /// Details were changed.
    DetailsChanged: "details-changed", t("Details changed");
    /// The picture was changed or removed.
    PictureChanged: "picture-changed", t("Picture changed");
    /// A mail expired or was refused for good.
    MailGivenUp: "mail-given-up", t("Email undeliverable");
    /// An account was made from the command line.
    SuperuserCreated: "superuser-created", t("Superuser created");
    /// An account was blocked.
    Blocked: "blocked", t("Account blocked");
    /// An account was unblocked.
    Unblocked: "unblocked", t("Account unblocked");
    /// A role was changed.
    RoleChanged: "role-changed", t("Role changed");
    /// An account was added by a superuser.
    AccountAdded: "account-added", t("Account created");
    /// An account was deleted.
    AccountRemoved: "account-removed", t("Account deleted");
    /// Sessions were ended by somebody else.
    SessionsEnded: "sessions-ended", t("Signed out by an administrator");
    /// A code was sent by a superuser.
    CodeSent: "code-sent", t("Code sent");
    /// A code was cancelled by a superuser.
    CodeCancelled: "code-cancelled", t("Code cancelled");
    /// A password link was cancelled by a superuser.
    ResetCancelled: "reset-cancelled", t("Password link cancelled");
    /// The list of accounts was saved as a file.
    AccountsDownloaded: "accounts-downloaded", t("Accounts downloaded");
    /// A mail was sent to the courier again.
    MailRetried: "mail-retried", t("Email queued again");
    /// A mail was cancelled.
    MailCancelled: "mail-cancelled", t("Email cancelled");
}

impl Kind {
    /// Reads a word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// Where something came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A browser or program at that IP address.
    Ip(IpAddr),
    /// Somebody at the command line.
    CommandLine,
    /// This program by itself.
    Program,
}

const COMMAND_LINE: &str = "command-line";
const PROGRAM: &str = "program";

impl Source {
    /// The text in the database.
    pub fn stored(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::CommandLine => COMMAND_LINE.to_owned(),
            Self::Program => PROGRAM.to_owned(),
        }
    }

    /// Names a stored source on a page.
    pub fn name(stored: &str) -> Message {
        match stored {
            COMMAND_LINE => t("Command line").into(),
            PROGRAM => t("Latchkey (automatic)").into(),
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
    insert(conn, &NewEvent { kind, user, actor: None, source, detail, was: "", became: "" }, now)
}

/// Logs that something happened.
pub fn insert(conn: &mut Connection, new: &NewEvent<'_>, now: Moment) -> QueryResult<()> {
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
    Ok(())
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

    /// Whether it is one of that kind.
    pub fn is_of(&self, kind: Kind) -> bool {
        Kind::parse(&self.kind) == Some(kind)
    }

    /// Names what happened, on a page.
    pub fn name(&self) -> Message {
        Kind::parse(&self.kind)
            .map_or_else(|| Message::verbatim(self.kind.clone()), |kind| kind.name().into())
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

/// Forgets events that are older than `kept`.
pub fn sweep(conn: &mut Connection, kept: Duration, now: Moment) -> QueryResult<usize> {
    diesel::delete(events::table.filter(events::at.lt(now.minus(kept)))).execute(conn)
}
