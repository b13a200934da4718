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

use super::Error;
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

/// A connection in the pool.
pub(super) struct Pooled {
    pub(super) conn: DbConnection,
    /// When it was made, in restarts of the server that we have noticed.
    epoch: u64,
}

/// Makes connections for the pool.
#[derive(Clone)]
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
            let url = with_system_authorities(&impatient(place));
            let mut conn = diesel::pg::PgConnection::establish(&url).map_err(ConnectionError)?;
            conn.batch_execute(POSTGRES_SESSION).map_err(QueryError)?;
            Ok(DbConnection::Postgres(conn))
        }
        #[cfg(feature = "mysql")]
        Backend::Mysql => {
            let mut conn = diesel::mysql::MysqlConnection::establish(place).map_err(ConnectionError)?;
            conn.batch_execute(MYSQL_SESSION).map_err(QueryError)?;
            if config.demands_tls {
                require_tls(&mut conn)?;
            }
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

/// Where the URL asks for a certificate that is verified and names no authorities, those of the system count. (libpq looks into the
/// home of its user, and `system` into the folder of an OpenSSL that nobody installed.)
#[cfg(feature = "postgres")]
fn with_system_authorities(url: &str) -> String {
    let url = url.replace("&sslrootcert=system", "").replace("sslrootcert=system", "");
    if !url.contains("sslmode=verify-") || url.contains("sslrootcert=") {
        return url;
    }
    let Some(store) = openssl_probe::probe().cert_file else { return url };
    format!("{url}&sslrootcert={}", store.display())
}

/// Refuses a connection in clear: the client takes REQUIRED for a wish.
#[cfg(feature = "mysql")]
fn require_tls(conn: &mut diesel::mysql::MysqlConnection) -> Result<(), diesel::r2d2::Error> {
    #[derive(diesel::QueryableByName)]
    struct Cipher {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let query = "SELECT VARIABLE_VALUE AS value FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'";
    let newer = query.replace("information_schema.SESSION_STATUS", "performance_schema.session_status");
    let cipher = diesel::sql_query(query)
        .get_result::<Cipher>(conn)
        .or_else(|_| diesel::sql_query(newer).get_result::<Cipher>(conn))
        .map_err(diesel::r2d2::Error::QueryError)?;
    if cipher.value.is_empty() {
        let why =
            "DATABASE_URL asks for TLS (ssl_mode=REQUIRED), but the connection isn't encrypted; add ssl_ca";
        return Err(diesel::r2d2::Error::ConnectionError(diesel::ConnectionError::BadConnection(
            why.to_owned(),
        )));
    }
    Ok(())
}

/// FULL: what was acknowledged survives a power cut. `secure_delete`: what is erased is gone from the file, too.
/// `busy_timeout` first: the others may have to wait.
#[cfg(feature = "sqlite")]
const SQLITE_SESSION: &str = "PRAGMA busy_timeout = 3000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;";
/// Nobody waits for an answer for longer than five seconds (see `QUERY_TIMEOUT`), so neither does the server.
#[cfg(feature = "postgres")]
const POSTGRES_SESSION: &str = "SET timezone = 'UTC'; SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
    SET idle_in_transaction_session_timeout = '30s'; SET application_name = 'latchkey'; \
    SET client_encoding = 'UTF8'";
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

    /// Refuses a pooler that gives two connections one session, as `PgBouncer` does with `pool_mode=transaction`: what one prepared or
    /// set, the other one would meet.
    pub(super) fn refuse_shared_sessions(one: &mut Self, other: &mut Self) -> Result<(), Error> {
        match (one, other) {
            #[cfg(feature = "postgres")]
            (Self::Postgres(one), Self::Postgres(other)) => {
                const PID: &str = "SELECT pg_backend_pid()::text AS value";
                let before = one_text(one, PID)?;
                // While the other one keeps its session, the first can only have got its own again, if it has one.
                let (theirs, after) = other
                    .transaction(|other| QueryResult::Ok((one_text(other, PID)?, one_text(one, PID)?)))?;
                if before == after && before != theirs {
                    return Ok(());
                }
                Err(Error::Unfit(
                    "DATABASE_URL leads to a pooler that gives one session to several connections; set pool_mode=session in PgBouncer, or connect directly",
                ))
            }
            #[expect(clippy::allow_attributes, reason = "reached only with those features")]
            #[allow(unreachable_patterns, reason = "reached only with those features")]
            _ => Ok(()),
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
                if is_up_to_date(inner, &MIGRATIONS)? {
                    return Ok(0);
                }
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
                // Before anything is asked of the server that only an owner of tables may: the role that serves need not be one.
                if is_up_to_date(inner, &MIGRATIONS)? {
                    return Ok(0);
                }
                inner.transaction(|inner| {
                    // Ends with the transaction, whatever becomes of this connection or of a pooler's. The number is ours alone.
                    inner.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
                    let got: bool =
                        diesel::select(pg_try_advisory_xact_lock(7_241_906_328)).get_result(inner)?;
                    if !got {
                        log::info!("waiting for another instance, which brings the database up to date");
                        diesel::select(pg_advisory_xact_lock(7_241_906_328)).execute(inner)?;
                    }
                    run_migrations(inner, MIGRATIONS)
                })
            }
            #[cfg(feature = "mysql")]
            Self::Mysql(inner) => {
                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");
                if is_up_to_date(inner, &MIGRATIONS)? {
                    return Ok(0);
                }
                // Ends with this connection at the latest.
                inner.batch_execute("DO GET_LOCK(CONCAT('latchkey migrations ', DATABASE()), 3600)")?;
                let done = run_migrations(inner, MIGRATIONS);
                inner.batch_execute("DO RELEASE_LOCK(CONCAT('latchkey migrations ', DATABASE()))")?;
                done
            }
        }
    }
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

#[cfg(feature = "postgres")]
#[diesel::declare_sql_function]
extern "SQL" {
    fn pg_try_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
    fn pg_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Text;
}

/// Whether every migration has run. Only reads: the question is asked at each start, by roles that may not do more.
///
/// # Errors
/// When the database is newer than this program.
fn is_up_to_date<C, DB>(conn: &mut C, migrations: &EmbeddedMigrations) -> QueryResult<bool>
where
    C: diesel::connection::LoadConnection<Backend = DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
    for<'a> diesel::dsl::Select<applied::table, applied::version>:
        diesel::query_dsl::LoadQuery<'a, C, String>,
{
    // Without the table there is nothing yet; whatever else is wrong shows when it is made.
    let Ok(applied) = applied::table.select(applied::version).load::<String>(conn) else { return Ok(false) };
    let known = versions::<DB>(migrations)?;
    refuse_newer(&known, &applied)?;
    Ok(known.iter().all(|version| applied.contains(version)))
}

diesel::table! {
    #[sql_name = "__diesel_schema_migrations"]
    applied (version) {
        version -> Text,
    }
}

fn versions<DB: diesel::backend::Backend>(migrations: &EmbeddedMigrations) -> QueryResult<Vec<String>>
where
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let all = diesel::migration::MigrationSource::<DB>::migrations(migrations).map_err(QueryBuilderError)?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

fn refuse_newer(known: &[String], applied: &[String]) -> QueryResult<()> {
    if applied.iter().all(|version| known.contains(version)) {
        return Ok(());
    }
    Err(QueryBuilderError("the database is newer than this program; run the newer latchkey".into()))
}

fn run_migrations<C, DB>(conn: &mut C, migrations: EmbeddedMigrations) -> QueryResult<usize>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let known = versions::<DB>(&migrations)?;
    let applied = conn.applied_migrations().map_err(QueryBuilderError)?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    refuse_newer(&known, &applied)?;
    Ok(conn.run_pending_migrations(migrations).map_err(QueryBuilderError)?.len())
}
