//! The parts of the page of an account, each with an address of its own.

use serde::Deserialize;

use crate::accounts::administration::ActKind;
use crate::identity::{Id, Sentence, t};
use crate::paths::admin::USER;
use crate::paths::with_query;

/// A part of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// What the account is, and what can be done to it.
    Account,
    Sessions,
    /// Codes, links and emails.
    Messages,
    Events,
}

/// The part that an address names.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct TabQuery {
    pub tab: String,
}

impl Tab {
    /// All of them, in their order on the page.
    pub const ALL: &[Self] = &[Self::Account, Self::Sessions, Self::Messages, Self::Events];

    /// The part where an act is offered.
    pub fn of(kind: ActKind) -> Self {
        match kind {
            ActKind::EndSessions => Self::Sessions,
            ActKind::Block
            | ActKind::Unblock
            | ActKind::Verify
            | ActKind::SendCode
            | ActKind::SendReset
            | ActKind::ResetTwoFactor
            | ActKind::RemindTwoFactor
            | ActKind::SetRole
            | ActKind::RemovePicture
            | ActKind::Edit
            | ActKind::BeginDeletion
            | ActKind::Keep
            | ActKind::Delete => Self::Account,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Account => "",
            Self::Sessions => "sessions",
            Self::Messages => "messages",
            Self::Events => "events",
        }
    }

    /// Reads its word in an address.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|tab| tab.word() == word)
    }

    /// What it is called.
    pub fn name(self) -> Sentence {
        match self {
            Self::Account => t("Account"),
            Self::Sessions => t("Sessions"),
            Self::Messages => t("Codes, links and emails"),
            Self::Events => t("Events"),
        }
    }

    /// Its address on the page of an account.
    pub fn path(self, user: &Id) -> String {
        with_query(&USER.to([user.as_str()]), &[("tab", self.word())])
    }
}
