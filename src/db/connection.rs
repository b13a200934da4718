//! A connection to whichever database `DATABASE_URL` names, and the pool's way to make one.
//!
//! The derive writes the common subset of all its variants: no RETURNING, no ON CONFLICT, no boolean. What differs
//! between the back ends (how a transaction begins, how instances take turns to migrate, how a session is set up)
//! stands in this file and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::ManageConnection;
use diesel::result::Error::QueryBuilderError;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use secrecy::ExposeSecret;

use crate::config::{Backend, DatabaseConfig};

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

/// A connection in the pool.
pub(super) struct Pooled {
    pub(super) conn: DbConnection,
    /// When it was made, in restarts of the server that we have noticed.
    epoch: u64,
}

/// Makes connections for the pool.
pub(super) struct Manager {
    config: DatabaseConfig,
    epoch: Arc<AtomicU64>,
}

impl Manager {
    pub(super) fn new(config: DatabaseConfig, epoch: Arc<AtomicU64>) -> Self {
        Self { config, epoch }
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        Ok(Pooled { conn: connect(&self.config)?, epoch })
    }

    /// Costs no trip: one connection that turned out dead condemns all that are as old.
    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Self::Error> {
        if pooled.epoch == self.epoch.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(diesel::r2d2::Error::QueryError(diesel::result::Error::BrokenTransactionManager))
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        type Transactions = <DbConnection as diesel::Connection>::TransactionManager;
        std::thread::panicking() || Transactions::is_broken_transaction_manager(&mut pooled.conn)
    }
}

fn connect(config: &DatabaseConfig) -> Result<DbConnection, diesel::r2d2::Error> {
    use diesel::r2d2::Error::{ConnectionError, QueryError};
    let place = config.place.expose_secret();
    match config.backend {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            let mut conn = diesel::sqlite::SqliteConnection::establish(place).map_err(ConnectionError)?;
            conn.batch_execute(SQLITE_SESSION).map_err(QueryError)?;
            Ok(DbConnection::Sqlite(conn))
        }
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            let mut conn = diesel::pg::PgConnection::establish(&impatient(place)).map_err(ConnectionError)?;
            conn.batch_execute(POSTGRES_SESSION).map_err(QueryError)?;
            Ok(DbConnection::Postgres(conn))
        }
        #[cfg(feature = "mysql")]
        Backend::Mysql => {
            let mut conn = diesel::mysql::MysqlConnection::establish(place).map_err(ConnectionError)?;
            conn.batch_execute(MYSQL_SESSION).map_err(QueryError)?;
            Ok(DbConnection::Mysql(conn))
        }
        // The settings refused it already.
        #[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mysql")))]
        other => {
            Err(ConnectionError(diesel::ConnectionError::BadConnection(format!("not built for {other:?}"))))
        }
    }
}

/// A server whose machine is gone answers nothing at all: five seconds are enough, unless the URL says otherwise.
#[cfg(feature = "postgres")]
fn impatient(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [("connect_timeout", "3"), ("tcp_user_timeout", "5000")] {
        if !url.contains(name) {
            let joint = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{joint}{name}={value}");
        }
    }
    url
}

/// FULL: what was acknowledged survives a power cut. `secure_delete`: what is erased is gone from the file, too.
/// `busy_timeout` first: the others may have to wait.
#[cfg(feature = "sqlite")]
const SQLITE_SESSION: &str = "PRAGMA busy_timeout = 3000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;";
/// Nobody waits for an answer for longer than five seconds (see `QUERY_TIMEOUT`), so neither does the server.
#[cfg(feature = "postgres")]
const POSTGRES_SESSION: &str = "SET timezone = 'UTC'; SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
    SET idle_in_transaction_session_timeout = '30s'; SET application_name = 'latchkey'";
/// READ COMMITTED as PostgreSQL has it: what waits for a row sees the row as it is then. Strict: no silent cut.
#[cfg(feature = "mysql")]
const MYSQL_SESSION: &str = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE', \
    innodb_lock_wait_timeout = 3; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

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

    /// Runs the migrations that are missing, all instances taking turns; returns how many there were.
    ///
    /// # Errors
    /// Also when the database is newer than this program.
    pub(super) fn migrate(&mut self) -> QueryResult<usize> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(inner) => {
                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE")?;
                let done = run_migrations(inner, MIGRATIONS);
                match &done {
                    Ok(_) => AnsiTransactionManager::commit_transaction(inner)?,
                    Err(_) => AnsiTransactionManager::rollback_transaction(inner)?,
                }
                done
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(inner) => {
                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
                // The number is ours alone; whoever comes second may have to wait for a long migration.
                inner.batch_execute(
                    "SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_advisory_lock(7241906328)",
                )?;
                let done = run_migrations(inner, MIGRATIONS);
                inner.batch_execute("SELECT pg_advisory_unlock(7241906328)")?;
                inner.batch_execute(POSTGRES_SESSION)?;
                done
            }
            #[cfg(feature = "mysql")]
            Self::Mysql(inner) => {
                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");
                inner.batch_execute("DO GET_LOCK(CONCAT('latchkey migrations ', DATABASE()), 3600)")?;
                let done = run_migrations(inner, MIGRATIONS);
                inner.batch_execute("DO RELEASE_LOCK(CONCAT('latchkey migrations ', DATABASE()))")?;
                done
            }
        }
    }
}

fn run_migrations<C, DB>(conn: &mut C, migrations: EmbeddedMigrations) -> QueryResult<usize>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    use diesel::migration::MigrationSource;
    let known: Vec<String> = MigrationSource::<DB>::migrations(&migrations)
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
    Ok(conn.run_pending_migrations(migrations).map_err(QueryBuilderError)?.len())
}
