//! The part of an account that the head of every page shows, and that decides whether it may be used.

use crate::identity::{AccountStatus, Id, Moment, Role, Username};

/// What the head of a page shows of whoever is signed in.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub id: &'a Id,
    pub username: &'a Username,
    pub full_name: &'a str,
    pub picture: Option<&'a str>,
    pub role: Role,
    pub theme: &'a str,
    pub time_zone: &'a str,
    pub verified_at: Option<Moment>,
    pub blocked_at: Option<Moment>,
    pub leaves_at: Option<Moment>,
    /// Whether signing in takes a second step.
    pub has_two_factor: bool,
    /// When that ends because its person has lost it.
    pub two_factor_ends_at: Option<Moment>,
}

impl<'a> Head<'a> {
    /// The full name, or the username where there is none.
    pub fn display_name(&self) -> &'a str {
        display_name(self.full_name, self.username)
    }

    /// Whether its person may be signed in: also in the days of grace before the account goes.
    pub fn may_enter(&self) -> bool {
        match AccountStatus::of(self.verified_at, self.blocked_at, None, self.leaves_at) {
            AccountStatus::Active | AccountStatus::Leaving => true,
            AccountStatus::Unverified | AccountStatus::Blocked(_) => false,
        }
    }

    /// Whether it is about to be deleted.
    pub fn is_leaving(&self) -> bool {
        self.leaves_at.is_some()
    }
}

pub(super) fn display_name<'a>(full_name: &'a str, username: &'a Username) -> &'a str {
    if full_name.is_empty() { username.as_str() } else { full_name }
}
