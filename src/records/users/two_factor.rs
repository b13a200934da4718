//! Whether signing in to an account takes a second step.

use diesel::prelude::*;

use super::User;
use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Id, Moment, Role};

/// Sets since when it does; `None`: it does not. Either way nobody waits for its end any more.
pub fn set(conn: &mut Connection, id: &Id, since: Option<Moment>) -> QueryResult<()> {
    let none: Option<Moment> = None;
    diesel::update(users::table.find(id))
        .set((users::two_factor_since.eq(since), users::two_factor_ends_at.eq(none)))
        .execute(conn)
        .map(drop)
}

/// Sets when it ends because its person has lost it.
pub fn set_end(conn: &mut Connection, id: &Id, ends_at: Option<Moment>) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::two_factor_ends_at.eq(ends_at)).execute(conn).map(drop)
}

/// Lists confirmed accounts of these roles that have none, those after `after` by their identifiers.
pub fn without(
    conn: &mut Connection,
    roles: &[Role],
    after: Option<&Id>,
    limit: i64,
) -> QueryResult<Vec<User>> {
    let mut query = users::table
        .filter(users::role.eq_any(roles.to_vec()))
        .filter(users::two_factor_since.is_null())
        .filter(users::verified_at.is_not_null())
        .filter(users::blocked_at.is_null())
        .order(users::id)
        .limit(limit)
        .select(User::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(users::id.gt(after.clone()));
    }
    query.load(conn)
}
