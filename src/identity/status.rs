//! Whether an account may be used.

use super::{Moment, Sentence, t};

/// Whether an account may be used. Blocked takes precedence over the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// The address has not been confirmed yet.
    Unverified,
    Active,
    /// In the days of grace before its deletion: its person may keep it, and do nothing else.
    Leaving,
    /// Blocked by a superuser, with the reason that the person is shown.
    Blocked(String),
}

impl AccountStatus {
    /// Every status, without a reason.
    pub const ALL: [Self; 4] = [Self::Active, Self::Unverified, Self::Blocked(String::new()), Self::Leaving];

    /// Judges by when an account was confirmed, since when it is blocked and why, and when it is to be deleted.
    pub fn of(
        verified_at: Option<Moment>,
        blocked_at: Option<Moment>,
        reason: Option<&str>,
        leaves_at: Option<Moment>,
    ) -> Self {
        match (blocked_at, verified_at, leaves_at) {
            (Some(_), _, _) => Self::Blocked(reason.unwrap_or_default().to_owned()),
            (None, None, _) => Self::Unverified,
            (None, Some(_), Some(_)) => Self::Leaving,
            (None, Some(_), None) => Self::Active,
        }
    }

    /// The word in queries and in the audit log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unverified => "unverified",
            Self::Blocked(_) => "blocked",
            Self::Leaving => "leaving",
        }
    }

    /// What it is called on a page.
    pub fn name(&self) -> Sentence {
        match self {
            Self::Active => t("Active"),
            Self::Unverified => t("Not confirmed"),
            Self::Blocked(_) => t("Blocked"),
            Self::Leaving => t("Leaving"),
        }
    }

    /// The status of that word, without a reason.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}
