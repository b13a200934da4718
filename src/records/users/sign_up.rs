//! Accounts that wait for their address to be confirmed.

use diesel::prelude::*;

use super::User;
use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Email, Id, Moment, PasswordHash, Role, Username};
use crate::records::outbox;

/// So many sign-ups are forgotten at once, each with all that belongs to it: the others have their turn ten minutes later.
const MAX_STALE_PER_SWEEP: i64 = 1000;

/// Removes an account that was never verified, with everything that belongs to it; returns whether there was one. A
/// blocked account stays, so that nobody gets around a block by signing up again.
pub fn remove_unverified(conn: &mut Connection, id: &Id) -> QueryResult<bool> {
    let is_removed = diesel::delete(users::table.find(id).filter(waits())).execute(conn)? == 1;
    if is_removed {
        outbox::forget_account(conn, id)?;
    }
    Ok(is_removed)
}

/// Removes the accounts from before then that nobody verified; returns how many.
pub(in crate::records) fn remove_stale(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    let stale = users::created_at.lt(before);
    let stale = users::table.filter(waits()).filter(stale).limit(MAX_STALE_PER_SWEEP);
    let ids: Vec<Id> = stale.select(users::id).load(conn)?;
    ids.iter().try_fold(0, |count, id| Ok(count + usize::from(remove_unverified(conn, id)?)))
}

#[diesel::dsl::auto_type(no_type_alias)]
fn waits() -> _ {
    users::verified_at.is_null().and(users::blocked_at.is_null())
}

/// Corrects a sign-up that has not been verified.
///
/// # Errors
/// A violation of `users.username_canon` when the name is taken.
pub fn correct_sign_up(
    conn: &mut Connection,
    id: &Id,
    username: &Username,
    hash: &PasswordHash,
    role: Role,
) -> QueryResult<()> {
    diesel::update(users::table.find(id).filter(waits()))
        .set((
            users::username.eq(username),
            users::username_canon.eq(username.canonical()),
            users::password_hash.eq(hash),
            users::role.eq(role),
        ))
        .execute(conn)
        .map(drop)
}

/// Gives a sign-up the email address that it waited for, and marks it as confirmed: its own since it signed up.
pub fn confirm(conn: &mut Connection, user: &User, email: &Email, now: Moment) -> QueryResult<()> {
    diesel::update(users::table.find(&user.id))
        .set((
            users::email.eq(email),
            users::email_canon.eq(email.canonical()),
            users::email_since.eq(user.created_at),
            users::verified_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
}
