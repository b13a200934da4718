//! Accounts that nobody uses: their people are told 30 and 7 days before, and then the account is blocked or deleted. Signing in
//! ends it at any time.

use std::time::Duration;

use diesel::QueryResult;

use super::leaving::{self, RemovalRules, Removed};
use super::passwords;
use crate::config::{Dormancy, DormantAction};
use crate::db::Connection;
use crate::identity::{AccountStatus, Id, Moment, Role};
use crate::mail::{self, Envelope, UnusedAccount};
use crate::records::events::{self, Kind, Source};
use crate::records::users::{self, User, dormancy};

const DAY: Duration = Duration::from_secs(86_400);
/// How long before the end people are told, the first time and the last.
const NOTICES: [Duration; 2] = [DAY.saturating_mul(30), DAY.saturating_mul(7)];

/// Shown to whoever comes back to a blocked account.
const REASON: &str = "Nobody had signed in for a long time.";

/// Lists some of the accounts whose people must be told now.
pub fn to_tell(conn: &mut Connection, rules: Dormancy, limit: i64, now: Moment) -> QueryResult<Vec<User>> {
    let [first, last] = NOTICES;
    let mut found = dormancy::unused(conn, now.minus(rules.after.saturating_sub(first)), limit)?;
    found.extend(dormancy::due(conn, 1, now.plus(last), limit)?);
    Ok(found)
}

/// Tells somebody that nobody uses their account, and by when it ends: never sooner than was said. Nothing happens when they have
/// just signed in, or when another instance was first.
pub fn tell(conn: &mut Connection, user: &User, rules: Dormancy, now: Moment) -> QueryResult<()> {
    let told = usize::try_from(user.dormancy_notices).unwrap_or_default();
    let Some(notice) = NOTICES.get(told) else { return Ok(()) };
    let planned = user.dormant_at.unwrap_or_else(|| user.last_used_at.plus(rules.after));
    let at = planned.max(now.plus(*notice));
    if !dormancy::tell(conn, user, at)? {
        return Ok(());
    }
    events::note(conn, Kind::DormancyTold, Some(&user.id), &Source::Program, "", now)?;
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = UnusedAccount {
        name: user.display_name().to_owned(),
        at,
        zone: user.time_zone.clone(),
        deletes: rules.action == DormantAction::Delete,
    };
    mail::queue(conn, mail, &Envelope::to(&user.id, email), now)
}

/// Lists some of the accounts whose people have been told, and whose time is over.
pub fn due(conn: &mut Connection, limit: i64, now: Moment) -> QueryResult<Vec<Id>> {
    let told = i32::try_from(NOTICES.len()).unwrap_or(i32::MAX);
    let due = dormancy::due(conn, told, now, limit)?;
    Ok(due.into_iter().map(|user| user.id).collect())
}

/// Blocks or deletes an account whose time is over; returns what is gone then. The last superuser who can sign in stays.
pub fn end(
    conn: &mut Connection,
    user: &Id,
    action: DormantAction,
    rules: RemovalRules,
    now: Moment,
) -> QueryResult<Option<Removed>> {
    let Some(seen) = users::by_id(conn, user)? else { return Ok(None) };
    if seen.role == Role::Superuser && users::lock_superusers_and_count_others(conn, user)? == 0 {
        return Ok(None);
    }
    let Some(user) = users::lock(conn, user)? else { return Ok(None) };
    let is_due = user.dormant_at.is_some_and(|at| at <= now);
    if !is_due || user.status() != AccountStatus::Active {
        return Ok(None);
    }
    if action == DormantAction::Delete {
        let removed = leaving::remove(conn, &user, rules)?;
        leaving::bury(conn, &user, rules, now)?;
        return Ok(Some(removed));
    }
    users::set_blocked(conn, &user.id, Some((now, REASON)))?;
    passwords::revoke_pending(conn, &user.id, now)?;
    events::note(conn, Kind::Blocked, Some(&user.id), &Source::Program, REASON, now)?;
    Ok(None)
}
