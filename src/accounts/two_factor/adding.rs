//! What an account has for the second step: the first thing turns it on, and the last one is not removed by accident.

use diesel::QueryResult;

use crate::accounts::owner::queue_alarm;
use crate::db::Connection;
use crate::identity::{Id, Moment, RecoveryCode, TokenDigest};
use crate::keys::{Keys, SealKey};
use crate::mail::{FactorAdded, NewFactor, TwoFactorChange, TwoFactorChanged};
use crate::records::events::Source;
use crate::records::sessions;
use crate::records::two_factor::{authenticators, passkeys, recovery_codes};
use crate::records::users::{self, User};

/// So many recovery codes are made at a time.
pub const RECOVERY_CODES: usize = 10;

/// Who adds or removes something: from where, in which session, and what that takes.
pub struct Change<'a> {
    pub session: &'a Id,
    pub keys: &'a Keys,
    pub source: &'a Source,
    pub now: Moment,
}

/// What adding something led to.
pub enum Added {
    /// Signing in takes a second step from now on; these are the codes for whoever loses it.
    First {
        codes: Vec<RecoveryCode>,
        /// The epoch of known devices that has begun: the one in front of its person may be known again.
        device_epoch: i32,
    },
    Another,
}

/// Why something is not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// There are ten already.
    TooMany,
    /// This one was added before.
    Known,
}

/// Tells the person of something that was added just now, and turns the second step on with the first. Then every other session ends:
/// whoever has one gave no more than the password.
pub(super) fn added(
    conn: &mut Connection,
    user: &User,
    what: NewFactor,
    change: &Change<'_>,
) -> QueryResult<Added> {
    let Change { session, keys, now, .. } = *change;
    let is_first = !user.has_two_factor();
    notify_of_factor(conn, user, what, is_first, change)?;
    if !is_first {
        return Ok(Added::Another);
    }
    users::two_factor::set(conn, &user.id, Some(now))?;
    sessions::end_all(conn, &user.id, Some(session), now)?;
    // Whoever gave the password alone may have made any number of devices known, each of which may guess.
    let device_epoch = users::forget_devices(conn, &user.id)?;
    Ok(Added::First { codes: renew_recovery_codes(conn, user, keys, now)?, device_epoch })
}

fn notify_of_factor(
    conn: &mut Connection,
    user: &User,
    what: NewFactor,
    is_first: bool,
    change: &Change<'_>,
) -> QueryResult<()> {
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = |link| {
        FactorAdded {
            name: user.display_name().to_owned(),
            at: change.now,
            zone: user.time_zone.clone(),
            ip: change.source.stored(),
            what,
            is_first,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, &change.keys.outbox, change.now, mail)
}

/// Makes new recovery codes, which replace those before.
pub fn renew_recovery_codes(
    conn: &mut Connection,
    user: &User,
    keys: &Keys,
    now: Moment,
) -> QueryResult<Vec<RecoveryCode>> {
    let codes: Vec<RecoveryCode> = (0..RECOVERY_CODES).map(|_| RecoveryCode::random()).collect();
    let digests: Vec<TokenDigest> =
        codes.iter().map(|code| code.digest(&keys.recovery_code, &user.id)).collect();
    recovery_codes::replace(conn, &user.id, &digests, now)?;
    Ok(codes)
}

/// What became of something that was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// That of this name.
    One(String),
    /// It is the last one: turning the second step off is another thing.
    IsLast,
    Gone,
}

/// How many ways somebody has to take the second step, recovery codes aside. Passkeys count where they are allowed.
pub(super) fn count_ways(conn: &mut Connection, user: &User, has_passkeys: bool) -> QueryResult<i64> {
    let apps = authenticators::count_of(conn, &user.id)?;
    Ok(if has_passkeys { apps + passkeys::count_of(conn, &user.id)? } else { apps })
}

/// Tells the person that somebody who is signed in changed their second step.
pub fn notify_of_change(
    conn: &mut Connection,
    user: &User,
    what: TwoFactorChange,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<()> {
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = |link| {
        TwoFactorChanged {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            what,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}
