//! Authenticator apps. Each holds a key, which is sealed here.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::authenticators;
use crate::identity::{Id, Moment};

/// An authenticator: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = authenticators, treat_none_as_default_value = false)]
pub struct Authenticator {
    pub id: Id,
    pub user_id: Id,
    /// What its person calls it.
    pub name: String,
    #[serde(skip)]
    pub sealed_key: String,
    /// The step of the newest code that was used: that one, and those before it, work no more.
    #[serde(skip)]
    pub last_step: i64,
    pub created_at: Moment,
    pub last_used_at: Option<Moment>,
}

/// Adds an authenticator.
pub fn insert(conn: &mut Connection, authenticator: &Authenticator) -> QueryResult<()> {
    diesel::insert_into(authenticators::table).values(authenticator).execute(conn).map(drop)
}

/// Lists those of an account, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<Authenticator>> {
    authenticators::table
        .filter(authenticators::user_id.eq(user))
        .order((authenticators::created_at, authenticators::id))
        .select(Authenticator::as_select())
        .load(conn)
}

/// Counts those of an account.
pub fn count_of(conn: &mut Connection, user: &Id) -> QueryResult<i64> {
    authenticators::table.filter(authenticators::user_id.eq(user)).count().get_result(conn)
}

/// Uses the code of a step up; returns whether it was this call that did: a code works once (RFC 6238, 5.2). What was used while a
/// clock was ahead, later than `newest`, keeps nobody out.
pub fn use_step(conn: &mut Connection, id: &Id, step: i64, newest: i64, now: Moment) -> QueryResult<bool> {
    let is_unused = authenticators::last_step.lt(step).or(authenticators::last_step.gt(newest));
    let unused = authenticators::table.find(id).filter(is_unused);
    let used = (authenticators::last_step.eq(step), authenticators::last_used_at.eq(now));
    Ok(diesel::update(unused).set(used).execute(conn)? == 1)
}

/// Removes one of an account; returns its name, if there was one.
pub fn remove(conn: &mut Connection, user: &Id, id: &Id) -> QueryResult<Option<String>> {
    let one = authenticators::table.find(id).filter(authenticators::user_id.eq(user));
    let name = one.select(authenticators::name).get_result(conn).optional()?;
    diesel::delete(one).execute(conn)?;
    Ok(name)
}

/// Removes those of an account that were added then or later.
pub fn remove_since(conn: &mut Connection, user: &Id, since: Moment) -> QueryResult<()> {
    let of_user = authenticators::table.filter(authenticators::user_id.eq(user));
    diesel::delete(of_user.filter(authenticators::created_at.ge(since))).execute(conn).map(drop)
}

/// Removes those of an account.
pub fn remove_all(conn: &mut Connection, user: &Id) -> QueryResult<()> {
    diesel::delete(authenticators::table.filter(authenticators::user_id.eq(user))).execute(conn).map(drop)
}
