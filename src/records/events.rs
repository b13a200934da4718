//! The audit trail: who did what, when and from where. Nothing in the program changes a row of it.

use std::time::Duration;

use diesel::prelude::*;

use super::{Point, older_than};
use crate::db::Connection;
use crate::db::schema::events;
use crate::identity::{Id, Message, Moment};

/// Each kind of event: its word in the database and in the log, in the words of the OWASP Logging Vocabulary where it has
/// them, and what a page calls it.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident: $word:literal, $name:literal;)+) => {
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
            pub fn name(self) -> Message {
                match self { $(Self::$kind => $name.into()),+ }
            }
        }
    };
}

kinds! {
    /// A new account that waits for its code.
    SignedUp: "signed-up", "Signed up";
    /// An account was confirmed.
    Verified: "verified", "Confirmed the address";
    /// A wrong code.
    CodeWrong: "code-wrong", "Entered a wrong code";
    /// Signed in.
    SignedIn: "signed-in", "Signed in";
    /// A wrong password, or an unknown name.
    SignInFailed: "sign-in-failed", "Failed to sign in";
    /// The right password of a blocked account.
    SignInBlocked: "sign-in-blocked", "Was kept out by a block";
    /// Signed out.
    SignedOut: "signed-out", "Signed out";
    /// The password was given again.
    PasswordConfirmed: "password-confirmed", "Gave the password again";
    /// A reset link was sent.
    ResetSent: "reset-sent", "Was sent a reset link";
    /// A new password by reset link.
    PasswordReset: "password-reset", "Chose a new password by link";
    /// A new password by the person signed in.
    PasswordChanged: "password-changed", "Changed the password";
    /// Another address was asked for.
    EmailChangeAsked: "email-change-asked", "Asked for another address";
    /// Another address was confirmed.
    EmailChanged: "email-changed", "Changed the address";
    /// The old address was brought back.
    EmailRestored: "email-restored", "Brought the old address back";
    /// Details were changed.
    DetailsChanged: "details-changed", "Changed details";
    /// The picture was changed or removed.
    PictureChanged: "picture-changed", "Changed the picture";
    /// A mail ran out of time or was refused for good.
    MailGivenUp: "mail-given-up", "A mail was given up";
    /// An account was made from the command line.
    SuperuserCreated: "superuser-created", "A superuser was made";
    /// An account was blocked.
    Blocked: "blocked", "Was blocked";
    /// A block was lifted.
    Unblocked: "unblocked", "Was unblocked";
    /// Another role was given.
    RoleChanged: "role-changed", "Was given another role";
    /// An account was added by a superuser.
    AccountAdded: "account-added", "Was added";
    /// An account was deleted.
    AccountRemoved: "account-removed", "Was deleted";
    /// Browsers were signed out by somebody else.
    SessionsEnded: "sessions-ended", "Was signed out";
    /// Another code was sent by a superuser.
    CodeSent: "code-sent", "Was sent a code";
    /// A code was made worthless by a superuser.
    CodeCancelled: "code-cancelled", "A code was cancelled";
    /// A reset link was made worthless by a superuser.
    ResetCancelled: "reset-cancelled", "A reset link was cancelled";
    /// A mail was sent to the courier again.
    MailRetried: "mail-retried", "A mail was tried again";
    /// A mail was cancelled.
    MailCancelled: "mail-cancelled", "A mail was cancelled";
}

impl Kind {
    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

/// Where something came from: the address of the browser, or `-` for the program itself.
#[derive(Clone, Debug)]
pub struct Origin(pub String);

/// Something that happened, as it is written down. No part of it ever holds a secret.
pub struct NewEvent<'a> {
    /// What.
    pub kind: Kind,
    /// To whom.
    pub user: Option<&'a Id>,
    /// By whom, when that is somebody else.
    pub actor: Option<&'a Id>,
    /// From where.
    pub origin: &'a Origin,
    /// The reason that was given, or what else there is to say.
    pub detail: &'a str,
    /// What it was before.
    pub was: &'a str,
    /// What it became.
    pub became: &'a str,
}

/// Writes down what a person, or the program, did. `detail` never holds a secret.
pub fn note(
    conn: &mut Connection,
    kind: Kind,
    user: Option<&Id>,
    origin: &Origin,
    detail: &str,
    now: Moment,
) -> QueryResult<()> {
    insert(conn, &NewEvent { kind, user, actor: None, origin, detail, was: "", became: "" }, now)
}

/// Writes down that something happened.
pub fn insert(conn: &mut Connection, new: &NewEvent<'_>, now: Moment) -> QueryResult<()> {
    diesel::insert_into(events::table)
        .values((
            events::id.eq(Id::new()),
            events::at.eq(now),
            events::kind.eq(new.kind.as_str()),
            events::user_id.eq(new.user),
            events::actor_id.eq(new.actor),
            events::address.eq(&new.origin.0),
            events::detail.eq(new.detail),
            (events::was.eq(new.was), events::became.eq(new.became)),
        ))
        .execute(conn)
        .map(drop)
}

/// Something that happened.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = events)]
pub struct Event {
    /// Its identifier.
    pub id: Id,
    /// When.
    pub at: Moment,
    /// What, in its word.
    kind: String,
    /// To whom.
    pub user_id: Option<Id>,
    /// By whom, when that is somebody else.
    pub actor_id: Option<Id>,
    /// From where.
    pub address: String,
    /// The reason that was given, or what else there is to say.
    pub detail: String,
    /// What it was before.
    pub was: String,
    /// What it became.
    pub became: String,
}

impl Event {
    /// What happened, as a page calls it.
    pub fn name(&self) -> Message {
        Kind::parse(&self.kind).map_or_else(|| Message::new(self.kind.clone()), Kind::name)
    }
}

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About that person.
    pub user: Option<Id>,
    /// Done by that person to somebody else.
    pub actor: Option<Id>,
    /// Of that kind.
    pub kind: Option<Kind>,
    /// Then or later.
    pub from: Option<Moment>,
    /// Before then.
    pub before: Option<Moment>,
}

/// The newest events after a place.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<&Point>,
    limit: i64,
) -> QueryResult<Vec<Event>> {
    let mut query = events::table.into_boxed();
    if let Some(user) = &filter.user {
        query = query.filter(events::user_id.eq(user.clone()));
    }
    if let Some(actor) = &filter.actor {
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
