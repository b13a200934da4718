//! Authenticator apps and recovery codes: what turns the second step on, and what is changed while it is.

use diesel::QueryResult;

use super::codes::open;
use crate::accounts::owner::queue_alarm;
use crate::db::Connection;
use crate::identity::{AuthenticatorKey, Id, Moment, RecoveryCode, TokenDigest};
use crate::keys::{Keys, SealKey};
use crate::mail::{AuthenticatorAdded, TwoFactorChange, TwoFactorChanged};
use crate::records::events::Source;
use crate::records::sessions;
use crate::records::two_factor::authenticators::{self, Authenticator};
use crate::records::two_factor::recovery_codes;
use crate::records::users::{self, User};

/// So many recovery codes are made at a time.
pub const RECOVERY_CODES: usize = 10;
/// The most authenticators of one account.
pub const MAX_AUTHENTICATORS: usize = 10;

/// An authenticator whose code was right.
pub struct NewAuthenticator {
    pub name: String,
    pub key: AuthenticatorKey,
    /// The step of its first code, which is used up by that.
    pub step: i64,
}

/// What adding an authenticator led to.
pub enum Enrolled {
    /// Signing in takes a second step from now on; these are the codes for whoever loses it.
    First {
        codes: Vec<RecoveryCode>,
        /// The epoch of known devices that has begun: the one in front of its person may be known again.
        device_epoch: i32,
    },
    Another,
    /// There are ten already.
    TooMany,
    /// This one was added before.
    Known,
}

/// Adds an authenticator. With the first one every other session ends: whoever has one gave no more than the password.
pub fn enrol(
    conn: &mut Connection,
    user: &User,
    new: &NewAuthenticator,
    session: &Id,
    keys: &Keys,
    source: &Source,
    now: Moment,
) -> QueryResult<Enrolled> {
    let before = authenticators::all_of(conn, &user.id)?;
    if before.len() >= MAX_AUTHENTICATORS {
        return Ok(Enrolled::TooMany);
    }
    if before.iter().any(|known| open(known, keys).as_ref() == Some(&new.key)) {
        return Ok(Enrolled::Known);
    }
    let authenticator = Authenticator {
        id: Id::new(),
        user_id: user.id.clone(),
        name: new.name.clone(),
        sealed_key: keys.authenticator.seal(&new.key.expose()),
        last_step: new.step,
        created_at: now,
        last_used_at: Some(now),
    };
    authenticators::insert(conn, &authenticator)?;
    let is_first = !user.has_two_factor();
    notify_of_app(conn, user, &new.name, is_first, &keys.outbox, source, now)?;
    if !is_first {
        return Ok(Enrolled::Another);
    }
    users::two_factor::set(conn, &user.id, Some(now))?;
    sessions::end_all(conn, &user.id, Some(session), now)?;
    // Whoever gave the password alone may have made any number of devices known, each of which may guess.
    let device_epoch = users::forget_devices(conn, &user.id)?;
    Ok(Enrolled::First { codes: renew_recovery_codes(conn, user, keys, now)?, device_epoch })
}

fn notify_of_app(
    conn: &mut Connection,
    user: &User,
    authenticator: &str,
    is_first: bool,
    seal: &SealKey,
    source: &Source,
    now: Moment,
) -> QueryResult<()> {
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = |link| {
        AuthenticatorAdded {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            ip: source.stored(),
            authenticator: authenticator.to_owned(),
            is_first,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
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

/// What became of an authenticator that was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// That of this name.
    One(String),
    /// It is the last one: turning the second step off is another thing.
    IsLast,
    Gone,
}

/// Removes an authenticator, unless it is the last one.
pub fn remove(conn: &mut Connection, user: &User, id: &Id) -> QueryResult<Removed> {
    if authenticators::all_of(conn, &user.id)?.len() < 2 {
        return Ok(Removed::IsLast);
    }
    Ok(authenticators::remove(conn, &user.id, id)?.map_or(Removed::Gone, Removed::One))
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
