//! Accounts on their way out: deleted when their days of grace are over, unless their person keeps them.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Id, Moment};

/// Sets when an account is deleted, or that it stays.
pub fn set(conn: &mut Connection, id: &Id, leaves_at: Option<Moment>) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::leaves_at.eq(leaves_at)).execute(conn).map(drop)
}

/// Lists some of the accounts whose days of grace are over, those first that have waited longest.
pub fn due(conn: &mut Connection, now: Moment, limit: i64) -> QueryResult<Vec<Id>> {
    users::table
        .filter(users::leaves_at.le(now))
        .order(users::leaves_at)
        .limit(limit)
        .select(users::id)
        .load(conn)
}
