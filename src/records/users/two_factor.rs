//! Whether signing in to an account takes a second step.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Id, Moment};

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
