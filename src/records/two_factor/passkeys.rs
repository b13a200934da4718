//! Passkeys: public keys, of which a device of their person holds the other half.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::passkeys;
use crate::identity::{Id, Moment, TokenDigest};

/// A passkey: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = passkeys, treat_none_as_default_value = false)]
pub struct Passkey {
    pub id: Id,
    pub user_id: Id,
    /// What its person calls it.
    pub name: String,
    #[serde(skip)]
    pub credential: String,
    #[serde(skip)]
    pub credential_digest: TokenDigest,
    /// The epoch of known devices of its account when it was made, or last used after the password. In a later one it does not sign in
    /// alone: the password has been changed since, perhaps to keep somebody out.
    #[serde(skip)]
    pub device_epoch: i32,
    /// When the newest question was asked that it answered: it answers that one, and those before it, no more.
    #[serde(skip)]
    pub answered_at: Moment,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
}

/// Adds a passkey; returns whether nobody had it yet.
pub fn insert(conn: &mut Connection, passkey: &Passkey) -> QueryResult<bool> {
    let same = passkeys::table.filter(passkeys::credential_digest.eq(&passkey.credential_digest));
    if same.count().get_result::<i64>(conn)? > 0 {
        return Ok(false);
    }
    diesel::insert_into(passkeys::table).values(passkey).execute(conn)?;
    Ok(true)
}

/// Lists those of an account, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<Passkey>> {
    passkeys::table
        .filter(passkeys::user_id.eq(user))
        .order((passkeys::created_at, passkeys::id))
        .select(Passkey::as_select())
        .load(conn)
}

/// Counts those of an account.
pub fn count_of(conn: &mut Connection, user: &Id) -> QueryResult<i64> {
    passkeys::table.filter(passkeys::user_id.eq(user)).count().get_result(conn)
}

/// Stores that one has answered the question of then, and what it is since; returns whether it was this call that did. What a clock
/// dated ahead, later than `newest`, keeps nobody out.
pub fn answer(conn: &mut Connection, passkey: &Passkey, newest: Moment, now: Moment) -> QueryResult<bool> {
    let Passkey { id, credential, device_epoch, answered_at: asked_at, .. } = passkey;
    let is_unanswered = passkeys::answered_at.lt(asked_at).or(passkeys::answered_at.gt(newest));
    let waiting = passkeys::table.find(id).filter(is_unanswered);
    let answered = (
        passkeys::answered_at.eq(asked_at),
        passkeys::credential.eq(credential),
        passkeys::device_epoch.eq(device_epoch),
        passkeys::last_used_at.eq(now),
    );
    Ok(diesel::update(waiting).set(answered).execute(conn)? == 1)
}

/// Sets the epoch in which one signs in alone.
pub fn set_epoch(conn: &mut Connection, id: &Id, epoch: i32) -> QueryResult<()> {
    diesel::update(passkeys::table.find(id)).set(passkeys::device_epoch.eq(epoch)).execute(conn).map(drop)
}

/// Removes one of an account; returns its name, if there was one.
pub fn remove(conn: &mut Connection, user: &Id, id: &Id) -> QueryResult<Option<String>> {
    let one = passkeys::table.find(id).filter(passkeys::user_id.eq(user));
    let name = one.select(passkeys::name).get_result(conn).optional()?;
    diesel::delete(one).execute(conn)?;
    Ok(name)
}

/// Removes those of an account that were added then or later.
pub fn remove_since(conn: &mut Connection, user: &Id, since: Moment) -> QueryResult<()> {
    let of_user = passkeys::table.filter(passkeys::user_id.eq(user));
    diesel::delete(of_user.filter(passkeys::created_at.ge(since))).execute(conn).map(drop)
}

/// Removes those of an account.
pub fn remove_all(conn: &mut Connection, user: &Id) -> QueryResult<()> {
    diesel::delete(passkeys::table.filter(passkeys::user_id.eq(user))).execute(conn).map(drop)
}
