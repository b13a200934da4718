//! Everything that talks SQL goes through here: pool, threads, transactions, retries and time limits.
//!
//! - [`Db::find`] for one row by a unique key: so fast on SQLite that the hop to another thread would cost
//!   more than the read;
//! - [`Db::read`] for anything longer that only reads;
//! - [`Db::write`] for one transaction. An error of the closure means that nothing happened. It may be run
//!   again, so it must not hash, send or decode.

pub(crate) mod after_commit;
mod calls;
pub(crate) mod columns;
mod connecting;
pub(crate) mod connection;
mod error;
mod inline;
mod manager;
mod migrating;
mod outage;
pub mod schema;
mod signs;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::r2d2::PooledConnection;
use tokio::sync::Semaphore;

use calls::{Replaceable, WorkerThreads};
pub use connection::{DbConnection as Connection, MultiBackend as AnyBackend};
use error::Undone;
pub use error::{Error, TransactionError};
use inline::Inline;
use manager::{Connections, Manager, Pooled};
use outage::Outage;
use transaction::{Ended, end, too_late, transaction};

use crate::config::{self, DatabaseConfig};

/// The longest that a request waits for the database.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database.
#[derive(Clone)]
pub struct Db {
    manager: Manager,
    pool: Replaceable<Connections>,
    /// A permit for each call that may be left behind: as many as there are connections.
    abandoned: Arc<Semaphore>,
    /// Raised when a connection turns out dead: then the others of its age are not asked first.
    epoch: Arc<AtomicU64>,
    outage: Outage,
    /// Whether a pooler gives the sessions of the server to whoever needs one.
    shares_sessions: Arc<AtomicBool>,
    threads: Replaceable<WorkerThreads>,
    /// With SQLite alone.
    inline: Option<Arc<Inline>>,
}

impl Db {
    /// Opens the database that the settings name. Connects when first used.
    pub fn open(config: &DatabaseConfig) -> Self {
        let epoch = Arc::default();
        let manager = Manager::new(config.clone(), Arc::clone(&epoch));
        let is_embedded = config.backend == config::Backend::Sqlite;
        Self {
            inline: is_embedded.then(|| Inline::new(manager.clone())),
            pool: Replaceable::new(manager.connections()),
            abandoned: Arc::new(Semaphore::new(usize::try_from(config.pool_size).unwrap_or(1))),
            manager,
            epoch,
            outage: Outage::default(),
            shares_sessions: Arc::default(),
            threads: Replaceable::new(WorkerThreads::new()),
        }
    }

