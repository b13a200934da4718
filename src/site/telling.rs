//! What events say besides their sentences, as people say it: devices, what changed, the mail that it was about.

use crate::identity::{AccountStatus, CodePurpose, Message, Role, browser_name, t};
use crate::mail::Mail;
use crate::records::events::{Event, Kind};
use crate::records::outbox::State;

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
        Some(Kind::SignedIn | Kind::DeviceSignedOut) => browser_name(word),
        Some(Kind::SignedUp) if word == Role::User.as_str() => Message::verbatim(""),
        Some(Kind::SignedUp) => in_words(word),
        Some(Kind::CodeWrong) => match CodePurpose::parse(word) {
            Some(CodePurpose::SignUp) => t("The code was for a new account").into(),
            Some(CodePurpose::ChangeEmail) => t("The code was for a new email address").into(),
            None => Message::verbatim(word),
        },
        Some(Kind::MailRetried | Kind::MailCancelled) => Mail::kind_name(word),
        // The sentence says it.
        Some(Kind::PictureChanged) => Message::verbatim(""),
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
