//! The part of an account that applications are told, and that decides whether it may be used: read for every request there.

use diesel::prelude::*;

use super::two_factor::has_waited;
use crate::db::schema::users;
use crate::identity::{AccountStatus, Email, Id, Moment, Role, Username};

/// Somebody, as applications know them.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Person {
    pub id: Id,
    pub username: Username,
    pub email: Option<Email>,
    full_name: String,
    pub role: Role,
    verified_at: Option<Moment>,
    blocked_at: Option<Moment>,
    leaves_at: Option<Moment>,
    two_factor_since: Option<Moment>,
    two_factor_ends_at: Option<Moment>,
}

impl Person {
    /// Whether the account may be used.
    pub fn is_active(&self) -> bool {
        let status = AccountStatus::of(self.verified_at, self.blocked_at, None, self.leaves_at);
        status == AccountStatus::Active
    }

    /// Whether signing in takes a second step.
    pub fn has_two_factor(&self) -> bool {
        self.two_factor_since.is_some()
    }

    /// Whether a code is asked for now.
    pub fn takes_code(&self, now: Moment) -> bool {
        self.has_two_factor() && !has_waited(self.two_factor_ends_at, now)
    }

    /// The full name, or the username where there is none.
    pub fn display_name(&self) -> &str {
        super::head::display_name(&self.full_name, &self.username)
    }
}
