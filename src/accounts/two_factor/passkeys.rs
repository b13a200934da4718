//! Passkeys: added, used and removed. Whether an answer is right has been found out before.

use diesel::QueryResult;

use super::adding::{Added, Change, NotAdded, Removed, added, count_ways};
use super::codes::{clocks_apart, has_it};
use crate::db::Connection;
use crate::identity::{Id, Moment};
use crate::mail::NewFactor;
use crate::passkeys::{Answered, Made};
use crate::records::events::Source;
use crate::records::two_factor::passkeys::{self, Passkey};
use crate::records::users::User;

/// The most passkeys of one account.
pub const MAX_PASSKEYS: usize = 10;

/// A passkey that was made just now.
#[derive(Clone)]
pub struct NewPasskey {
    pub name: String,
    pub made: Made,
}

/// Adds a passkey.
pub fn add_passkey(
    conn: &mut Connection,
    user: &User,
    new: &NewPasskey,
    change: &Change<'_>,
) -> QueryResult<Result<Added, NotAdded>> {
    if passkeys::all_of(conn, &user.id)?.len() >= MAX_PASSKEYS {
        return Ok(Err(NotAdded::TooMany));
    }
    let passkey = Passkey {
        id: Id::new(),
        user_id: user.id.clone(),
        name: new.name.clone(),
        credential: new.made.credential.clone(),
        credential_digest: new.made.digest.clone(),
        device_epoch: user.device_epoch,
        answered_at: new.made.asked_at,
        created_at: change.now,
        last_used_at: None,
    };
    if !passkeys::insert(conn, &passkey)? {
        return Ok(Err(NotAdded::Known));
    }
    let added = added(conn, user, NewFactor::Passkey(new.name.clone()), change)?;
    if let Added::First { device_epoch, .. } = &added {
        passkeys::set_epoch(conn, &passkey.id, *device_epoch)?;
    }
    Ok(Ok(added))
}

/// What stands beside a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyBeside {
    /// Nothing that its person knows: it signs in alone, or after a code from an email.
    Nothing,
    /// The password, given just now.
    Password,
    /// A session in which the password was given.
    Session,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyTried {
    Right,
    /// The question was answered before.
    Used,
    /// It was removed since it answered.
    Removed,
    /// The password was changed since it was last used with it: first that, then this.
    NeedsPassword,
}

/// Uses the answer of a passkey up: each question is answered once. Whoever took an account over and was thrown out by a new password
/// must not come back with a passkey and no password, so that one needs it once in each epoch.
pub fn use_passkey(
    conn: &mut Connection,
    user: &User,
    answered: &Answered,
    beside: PasskeyBeside,
    source: &Source,
    now: Moment,
) -> QueryResult<PasskeyTried> {
    let all = passkeys::all_of(conn, &user.id)?;
    let Some(passkey) = all.into_iter().find(|passkey| passkey.credential_digest == answered.digest) else {
        return Ok(PasskeyTried::Removed);
    };
    let device_epoch = match beside {
        PasskeyBeside::Nothing if passkey.device_epoch != user.device_epoch => {
            return Ok(PasskeyTried::NeedsPassword);
        }
        PasskeyBeside::Password => user.device_epoch,
        PasskeyBeside::Nothing | PasskeyBeside::Session => passkey.device_epoch,
    };
    let Answered { credential, asked_at, .. } = answered.clone();
    let answering = Passkey { credential, device_epoch, answered_at: asked_at, ..passkey };
    if !passkeys::answer(conn, &answering, clocks_apart(now), now)? {
        return Ok(PasskeyTried::Used);
    }
    has_it(conn, user, source, now)?;
    Ok(PasskeyTried::Right)
}

/// Removes a passkey, unless nothing else is left.
pub fn remove_passkey(conn: &mut Connection, user: &User, id: &Id) -> QueryResult<Removed> {
    if count_ways(conn, user, true)? < 2 {
        return Ok(Removed::IsLast);
    }
    Ok(passkeys::remove(conn, &user.id, id)?.map_or(Removed::Gone, Removed::One))
}
