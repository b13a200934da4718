//! What events say besides their sentences, as people say it: devices, what changed, the mail that it was about.

use diesel::QueryResult;

use crate::db::Connection;
use crate::identity::{AccountStatus, CodePurpose, Id, Message, Moment, Role, browser_name, t};
use crate::mail::Mail;
use crate::records::events::{self, Event, Filter, Kind, Source, Whose};
use crate::records::outbox::State;
use crate::records::users::User;
use crate::site::listing::{ROWS, one_more};

/// Something that happened to an account, as its person is told.
pub struct Happened {
    pub id: Id,
    pub at: Moment,
    pub told: Message,
    /// Why an administrator did it.
    pub reason: String,
    pub detail: Message,
    pub changes: Vec<Change>,
    /// From where; none for what we did by ourselves, and for what administrators did.
    pub source: Option<Message>,
}

impl Happened {
    /// Tells an event.
    pub fn of(event: &Event) -> Self {
        let is_own = event.actor_id.is_none() && event.source != Source::Program.stored();
        Self {
            id: event.id.clone(),
            at: event.at,
            told: event.told_to_owner(),
            reason: event.reason().to_owned(),
            detail: detail(event),
            changes: changes(event),
            source: is_own.then(|| Source::name(&event.source)),
        }
    }
}

/// What somebody who has an account in hand does in its person's name.
const IN_THEIR_NAME: &[Kind] = &[
    Kind::SignedIn,
    Kind::PasswordReset,
    Kind::PasswordChanged,
    Kind::EmailChangeAsked,
    Kind::EmailChanged,
    Kind::EmailRestored,
    Kind::DetailsChanged,
    Kind::PictureChanged,
    Kind::AuthenticatorAdded,
    Kind::PasskeyAdded,
    Kind::PasskeyRemoved,
    Kind::AuthenticatorRemoved,
    Kind::RecoveryCodesMade,
    Kind::RecoveryCodeUsed,
    Kind::DeviceTrusted,
    Kind::TwoFactorOff,
    Kind::TwoFactorRecoveryBegun,
    Kind::DataDownloaded,
    Kind::DeletionAsked,
    Kind::DeletionCancelled,
];

/// Tells what was done in somebody's name since then, the newest first.
pub fn since(conn: &mut Connection, user: &User, from: Moment) -> QueryResult<Vec<Happened>> {
    let filter = Filter {
        user: Whose::One(user.id.clone()),
        among: IN_THEIR_NAME,
        from: Some(from),
        ..Filter::default()
    };
    let events = events::list(conn, &filter, None, one_more())?;
    let own = events.iter().filter(|event| event.actor_id.is_none()).take(ROWS);
    // By name, and not as "you": it may have been somebody else.
    let by_name = |event| Happened {
        told: Event::told(event).with("user", user.username.as_str()),
        ..Happened::of(event)
    };
    Ok(own.map(by_name).collect())
}

/// One thing that changed; the same before and after where the audit log holds its name alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub was: Message,
    pub became: Message,
}

impl Change {
    /// Pairs what was with what became of it: a line for each thing, in the same order.
    fn pairs(was: &str, became: &str) -> Vec<Self> {
        let count = was.lines().count().max(became.lines().count());
        let line = |text: &str, number: usize| in_words(text.lines().nth(number).unwrap_or_default());
        (0..count).map(|number| Self { was: line(was, number), became: line(became, number) }).collect()
    }
}

/// Names roles and states as pages do; everything else stays as it is.
fn in_words(stored: &str) -> Message {
    let role = Role::parse(stored).map(Role::name);
    let status = || AccountStatus::parse(stored).map(|status| status.name());
    let state = || State::parse(stored).map(State::name);
    // What a change of details may be about.
    let field = || match stored {
        "name" => Some(t("Name")),
        "phone" => Some(t("Phone")),
        "about" => Some(t("About you")),
        _ => None,
    };
    let name = role.or_else(status).or_else(state).or_else(field);
    name.map_or_else(|| Message::verbatim(stored), Message::from)
}

/// What else there is to say, as people say it.
pub fn detail(event: &Event) -> Message {
    let word = event.detail.as_str();
    match event.kind() {
        Some(Kind::Unblocked) => {
            let reason = event.was.strip_prefix("blocked: ").unwrap_or_default();
            t("Had been blocked: {reason}").with("reason", reason)
        }
        _ if !event.reason().is_empty() => Message::verbatim(""),
        Some(Kind::SignedIn | Kind::DeviceSignedOut | Kind::DeviceTrusted) => browser_name(word),
        Some(Kind::SignedUp) if word == Role::User.as_str() => Message::verbatim(""),
        Some(Kind::SignedUp) => in_words(word),
        Some(Kind::CodeWrong) => match CodePurpose::parse(word) {
            Some(CodePurpose::SignUp) => t("The code was for a new account").into(),
            Some(CodePurpose::ChangeEmail) => t("The code was for a new email address").into(),
            Some(CodePurpose::SignIn) => t("The code was for signing in").into(),
            None => Message::verbatim(word),
        },
        Some(Kind::MailRetried | Kind::MailCancelled) => Mail::kind_name(word),
        // The sentence says it.
        Some(Kind::PictureChanged | Kind::DetailsChanged) => Message::verbatim(""),
        _ => Message::verbatim(word),
    }
}

/// What changed, where the sentence does not say it already.
pub fn changes(event: &Event) -> Vec<Change> {
    match event.kind() {
        Some(Kind::Blocked | Kind::Unblocked | Kind::PictureChanged) => Vec::new(),
        _ => Change::pairs(&event.was, &event.became),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_stands_a_line_each_and_a_reason_stays_whole() {
        let shown = |was: &str, became: &str| {
            let changes = Change::pairs(was, became);
            changes.into_iter().map(|change| (change.was, change.became)).collect::<Vec<_>>()
        };
        let pair = |was: &str, became: &str| (Message::verbatim(was), Message::verbatim(became));
        assert_eq!(
            shown("username “a”\nphone", "username “b”\nphone"),
            [pair("username “a”", "username “b”"), (t("Phone").into(), t("Phone").into())]
        );
        assert_eq!(
            shown("blocked: spam; and worse, too", "active"),
            [(Message::verbatim("blocked: spam; and worse, too"), t("Active").into())]
        );
        assert_eq!(shown("", "ann@example.org"), [pair("", "ann@example.org")]);
        assert_eq!(shown("", ""), []);
    }
}
