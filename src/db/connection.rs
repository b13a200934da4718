//! A connection to whichever database `DATABASE_URL` names, and the pool's way to make one.
//!
//! The derive writes the common subset of all its variants: no RETURNING, no ON CONFLICT, no boolean. A further
//! back end is a further variant here, a scheme in [`Target::parse`] and a folder of migrations.

use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::ManageConnection;
use diesel::result::Error::QueryBuilderError;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// How long SQLite waits for another writer.
const BUSY: Duration = Duration::from_secs(3);

/// A connection to one of the databases that we support.
#[derive(diesel::MultiConnection)]
pub enum DbConnection {
    /// The embedded one.
    Sqlite(SqliteConnection),
}

/// What `DATABASE_URL` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Sqlite { path: String },
}

impl Target {
    /// By scheme, never by trial: SQLite would take any text for the name of a file.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        match url.split_once("://") {
            Some(("sqlite", "")) => Err("DATABASE_URL names no file".to_owned()),
            Some(("sqlite", path)) => Ok(Self::Sqlite { path: path.to_owned() }),
            Some(("postgres" | "postgresql" | "mysql", _)) => {
                Err("DATABASE_URL names a database that this version is not built for; use sqlite://"
                    .to_owned())
            }
            _ => Err("DATABASE_URL must be like sqlite://relative.sqlite3 or sqlite:///absolute.sqlite3"
                .to_owned()),
        }
    }
}

/// Makes connections for the pool.
pub(super) struct Manager(pub(super) Target);

impl ManageConnection for Manager {
    type Connection = DbConnection;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<DbConnection, Self::Error> {
        let Target::Sqlite { path } = &self.0;
        let mut conn = SqliteConnection::establish(path).map_err(diesel::r2d2::Error::ConnectionError)?;
        // FULL: what was acknowledged survives a power cut. secure_delete: what is erased is gone from the file, too.
        // busy_timeout first: the others may have to wait.
        let busy = BUSY.as_millis();
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {busy}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
        ))
        .map_err(diesel::r2d2::Error::QueryError)?;
        Ok(DbConnection::Sqlite(conn))
    }

    fn is_valid(&self, conn: &mut DbConnection) -> Result<(), Self::Error> {
        conn.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, conn: &mut DbConnection) -> bool {
        std::thread::panicking()
            || <DbConnection as diesel::Connection>::TransactionManager::is_broken_transaction_manager(conn)
    }
}

impl DbConnection {
    /// Begins a transaction that will write. On SQLite the write lock is taken at once: a transaction that
    /// reads first and writes later fails with "locked" however long it may wait.
    pub(super) fn begin_write(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(inner) => AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE"),
        }
    }

    /// Runs the migrations that are missing, all instances taking turns; tells how many there were.
    ///
    /// # Errors
    /// Also when the database is newer than this program.
    pub(super) fn migrate(&mut self) -> QueryResult<usize> {
        match self {
            Self::Sqlite(inner) => {
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE")?;
                let done = run_migrations(inner);
                match &done {
                    Ok(_) => AnsiTransactionManager::commit_transaction(inner)?,
                    Err(_) => AnsiTransactionManager::rollback_transaction(inner)?,
                }
                done
            }
        }
    }
}

fn run_migrations<C, DB>(conn: &mut C) -> QueryResult<usize>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    use diesel::migration::MigrationSource;
    let known: Vec<String> = MigrationSource::<DB>::migrations(&SQLITE_MIGRATIONS)
        .map_err(QueryBuilderError)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = conn.applied_migrations().map_err(QueryBuilderError)?;
    if applied.iter().any(|version| !known.contains(&version.to_string())) {
        return Err(QueryBuilderError(
            "the database is newer than this program; run the newer latchkey".into(),
        ));
    }
    Ok(conn.run_pending_migrations(SQLITE_MIGRATIONS).map_err(QueryBuilderError)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_database() {
        let file = |url| Target::parse(url).map(|Target::Sqlite { path }| path);
        assert_eq!(file("sqlite://latchkey.sqlite3").as_deref(), Ok("latchkey.sqlite3"));
        assert_eq!(file("sqlite:///var/lib/a.sqlite3").as_deref(), Ok("/var/lib/a.sqlite3"));
        for bad in ["", "latchkey.sqlite3", "postgre:oops", "sqlite://", "postgres://localhost/a"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
