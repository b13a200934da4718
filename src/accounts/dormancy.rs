//! Accounts that nobody uses: their people are told 30 and 7 days before, and then the account is blocked or deleted. Signing in
//! ends it at any time, and so does using a device that is still signed in.

use std::time::Duration;

use diesel::QueryResult;

use super::leaving::{self, RemovalRules, Removed};
use super::passwords;
use crate::config::{Dormancy, DormantAction};
use crate::db::Connection;
use crate::identity::{AccountStatus, Id, Moment, Role};
use crate::mail::{self, Envelope, UnusedAccount};
use crate::records::events::{self, Kind, NewEvent, Source};
use crate::records::sessions;
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
    if call_off_if_moot(conn, user, rules)? {
        return Ok(());
    }
    let told = usize::try_from(user.dormancy_notices).unwrap_or_default();
    let Some(notice) = NOTICES.get(told) else { return Ok(()) };
    let planned = user.dormant_at.unwrap_or_else(|| user.last_used_at.plus(rules.after));
    let at = planned.max(now.plus(*notice));
    if !dormancy::tell(conn, user, at, rules.action.as_str())? {
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

/// Lets it begin anew where the account was used all the same, on a device that had stayed signed in, or its person was told of
/// what the settings no longer say; returns whether it did.
fn call_off_if_moot(conn: &mut Connection, user: &User, rules: Dormancy) -> QueryResult<bool> {
    let seen = sessions::last_seen(conn, std::slice::from_ref(&user.id))?.remove(&user.id);
    if let Some(seen) = seen.filter(|seen| *seen > user.last_used_at) {
        dormancy::end(conn, &user.id, seen)?;
        return Ok(true);
    }
    let Some(dormant_at) = user.dormant_at else { return Ok(false) };
    let is_as_told = user.dormant_action.as_deref() == Some(rules.action.as_str())
        && user.last_used_at.plus(rules.after) <= dormant_at;
    if !is_as_told {
        dormancy::call_off(conn, &user.id)?;
    }
    Ok(!is_as_told)
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
    rules: Dormancy,
    removal: RemovalRules,
    now: Moment,
) -> QueryResult<Option<Removed>> {
    // Before anything else is locked, as everywhere.
    let other_superusers = users::lock_superusers_and_count_others(conn, user)?;
    let Some(user) = users::lock(conn, user)? else { return Ok(None) };
    let is_due = user.dormant_at.is_some_and(|at| at <= now) && user.status() == AccountStatus::Active;
    let is_last = user.role == Role::Superuser && other_superusers == 0;
    if !is_due || is_last || call_off_if_moot(conn, &user, rules)? {
        return Ok(None);
    }
    if rules.action == DormantAction::Delete {
        let removed = leaving::remove(conn, &user, removal)?;
        leaving::bury(conn, &user, removal, now)?;
        return Ok(Some(removed));
    }
    users::set_blocked(conn, &user.id, Some((now, REASON)))?;
    sessions::end_all(conn, &user.id, None, now)?;
    passwords::revoke_pending(conn, &user.id, now)?;
    let event = NewEvent {
        kind: Kind::Blocked,
        user: Some(&user.id),
        actor: None,
        source: &Source::Program,
        detail: REASON,
        was: AccountStatus::Active.as_str(),
        became: AccountStatus::Blocked(String::new()).as_str(),
    };
    events::insert(conn, &event, now)?;
    Ok(None)
}
