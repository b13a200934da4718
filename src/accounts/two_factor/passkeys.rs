//! Passkeys: added, used and removed. Whether an answer is right has been found out before.

use diesel::QueryResult;

use super::adding::{Added, Change, NotAdded, Removed, added, count_ways};
use super::codes::{Factor, Tried, clocks_apart, has_it};
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
        answered_at: new.made.asked_at,
        created_at: change.now,
        last_used_at: Some(change.now),
    };
    if !passkeys::insert(conn, &passkey)? {
        return Ok(Err(NotAdded::Known));
    }
    added(conn, user, NewFactor::Passkey(new.name.clone()), change).map(Ok)
}

/// Uses the answer of a passkey up: each question is answered once.
pub fn use_passkey(
    conn: &mut Connection,
    user: &User,
    answered: &Answered,
    source: &Source,
    now: Moment,
) -> QueryResult<Tried> {
    let all = passkeys::all_of(conn, &user.id)?;
    // Removed since it answered.
    let Some(passkey) = all.into_iter().find(|passkey| passkey.credential_digest == answered.digest) else {
        return Ok(Tried::Wrong);
    };
    let Answered { credential, asked_at, .. } = answered;
    if !passkeys::answer(conn, &passkey.id, credential, *asked_at, clocks_apart(now), now)? {
        return Ok(Tried::Used);
    }
    has_it(conn, user, source, now)?;
    Ok(Tried::Right(Factor::Passkey))
}

/// Removes a passkey, unless nothing else is left.
pub fn remove_passkey(conn: &mut Connection, user: &User, id: &Id) -> QueryResult<Removed> {
    if count_ways(conn, user, true)? < 2 {
        return Ok(Removed::IsLast);
    }
    Ok(passkeys::remove(conn, &user.id, id)?.map_or(Removed::Gone, Removed::One))
}
