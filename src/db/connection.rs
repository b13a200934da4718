//! A connection to whichever database `DATABASE_URL` names.
//!
//! The derive writes the common subset of all its variants: no RETURNING, no ON CONFLICT, no boolean. What differs
//! between the back ends stands here (how a transaction begins), in `connecting` (how a session is set up) and in `migrating` (how
//! instances take turns).

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
#[cfg(feature = "postgres")]
use diesel::sql_types::Integer;

use super::Error;

/// A connection to one of the databases that we support.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    /// The embedded one.
    #[cfg(feature = "sqlite")]
    Sqlite(diesel::sqlite::SqliteConnection),
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(diesel::pg::PgConnection),
    /// MySQL and MariaDB.
    #[cfg(feature = "mysql")]
    Mysql(diesel::mysql::MysqlConnection),
}

/// Runs a query on the back end that a connection has, for those asked at every request: each back end keeps the statement by the type
/// of the query, where the enum would write its text again each time.
macro_rules! on_backend {
    ($conn:expr, $inner:ident => $query:expr) => {
        match $conn {
            #[cfg(feature = "sqlite")]
            $crate::db::Connection::Sqlite($inner) => $query,
            #[cfg(feature = "postgres")]
            $crate::db::Connection::Postgres($inner) => $query,
            #[cfg(feature = "mysql")]
            $crate::db::Connection::Mysql($inner) => $query,
        }
    };
}
pub(crate) use on_backend;

impl DbConnection {
    /// Begins a transaction that will write. On SQLite the write lock is taken at once: a transaction that
    /// reads first and writes later fails with "locked" however long it may wait.
    pub(super) fn begin_write(&mut self) -> QueryResult<()> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(inner) => AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE"),
            #[cfg(feature = "postgres")]
            Self::Postgres(inner) => AnsiTransactionManager::begin_transaction(inner),
            #[cfg(feature = "mysql")]
            Self::Mysql(inner) => AnsiTransactionManager::begin_transaction(inner),
        }
    }

    /// Empties the write-ahead log into the file. Where somebody reads at the same time, the next time will do.
    pub(super) fn truncate_log(&mut self) -> QueryResult<()> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(inner) => inner.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)"),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Ok(()),
        }
    }

    /// Refuses a database that cannot keep every text.
    pub(super) fn refuse_other_charsets(&mut self) -> Result<(), Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(inner) => {
                if one_text(inner, "SELECT current_setting('server_encoding') AS value")? == "UTF8" {
                    return Ok(());
                }
                Err(Error::Unfit(
                    "the database must use the encoding UTF8; create it with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
                ))
            }
            // Their tables are made with a charset of their own, or have but one.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Ok(()),
        }
    }

    /// Limits how long the transaction that has just begun may wait, where the session that it has is nobody's and keeps no setting.
    pub(super) fn limit_transaction(&mut self) -> QueryResult<()> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(inner) => inner.batch_execute(
                "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '3s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '30s'",
            ),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "mysql")]
            Self::Mysql(_) => Ok(()),
        }
    }

    /// Finds out whether a pooler gives two connections one session, as `PgBouncer` does with `pool_mode=transaction`. Refuses one
    /// that does not keep apart what they prepare: each would meet the other one's statements under its own names.
    pub(super) fn probe_shared_sessions(one: &mut Self, other: &mut Self) -> Result<bool, Error> {
        match (one, other) {
            #[cfg(feature = "postgres")]
            (Self::Postgres(one), Self::Postgres(other)) => {
                // Once may be chance: others take and give back sessions meanwhile.
                let mut are_own = true;
                for _ in 0..4 {
                    let before = one_text(one, PID)?;
                    // While the other one keeps its session, the first can only have got its own again, if it has one.
                    let (theirs, after) = other
                        .transaction(|other| QueryResult::Ok((one_text(other, PID)?, one_text(one, PID)?)))?;
                    are_own &= before == after && before != theirs;
                }
                if are_own {
                    return Ok(false);
                }
                let kept_apart = keep_apart(one, other);
                if kept_apart.is_err() {
                    // Whatever they were in the middle of.
                    let rolled_back = [one, other].map(|conn| conn.batch_execute("ROLLBACK"));
                    log::debug!("the probe of a pooler ends: {rolled_back:?}");
                }
                kept_apart.map(|()| true).map_err(|error| {
                    if error.to_string().contains("prepared statement") {
                        Error::Unfit(
                            "DATABASE_URL leads to a pooler that mixes up what its clients prepare; use PgBouncer 1.21 or newer with max_prepared_statements, set pool_mode=session, or connect directly",
                        )
                    } else {
                        error.into()
                    }
                })
            }
            #[expect(clippy::allow_attributes, reason = "reached only with those features")]
            #[allow(unreachable_patterns, reason = "reached only with those features")]
            _ => Ok(false),
        }
    }
}

#[cfg(feature = "postgres")]
const PID: &str = "SELECT pg_backend_pid()::text AS value";

/// Prepares something else over each connection, under the same name, until one has met the session of the server in which the other one did.
///
/// # Errors
/// When a statement that was prepared is unknown, or is another one's.
#[cfg(feature = "postgres")]
fn keep_apart(one: &mut PgConnection, other: &mut PgConnection) -> QueryResult<()> {
    let mut met = std::collections::BTreeSet::new();
    for turn in 0..8 {
        one.batch_execute("BEGIN")?;
        diesel::select(1.into_sql::<Integer>()).execute(one)?;
        other.batch_execute("BEGIN")?;
        diesel::select((1.into_sql::<Integer>(), 2.into_sql::<Integer>())).execute(other)?;
        met.insert(one_text(one, PID)?);
        // Which of the sessions the pooler gives next depends on which was given back last.
        let mut in_turn = [&mut *one, &mut *other];
        in_turn.rotate_left(turn % 2);
        for conn in in_turn {
            conn.batch_execute("COMMIT")?;
        }
        if met.len() > 1 {
            break;
        }
    }
    Ok(())
}

/// Asks for one text by a query that is not prepared under a name: a pooler may not know the name the next time.
#[cfg(feature = "postgres")]
fn one_text(conn: &mut diesel::pg::PgConnection, query: &str) -> QueryResult<String> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    diesel::sql_query(query).get_result::<Row>(conn).map(|row| row.value)
}
