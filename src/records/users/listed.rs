//! The part of an account that lists show: without the hash of its password, and without what only its own page shows.

use diesel::prelude::*;

use super::User;
use super::two_factor::TwoFactor;
use crate::db::schema::users;
use crate::identity::{AccountStatus, Email, Id, Moment, Role, Username};

/// An account in a list.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Listed {
    pub id: Id,
    pub username: Username,
    pub(super) username_canon: String,
    pub email: Option<Email>,
    pub(super) email_canon: Option<String>,
    pub role: Role,
    pub verified_at: Option<Moment>,
    pub blocked_at: Option<Moment>,
    pub blocked_reason: Option<String>,
    pub full_name: String,
    pub(super) full_name_canon: String,
    pub phone: String,
    pub picture: Option<String>,
    pub created_at: Moment,
    pub leaves_at: Option<Moment>,
    two_factor_since: Option<Moment>,
}

impl Listed {
    /// Whether it can be used.
    pub fn status(&self) -> AccountStatus {
        let reason = self.blocked_reason.as_deref();
        AccountStatus::of(self.verified_at, self.blocked_at, reason, self.leaves_at)
    }

    /// The full name, or the username where there is none.
    pub fn display_name(&self) -> &str {
        super::head::display_name(&self.full_name, &self.username)
    }

    /// Whether signing in takes a second step, where people of these roles have to.
    pub fn two_factor(&self, required_of: &[Role]) -> TwoFactor {
        TwoFactor::of(self.two_factor_since, self.role, required_of)
    }
}

impl From<User> for Listed {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            username_canon: user.username_canon,
            email: user.email,
            email_canon: user.email_canon,
            role: user.role,
            verified_at: user.verified_at,
            blocked_at: user.blocked_at,
            blocked_reason: user.blocked_reason,
            full_name: user.full_name,
            full_name_canon: user.full_name_canon,
            phone: user.phone,
            picture: user.picture,
            created_at: user.created_at,
            leaves_at: user.leaves_at,
            two_factor_since: user.two_factor_since,
        }
    }
}
