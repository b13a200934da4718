//! Whether signing in to an account takes a second step.

use std::time::Duration;

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Id, Moment, Role, Sentence, t};

/// How long after the wait somebody who lost their second step can come back.
const TWO_FACTOR_RECOVERY_LAPSE: Duration = Duration::from_secs(7 * 86_400);

/// When somebody who lost their second step no longer needs it; `None` if they never asked, or didn't come back in time.
pub(super) fn recovery(ends_at: Option<Moment>, now: Moment) -> Option<Moment> {
    ends_at.filter(|ends_at| now < ends_at.plus(TWO_FACTOR_RECOVERY_LAPSE))
}

/// Whether that wait is over, and they can still come back.
pub(super) fn has_waited(ends_at: Option<Moment>, now: Moment) -> bool {
    recovery(ends_at, now).is_some_and(|ends_at| ends_at <= now)
}

/// Whether signing in takes a second step, as lists are narrowed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwoFactor {
    On,
    Off,
    /// Off, and asked for of the role.
    Due,
}

impl TwoFactor {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Due];

    /// That of an account of that role, where people of these roles have to.
    pub(super) fn of(since: Option<Moment>, role: Role, required_of: &[Role]) -> Self {
        match since {
            Some(_) => Self::On,
            None if required_of.contains(&role) => Self::Due,
            None => Self::Off,
        }
    }

    /// The word in addresses, files and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Due => "due",
        }
    }

    /// Reads its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// What it is called on a page.
    pub fn name(self) -> Sentence {
        match self {
            Self::On => t("On"),
            Self::Off => t("Off"),
            Self::Due => t("Required but off"),
        }
    }
}

/// Sets since when it does; `None`: it does not. Either way nobody waits for its end any more.
pub fn set(conn: &mut Connection, id: &Id, since: Option<Moment>) -> QueryResult<()> {
    let none: Option<Moment> = None;
    diesel::update(users::table.find(id))
        .set((users::two_factor_since.eq(since), users::two_factor_ends_at.eq(none)))
        .execute(conn)
        .map(drop)
}

/// Sets when it ends because its person has lost it.
pub fn set_end(conn: &mut Connection, id: &Id, ends_at: Option<Moment>) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::two_factor_ends_at.eq(ends_at)).execute(conn).map(drop)
}