    /// Gives a worker threads of its own, and a connection for what is found inline: it waits for no other worker.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        let inline = self.inline.as_ref().map(|own| own.another());
        Self { inline, threads: Replaceable::new(WorkerThreads::new()), ..self.clone() }
    }

    /// Brings the tables up to this program's version; returns how many migrations ran. Blocks the thread.
    ///
    /// # Errors
    /// When the database is away, none that we can work with, or newer than this program.
    pub fn migrate(&self) -> Result<usize, Error> {
        self.refuse_unfit()?;
        Ok(self.connection()?.conn.migrate()?)
    }

    /// Runs a copy from this database into another one, in one transaction of the target: all of it arrives or
    /// nothing. Blocks the thread.
    ///
    /// # Errors
    /// The copy's.
    pub fn copy_to<T>(
        &self,
        target: &Self,
        copy: impl FnOnce(&mut Connection, &mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut source = self.connection()?;
        let mut target = target.begin()?;
        let copied = copy(&mut source.conn, &mut target.conn);
        end(&mut target.conn, copied)
    }

    /// Whether there are no tables yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        use diesel::prelude::*;
        let looked = self.read(|conn| {
            schema::users::table.limit(0).select(schema::users::id).load::<String>(conn).map(drop)
        });
        match looked.await {
            Ok(()) => Ok(false),
            Err(Error::Query(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Proves that the database takes writes, by one that changes nothing.
    ///
    /// # Errors
    /// `Unavailable` or `Lost` when it does not, `Query` when the tables are missing.
    pub async fn prove(&self) -> Result<(), Error> {
        self.write(write_nothing).await
    }

    /// Empties SQLite's write-ahead log, where what was erased from the file may still be read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_for_good(&self) -> Result<(), Error> {
        self.read(Connection::truncate_log).await
    }

    /// Refuses what is a database and none that we can work with. Blocks the thread.
    ///
    /// # Errors
    /// `Unfit`, with what is to be changed.
    pub fn refuse_unfit(&self) -> Result<(), Error> {
        let mut one = self.connection()?;
        one.conn.refuse_other_charsets()?;
        let mut other = self.connection()?;
        let are_shared = Connection::probe_shared_sessions(&mut one.conn, &mut other.conn)?;
        self.shares_sessions.store(are_shared, Ordering::Relaxed);
        Ok(())
    }

    /// Reads one row by a unique key. May run the query twice.
    ///
    /// # Errors
    /// The query's, or `Unavailable` after five seconds.
    pub async fn find<T, F>(&self, query: F) -> Result<T, Error>
    where
        F: Fn(&mut Connection) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        match self.inline.as_ref().and_then(|own| own.run(&query)) {
            // Only the beginning of an outage is noted here: its end takes a write, and this thread must not wait.
            Some(answer) => answer.inspect_err(|error| self.outage.begin(error)),
            None => self.read(query).await,
        }
    }

    /// Reads anything. May run the queries twice.
    ///
    /// # Errors
    /// The queries', or `Unavailable` after five seconds.
    pub async fn read<T, F>(&self, query: F) -> Result<T, Error>
    where
        F: Fn(&mut Connection) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        let db = self.clone();
        self.call("read", Instant::now() + QUERY_TIMEOUT, move || {
            let once = || {
                let mut pooled = db.connection()?;
                let answer = query(&mut pooled.conn).map_err(Error::from);
                answer.inspect_err(|error| db.note_lost(&pooled, error))
            };
            let answer = match once() {
                Err(error) if error.is_lost() => once(),
                answer => answer,
            };
            db.note(answer.as_ref().err());
            answer
        })
        .await
    }

    /// Runs one transaction: committed when the closure returns `Ok`, rolled back otherwise. Runs it again when another transaction
    /// was first, six times at most, and once when its connection was lost before the COMMIT.
    ///
    /// # Errors
    /// The closure's, or `Unavailable` after five seconds.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: Fn(&mut Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let db = self.clone();
        let deadline = Instant::now() + QUERY_TIMEOUT;
        let turn = Arc::clone(&self.threads.current().writers).acquire_owned();
        let turn = tokio::time::timeout(QUERY_TIMEOUT, turn).await.map_err(|_| too_late())?;
        self.call("write", deadline, move || {
            // Until the thread is free again, whoever waits for it.
            let _turn = turn;
            let mut so_far = Undone::default();
            loop {
                let mut pooled = db.begin().inspect_err(|error| db.note(Some(error)))?;
                let ended = transaction(&mut pooled.conn, &work, deadline);
                if let Some(error) = ended.error().and_then(E::database) {
                    db.note_lost(&pooled, error);
                }
                drop(pooled);
                match ended {
                    Ended::Undone(error)
                        if error.database().is_some_and(|why| so_far.grant_another_run(why)) => {}
                    ended => {
                        db.note(ended.error().and_then(E::database));
                        return ended.into();
                    }
                }
            }
        })
        .await
    }

    /// A connection with a transaction begun on it. Nothing has happened yet, so a dead one is no harm.
    fn begin(&self) -> Result<PooledConnection<Manager>, Error> {
        match self.begin_once() {
            Err(error) if error.is_lost() => self.begin_once(),
            begun => begun,
        }
    }

    fn begin_once(&self) -> Result<PooledConnection<Manager>, Error> {
        let mut pooled = self.connection()?;
        let mut begun = pooled.conn.begin_write();
        if begun.is_ok() && self.shares_sessions.load(Ordering::Relaxed) {
            begun = pooled.conn.limit_transaction();
        }
        match begun.map_err(Error::from) {
            Ok(()) => Ok(pooled),
            Err(error) => {
                self.note_lost(&pooled, &error);
                Err(error)
            }
        }
    }

    /// Notes how a piece of work went. What went well ends an outage only if a write does, too: a database that has become
    /// read-only still reads, and commits transactions that wrote nothing.
    fn note(&self, error: Option<&Error>) {
        match error {
            Some(error) => self.outage.begin(error),
            None if self.outage.is_on() && self.takes_writes() => self.outage.end(),
            None => {}
        }
    }

    fn takes_writes(&self) -> bool {
        let deadline = Instant::now() + QUERY_TIMEOUT;
        let written = self.begin().map(|mut pooled| transaction(&mut pooled.conn, write_nothing, deadline));
        matches!(written, Ok(Ended::Committed(())))
    }

    /// Gives up every connection that is as old as one that turned out dead: once, however many say so.
    fn note_lost(&self, pooled: &Pooled, error: &Error) {
        if error.is_lost() {
            let _ = self.epoch.compare_exchange(
                pooled.epoch,
                pooled.epoch + 1,
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
        }
    }

    fn connection(&self) -> Result<PooledConnection<Manager>, Error> {
        let pool = self.pool.current();
        pool.get().map_err(|error| {
            if pool.hangs() {
                self.pool.replace(&pool, || self.manager.connections());
            }
            // What the pool waited for is the reason; how it waited is not.
            let why = error.to_string();
            Error::Unavailable(on_one_line(
                why.strip_prefix("timed out waiting for connection: ").unwrap_or(&why),
            ))
        })
    }
}

fn write_nothing(conn: &mut Connection) -> Result<(), Error> {
    use diesel::prelude::*;
    let nobody = schema::users::table.find("");
    diesel::update(nobody).set(schema::users::phone.eq("")).execute(conn)?;
    Ok(())
}

/// libpq writes several lines, and a tab before the second.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
