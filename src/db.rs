//! The one door to SQL: pool, threads, transactions, retries and time limits live here and nowhere else.
//!
//! - [`Db::find`] for one row by a unique key: so fast on SQLite that the hop to another thread would cost
//!   more than the read;
//! - [`Db::read`] for anything longer that only reads;
//! - [`Db::write`] for one transaction. An error of the closure means that nothing happened. It may be run
//!   again, so it must not hash, send or decode.

pub(crate) mod columns;
#[expect(missing_docs, reason = "what the derive writes has none")]
mod connection;
#[expect(missing_docs, reason = "generated")]
pub mod schema;
mod transfer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::TransactionManager;
use diesel::r2d2::{Pool, PooledConnection};
use diesel::result::DatabaseErrorKind;

use connection::Manager;
pub use connection::{DbConnection as Connection, MultiBackend as Backend};

use crate::config::{self, DatabaseConfig};

/// The longest that a request waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a transaction that lost a race is run.
const RUNS: u32 = 6;

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, locked or full: it may be back soon.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection is dead. Another one may live.
    #[error("the connection to the database is lost: {0}")]
    Lost(String),
    /// It refused a statement.
    #[error("the database refused: {0}")]
    Query(diesel::result::Error),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::Error::{BrokenTransactionManager, DatabaseError, RollbackErrorOnCommit};
        let error = match error {
            // A full disk rolls back by itself; the cause is what counts.
            RollbackErrorOnCommit { commit_error, .. } => *commit_error,
            error => error,
        };
        match &error {
            // First of all: its message may hold what somebody typed.
            DatabaseError(
                DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure,
                _,
            ) => Self::Query(error),
            DatabaseError(DatabaseErrorKind::ClosedConnection, _) | BrokenTransactionManager => {
                Self::Lost(error.to_string())
            }
            DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => Self::Unavailable(error.to_string()),
            DatabaseError(_, info) if says(info.message(), &LOST) => Self::Lost(error.to_string()),
            DatabaseError(_, info) if says(info.message(), &AWAY) => Self::Unavailable(error.to_string()),
            _ => Self::Query(error),
        }
    }
}

/// How the clients say that a connection is dead. (Not every one of them has a code for it.)
const LOST: [&str; 9] = [
    "server closed the connection",
    "terminating connection",
    "no connection to the server",
    "connection to server",
    "could not receive data",
    "connection has been closed",
    "gone away",
    "Lost connection",
    "Connection was killed",
];
/// How the databases say that they cannot just now: a lock that is held, a disk that is full.
const AWAY: [&str; 9] = [
    "locked",
    "disk is full",
    "disk I/O error",
    "readonly database",
    "unable to open",
    "statement timeout",
    "lock timeout",
    "Lock wait timeout",
    "No space left",
];

fn says(message: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| message.contains(sign))
}

impl Error {
    /// Another transaction was first: the same work, run again, sees what that one did.
    fn lost_a_race(&self) -> bool {
        use diesel::result::Error::DatabaseError;
        let Self::Query(DatabaseError(kind, info)) = self else { return false };
        matches!(kind, DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure)
            || info.message().to_ascii_lowercase().contains("deadlock")
    }
}

/// An error of a transaction's closure, which may or may not be the database's.
pub trait Failure: From<Error> {
    /// The database's error, if that is what it is.
    fn database(&self) -> Option<&Error>;
}

impl Failure for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

/// The database.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Manager>,
    /// Raised when a connection turns out dead: then the others of its age are not asked first.
    epoch: Arc<AtomicU64>,
    finds_inline: bool,
}

impl Db {
    /// Opens the database that the settings name. Connects when first used.
    pub fn open(config: &DatabaseConfig) -> Self {
        let epoch = Arc::new(AtomicU64::new(0));
        let pool = Pool::builder()
            .max_size(config.pool_size)
            .min_idle(Some(0))
            .connection_timeout(Duration::from_secs(3))
            .error_handler(Box::new(LogErrors))
            .build_unchecked(Manager::new(config.clone(), Arc::clone(&epoch)));
        Self { pool, epoch, finds_inline: config.backend == config::Backend::Sqlite }
    }

    /// Brings the tables up to this program's version; tells how many migrations ran. Blocks the thread.
    ///
    /// # Errors
    /// When the database is away, or newer than this program.
    pub fn migrate(&self) -> Result<usize, Error> {
        Ok(self.connection()?.conn.migrate()?)
    }

    /// Copies everything to another database, which must be empty; tells how many rows each table has. All of it
    /// arrives or nothing. Blocks the thread.
    ///
    /// # Errors
    /// When the target is not empty, or does not hold afterwards what the source holds.
    pub fn copy_to(&self, target: &Self) -> Result<Vec<(&'static str, i64)>, Error> {
        type Transactions = <Connection as diesel::Connection>::TransactionManager;
        let (mut source, mut target) = (self.connection()?, target.begin()?);
        let (from, to) = (&mut source.conn, &mut target.conn);
        let copied = copy_into_empty(from, to);
        match &copied {
            Ok(_) => Transactions::commit_transaction(to)?,
            Err(_) => Transactions::rollback_transaction(to)?,
        }
        copied
    }

