//! Accounts that nobody uses any more: their people are told twice, and then they are blocked or deleted. Signing in ends it.

use diesel::prelude::*;

use super::User;
use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Id, Moment};

/// Notes that somebody used their account then: whatever was on its way because they had not is off.
pub fn end(conn: &mut Connection, id: &Id, used_at: Moment) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::last_used_at.eq(used_at), Untold::default()))
        .execute(conn)
        .map(drop)
}

/// Lists some of the accounts that were last used before then and whose people have not been told yet.
pub fn unused(conn: &mut Connection, before: Moment, limit: i64) -> QueryResult<Vec<User>> {
    users::table
        .filter(users::dormancy_notices.eq(0))
        .filter(users::last_used_at.lt(before))
        .filter(users::verified_at.is_not_null())
        .filter(users::blocked_at.is_null())
        .filter(users::leaves_at.is_null())
        .order(users::last_used_at)
        .limit(limit)
        .select(User::as_select())
        .load(conn)
}

/// Lists some of the accounts that are dormant by then, whose people have been told that often.
pub fn due(conn: &mut Connection, notices: i32, by: Moment, limit: i64) -> QueryResult<Vec<User>> {
    users::table
        .filter(users::dormant_at.le(by))
        .filter(users::dormancy_notices.eq(notices))
        .filter(users::blocked_at.is_null())
        .filter(users::leaves_at.is_null())
        .order(users::dormant_at)
        .limit(limit)
        .select(User::as_select())
        .load(conn)
}

/// Notes that its person is told once more, by when the account is dormant and what becomes of it then; returns whether it was this
/// call that did. Nothing changes if they have signed in, or if another instance was first.
pub fn tell(conn: &mut Connection, user: &User, dormant_at: Moment, action: &str) -> QueryResult<bool> {
    let as_read = users::table
        .find(&user.id)
        .filter(users::dormancy_notices.eq(user.dormancy_notices))
        .filter(users::last_used_at.eq(user.last_used_at));
    let told = (
        users::dormant_at.eq(dormant_at),
        users::dormancy_notices.eq(user.dormancy_notices + 1),
        users::dormant_action.eq(action),
    );
    Ok(diesel::update(as_read).set(told).execute(conn)? == 1)
}

/// Takes back what somebody was told.
pub fn call_off(conn: &mut Connection, id: &Id) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(Untold::default()).execute(conn).map(drop)
}

/// Takes back what everybody was told.
pub fn call_all_off(conn: &mut Connection) -> QueryResult<usize> {
    let told = users::table.filter(users::dormant_at.is_not_null());
    diesel::update(told).set(Untold::default()).execute(conn)
}

/// An account whose person has been told nothing.
#[derive(Default, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true)]
struct Untold {
    dormant_at: Option<Moment>,
    dormancy_notices: i32,
    dormant_action: Option<String>,
}
