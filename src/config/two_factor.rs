//! `REQUIRE_TWO_FACTOR`, `TWO_FACTOR_RECOVERY_HOURS`, `PASSKEYS`: who has to sign in with a second step, what may be one, and what becomes of
//! whoever lost it.

use std::time::Duration;

use super::origin::PublicUrl;
use super::reader::Reader;
use crate::identity::{Moment, Role};

const HOUR: Duration = Duration::from_secs(3600);

/// Who signs in with a second step.
#[derive(Clone, Debug)]
pub struct TwoFactorConfig {
    /// People of these roles have to.
    pub required_of: Vec<Role>,
    /// From then on; none: at once.
    pub required_from: Option<Moment>,
    /// How long somebody waits who says that they have lost it, until it ends.
    pub recovery_wait: Duration,
    /// Whether people may sign in with passkeys.
    pub passkeys: bool,
}

impl TwoFactorConfig {
    pub(super) fn read(read: &mut Reader<'_>, public_url: &PublicUrl) -> Self {
        let (required_of, required_from) = required(read);
        let recovery_wait = HOUR * read.number("TWO_FACTOR_RECOVERY_HOURS", 72, 1..=720);
        if recovery_wait < 24 * HOUR {
            read.warn("TWO_FACTOR_RECOVERY_HOURS is under 24: people may not read in time that somebody else wants to get around their second step");
        }
        let passkeys = read.flag("PASSKEYS", false);
        if passkeys && !public_url.has_passkeys() {
            read.mistake(
                "PASSKEYS",
                "must be off when PUBLIC_URL has an IP address: browsers keep passkeys for names only",
            );
        }
        Self { required_of, required_from, recovery_wait, passkeys }
    }

    /// Whether people of a role have to, now or later.
    pub fn is_required_of(&self, role: Role) -> bool {
        self.required_of.contains(&role)
    }

    /// Whether somebody of a role sets it up before anything else.
    pub fn comes_first(&self, role: Role, has_two_factor: bool, now: Moment) -> bool {
        !has_two_factor && self.is_due_for(role, now)
    }

    /// Whether people of a role have to by now.
    pub fn is_due_for(&self, role: Role, now: Moment) -> bool {
        self.is_required_of(role) && self.required_from.is_none_or(|from| from <= now)
    }
}

/// "staff superuser from 2027-01-01", in UTC.
fn required(read: &mut Reader<'_>) -> (Vec<Role>, Option<Moment>) {
    let given = read.text("REQUIRE_TWO_FACTOR", "");
    let words: Vec<&str> = given.split_whitespace().collect();
    let (roles, from) = match words.as_slice() {
        [roles @ .., "from", day] => (roles, Some(Moment::parse_day(day))),
        roles => (roles, None),
    };
    let roles: Option<Vec<Role>> = roles.iter().map(|word| Role::parse(word)).collect();
    match (roles, from) {
        (Some(roles), None) => (roles, None),
        (Some(roles), Some(Some(day))) if !roles.is_empty() => (roles, Some(day)),
        _ => {
            read.mistake(
                "REQUIRE_TWO_FACTOR",
                "must list roles (user, merchant, staff, superuser), then perhaps a day: staff superuser from 2027-01-01",
            );
            (Vec::new(), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn config(required: &str) -> Option<TwoFactorConfig> {
        let lookup = |name: &str| match name {
            "SECRET_KEY" => Some("k".repeat(64)),
            "REQUIRE_TWO_FACTOR" => Some(required.to_owned()),
            _ => None,
        };
        Config::from_lookup(&lookup).ok().map(|config| config.two_factor)
    }

    #[test]
    fn roles_have_to_from_a_day_on() {
        let day = Moment::parse_day("2027-01-01").unwrap();
        let before = day.minus(Duration::from_secs(1));
        let later = config("staff superuser from 2027-01-01").unwrap();
        assert!(later.is_required_of(Role::Staff) && !later.is_required_of(Role::User));
        assert!(!later.is_due_for(Role::Staff, before) && later.is_due_for(Role::Staff, day));
        let at_once = config("superuser").unwrap();
        assert!(at_once.is_due_for(Role::Superuser, before));
        assert!(config("").unwrap().required_of.is_empty());
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for bad in [
            "everybody",
            "staff from",
            "staff from tomorrow",
            "from 2027-01-01",
            "staff, superuser",
            "staff 2027-01-01",
        ] {
            assert!(config(bad).is_none(), "{bad}");
        }
    }
}
