//! Searches in the middle of names and addresses, by what each database has for them.
//!
//! PostgreSQL finds them by an index of trigrams (`pg_trgm`) by itself. SQLite has one in a table beside (`FTS5`), which triggers
//! keep. MariaDB has none that could, and reads every row.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::db::schema::users;
use crate::db::{AnyBackend, Connection};

/// Accounts, narrowed down.
pub(super) type Query<'a> = users::BoxedQuery<'a, AnyBackend>;

/// Up to so many accounts are found by the index. A text that more of them hold is found as fast by looking at one after the other
/// in their order.
const MAX_BY_INDEX: i64 = 2000;
/// What an index of trigrams needs.
#[cfg(feature = "sqlite")]
const MIN_CHARS_FOR_INDEX: usize = 3;

/// Narrows a query to the accounts in which that text may stand, where the database can tell before it reads them.
pub(super) fn narrow<'a>(conn: &mut Connection, query: Query<'a>, text: &str) -> QueryResult<Query<'a>> {
    let is_indexed = match conn {
        #[cfg(feature = "sqlite")]
        Connection::Sqlite(_) => text.chars().count() >= MIN_CHARS_FOR_INDEX,
        #[cfg(feature = "postgres")]
        Connection::Postgres(_) => false,
        #[cfg(feature = "mysql")]
        Connection::Mysql(_) => false,
    };
    let phrase = format!("\"{}\"", text.replace('"', "\"\""));
    if !is_indexed || count(conn, &phrase)? > MAX_BY_INDEX {
        return Ok(query);
    }
    let found = diesel::dsl::sql::<Bool>(
        "users.id IN (SELECT user_id FROM users_search JOIN users_search_rows ON number = users_search.rowid WHERE users_search MATCH ",
    );
    Ok(query.filter(found.bind::<Text, _>(phrase).sql(")")))
}

fn count(conn: &mut Connection, phrase: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    let most = MAX_BY_INDEX + 1;
    let query = format!(
        "SELECT COUNT(*) AS number FROM (SELECT 1 FROM users_search WHERE users_search MATCH ? LIMIT {most})"
    );
    let found = diesel::sql_query(query).bind::<Text, _>(phrase).get_result::<Found>(conn)?;
    Ok(found.number)
}
