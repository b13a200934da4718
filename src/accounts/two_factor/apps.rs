//! Authenticator apps.

use diesel::QueryResult;

use super::adding::{Added, Change, NotAdded, Removed, added, count_ways};
use super::codes::open;
use crate::db::Connection;
use crate::identity::{AuthenticatorKey, Id};
use crate::mail::NewFactor;
use crate::records::two_factor::authenticators::{self, Authenticator};
use crate::records::users::User;

/// The most authenticators of one account.
pub const MAX_AUTHENTICATORS: usize = 10;

/// An authenticator whose code was right.
pub struct NewAuthenticator {
    pub name: String,
    pub key: AuthenticatorKey,
    /// The step of its first code, which is used up by that.
    pub step: i64,
}

/// Adds an authenticator.
pub fn add_authenticator(
    conn: &mut Connection,
    user: &User,
    new: &NewAuthenticator,
    change: &Change<'_>,
) -> QueryResult<Result<Added, NotAdded>> {
    let before = authenticators::all_of(conn, &user.id)?;
    if before.len() >= MAX_AUTHENTICATORS {
        return Ok(Err(NotAdded::TooMany));
    }
    if before.iter().any(|known| open(known, change.keys).as_ref() == Some(&new.key)) {
        return Ok(Err(NotAdded::Known));
    }
    let authenticator = Authenticator {
        id: Id::new(),
        user_id: user.id.clone(),
        name: new.name.clone(),
        sealed_key: change.keys.authenticator.seal(&new.key.expose()),
        last_step: new.step,
        created_at: change.now,
        last_used_at: Some(change.now),
    };
    authenticators::insert(conn, &authenticator)?;
    added(conn, user, NewFactor::App(new.name.clone()), change).map(Ok)
}

/// Removes an authenticator, unless nothing else is left.
pub fn remove_authenticator(
    conn: &mut Connection,
    user: &User,
    id: &Id,
    has_passkeys: bool,
) -> QueryResult<Removed> {
    if count_ways(conn, user, has_passkeys)? < 2 {
        return Ok(Removed::IsLast);
    }
    Ok(authenticators::remove(conn, &user.id, id)?.map_or(Removed::Gone, Removed::One))
}
