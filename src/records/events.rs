//! The audit log: who did what, when and from where. Nothing in the program changes a row of it, but to forget who an account that
//! is gone belonged to.

mod looking_back;
mod yours;

use std::net::IpAddr;

use diesel::prelude::*;

use super::{Cursor, older_than};
use crate::db::schema::events;
use crate::db::{Connection, after_commit};
use crate::identity::{Id, Message, Moment, Role, Sentence, t};

pub use looking_back::{failures_before, forget_some, is_newest, sign_ups_gone};

/// Each kind of event: its word in the database and in the log, in the words of the OWASP Logging Vocabulary where it has
/// them; what a page calls it; and the sentence that tells one, and another for what somebody did to somebody else.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident: $word:literal, $name:expr, $told:expr $(, $acted:expr)?;)+) => {
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

            /// Tells of one, with `{user}` and `{actor}` as the people in it.
            fn told(self) -> Sentence {
                match self { $(Self::$kind => $told),+ }
            }

            /// Tells of one that `{actor}` did to `{user}`, where there is such a kind.
            fn acted(self) -> Option<Sentence> {
                match self { $(Self::$kind => None$(.or(Some($acted)))?),+ }
            }
        }
    };
}

kinds! {
    /// A new account that waits for its code.
    SignedUp: "signed-up", t("Signed up"), t("{user} signed up");
    /// An account was confirmed.
    Verified: "verified", t("Email address confirmed"), t("{user} confirmed their email address"), t("{actor} confirmed {user}'s email address");
    /// A wrong code.
    CodeWrong: "code-wrong", t("Wrong code"), t("{user} entered a wrong code");
    /// Signed in.
    SignedIn: "signed-in", t("Signed in"), t("{user} signed in");
    /// A wrong password, or an unknown name.
    SignInFailed: "sign-in-failed", t("Sign-in failed"), t("A sign-in as {user} failed");
    /// The right password of a blocked account.
    SignInBlocked: "sign-in-blocked", t("Sign-in refused (blocked)"), t("{user} tried to sign in while blocked");
    /// Signed out.
    SignedOut: "signed-out", t("Signed out"), t("{user} signed out");
    /// Another device was signed out by its own person.
    DeviceSignedOut: "device-signed-out", t("Device signed out"), t("{user} signed out another device");
    /// All other devices, or all of them, were.
    DevicesSignedOut: "devices-signed-out", t("Devices signed out"), t("{user} signed out their devices");
    /// An application was opened, with a session there.
    ApplicationOpened: "application-opened", t("Application opened"), t("{user} opened an application");
    /// The sessions at an application were ended by their own person.
    ApplicationLeft: "application-signed-out", t("Signed out of an application"), t("{user} signed out of an application");
    /// The password was confirmed.
    PasswordConfirmed: "password-confirmed", t("Password confirmed"), t("{user} re-entered their password");
    /// A reset link was sent.
    ResetSent: "reset-sent", t("Password link sent"), t("A password link was sent to {user}"), t("{actor} sent a password link to {user}");
    /// A new password by reset link.
    PasswordReset: "password-reset", t("Password reset"), t("{user} chose a new password using a password link");
    /// A new password by the person signed in.
    PasswordChanged: "password-changed", t("Password changed"), t("{user} changed their password");
    /// A change of email was requested.
    EmailChangeAsked: "email-change-asked", t("Email change requested"), t("{user} asked to change their email address");
    /// A new email address was confirmed.
    EmailChanged: "email-changed", t("Email changed"), t("{user} changed their email address");
    /// A change of email was undone.
    EmailRestored: "email-restored", t("Email change undone"), t("{user} undid a change to their email address");
    /// The account was taken back from whoever else had it in hand.
    AccountSecured: "account-secured", t("Account secured (“This wasn't me”)"), t("{user} chose “This wasn't me” and secured the account");
    /// Details were changed.
    DetailsChanged: "details-changed", t("Details changed"), t("{user} changed their details"), t("{actor} changed {user}'s details");
    /// The picture was changed or removed.
    PictureChanged: "picture-changed", t("Picture changed"), t("{user} changed their picture"), t("{actor} removed {user}'s picture");
    /// Everything that is kept about the person was downloaded.
    DataDownloaded: "data-downloaded", t("Data downloaded"), t("{user} downloaded a copy of their data");
    /// The days of grace before a deletion began.
    DeletionAsked: "deletion-asked", t("Deletion requested"), t("{user} asked for their account to be deleted"), t("{actor} asked for the account {user} to be deleted");
    /// They ended, and the account stays.
    DeletionCancelled: "deletion-cancelled", t("Deletion cancelled"), t("{user} kept their account"), t("{actor} cancelled the deletion of {user}'s account");
    /// They are over: the tombstone of an account.
    AccountLeft: "account-left", t("Account deleted for good"), t("An account was deleted for good");
    /// Its person was told that nobody uses the account.
    DormancyTold: "dormancy-told", t("Told that the account is unused"), t("{user} was told that their account is unused");
    /// A mail expired or was refused for good.
    MailGivenUp: "mail-given-up", t("Email undeliverable"), t("An email to {user} couldn't be delivered");
    /// An account was made from the command line.
    SuperuserCreated: "superuser-created", t("Superuser created"), t("The superuser {user} was created"), t("{actor} created the superuser {user}");
    /// An account was blocked.
    Blocked: "blocked", t("Account blocked"), t("{user} was blocked"), t("{actor} blocked {user}");
    /// An account was unblocked.
    Unblocked: "unblocked", t("Account unblocked"), t("{user} was unblocked"), t("{actor} unblocked {user}");
    /// A role was changed.
    RoleChanged: "role-changed", t("Role changed"), t("{user}'s role was changed"), t("{actor} changed {user}'s role");
    /// An account was added by a superuser.
    AccountAdded: "account-added", t("Account created"), t("The account {user} was created"), t("{actor} created the account {user}");
    /// An account was deleted.
    AccountRemoved: "account-removed", t("Account deleted"), t("The account {user} was deleted"), t("{actor} deleted the account {user}");
    /// Sessions were ended by somebody else.
    SessionsEnded: "sessions-ended", t("Signed out by an administrator"), t("{user} was signed out"), t("{actor} signed {user} out");
    /// A code was sent by a superuser.
    CodeSent: "code-sent", t("Code sent"), t("A code was sent to {user}"), t("{actor} sent a code to {user}");
    /// A code was cancelled by a superuser.
    CodeCancelled: "code-cancelled", t("Code cancelled"), t("A code for {user} was cancelled"), t("{actor} cancelled a code for {user}");
    /// A password link was cancelled by a superuser.
    ResetCancelled: "reset-cancelled", t("Password link cancelled"), t("A password link for {user} was cancelled"), t("{actor} cancelled a password link for {user}");
    /// The list of accounts was saved as a file.
    AccountsDownloaded: "accounts-downloaded", t("Accounts downloaded"), t("The list of accounts was downloaded"), t("{actor} downloaded the list of accounts");
    /// A mail was sent to the courier again.
    MailRetried: "mail-retried", t("Email queued again"), t("An email to {user} was requeued"), t("{actor} requeued an email to {user}");
    /// A mail was cancelled.
    MailCancelled: "mail-cancelled", t("Email cancelled"), t("An email to {user} was cancelled"), t("{actor} cancelled an email to {user}");
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