    /// One row by a unique key. May be run again.
    ///
    /// # Errors
    /// The closure's, or `Unavailable` after five seconds.
    pub async fn find<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: Fn(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Failure + Send + 'static,
    {
        if self.finds_inline {
            // Never wait for the pool here: this is the thread that serves everybody else.
            if let Some(mut pooled) = self.pool.try_get() {
                return query(&mut pooled.conn);
            }
        }
        self.read(query).await
    }

    /// Anything that only reads. May be run again.
    ///
    /// # Errors
    /// The closure's, or `Unavailable` after five seconds.
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: Fn(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Failure + Send + 'static,
    {
        let db = self.clone();
        off_the_loop(move || {
            let answer = query(&mut db.connection()?.conn);
            if answer.as_ref().is_err_and(|error| db.is_lost(error)) {
                query(&mut db.connection()?.conn)
            } else {
                answer
            }
        })
        .await
    }

    /// One transaction: committed when the closure returns `Ok`, rolled back otherwise. Runs again, a few times at
    /// most, when another transaction was first.
    ///
    /// # Errors
    /// The closure's, or `Unavailable` after five seconds.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: Fn(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Failure + Send + 'static,
    {
        let (db, deadline) = (self.clone(), Instant::now() + PATIENCE);
        off_the_loop(move || {
            let mut run = 1;
            loop {
                let mut pooled = db.begin()?;
                match transaction(&mut pooled.conn, &work, deadline) {
                    Err(error) if run < RUNS && error.database().is_some_and(Error::lost_a_race) => run += 1,
                    done => {
                        if let Err(error) = &done {
                            db.is_lost(error);
                        }
                        return done;
                    }
                }
            }
        })
        .await
    }

    /// A connection with a transaction begun on it. Nothing has happened yet, so a dead one is no harm.
    fn begin(&self) -> Result<PooledConnection<Manager>, Error> {
        let mut pooled = self.connection()?;
        match pooled.conn.begin_write().map_err(Error::from) {
            Ok(()) => Ok(pooled),
            Err(error) if self.is_lost(&error) => {
                drop(pooled);
                let mut pooled = self.connection()?;
                pooled.conn.begin_write()?;
                Ok(pooled)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the connection turned out dead; those of its age are given up with it.
    fn is_lost(&self, error: &impl Failure) -> bool {
        let lost = matches!(error.database(), Some(Error::Lost(_)));
        if lost {
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
        lost
    }

    fn connection(&self) -> Result<PooledConnection<Manager>, Error> {
        self.pool.get().map_err(|error| Error::Unavailable(error.to_string()))
    }
}

fn copy_into_empty(from: &mut Connection, to: &mut Connection) -> Result<Vec<(&'static str, i64)>, Error> {
    if transfer::count_all(to)?.iter().any(|(_, count)| *count > 0) {
        return Err(Error::Unavailable("the target is not empty".to_owned()));
    }
    let copied = transfer::copy_all(from, to)?;
    let (there, here) = (transfer::count_all(to)?, transfer::count_all(from)?);
    if there == copied && here == copied {
        Ok(copied)
    } else {
        Err(Error::Unavailable("the source changed meanwhile; stop all instances first".to_owned()))
    }
}

/// What stands between the beginning of a transaction and its end. Nothing is committed after `deadline`: whoever
/// waited has been told by then that it did not work. (An answer that is lost during the COMMIT itself cannot be known.)
fn transaction<T, E: Failure>(
    conn: &mut Connection,
    work: impl Fn(&mut Connection) -> Result<T, E>,
    deadline: Instant,
) -> Result<T, E> {
    type Transactions = <Connection as diesel::Connection>::TransactionManager;
    let in_time = || if Instant::now() < deadline { Ok(()) } else { Err(E::from(too_late())) };
    match in_time().and_then(|()| work(conn)).and_then(|value| in_time().map(|()| value)) {
        Ok(value) => {
            Transactions::commit_transaction(conn).map_err(Error::from)?;
            Ok(value)
        }
        Err(refusal) => {
            if let Err(error) = Transactions::rollback_transaction(conn) {
                log::warn!("a transaction was rolled back already: {error}");
            }
            Err(refusal)
        }
    }
}

fn too_late() -> Error {
    Error::Unavailable("no answer within five seconds".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the database is one of the few that may")]
async fn off_the_loop<T, E, F>(work: F) -> Result<T, E>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Failure + Send + 'static,
{
    match tokio::time::timeout(PATIENCE, actix_web::web::block(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(Error::Unavailable("the query panicked".to_owned()).into()),
        Err(_) => Err(too_late().into()),
    }
}

/// The pool's own trouble goes to our log.
#[derive(Debug)]
struct LogErrors;

impl diesel::r2d2::HandleError<diesel::r2d2::Error> for LogErrors {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        log::warn!("no connection to the database: {error}");
    }
}
