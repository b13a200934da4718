//! Whether an account may be used.

use super::Message;

/// Where an account stands. Blocked outweighs unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The address has not been confirmed yet.
    Unverified,
    /// In good standing.
    Active,
    /// Shut by a superuser, with the reason that the person is told.
    Blocked(String),
}

impl Standing {
    /// Every standing, without a reason.
    pub const ALL: [Self; 3] = [Self::Active, Self::Unverified, Self::Blocked(String::new())];

    /// The word in addresses and in the trail.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Unverified => "unverified",
            Self::Blocked(_) => "blocked",
        }
    }

    /// What it is called on a page.
    pub fn name(&self) -> Message {
        match self {
            Self::Active => "Active".into(),
            Self::Unverified => "Unverified".into(),
            Self::Blocked(_) => "Blocked".into(),
        }
    }

    /// The standing of that word, without a reason.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word)
    }
}
