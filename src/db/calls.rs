//! Calls to the database on the threads of a worker, and what becomes of one that does not come back.
//!
//! No client of a database gives up on a server that has taken a question and says nothing: one that is frozen, or whose machine has
//! vanished. So threads and connections that do not come back are left alone, and others take their places.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::r2d2::Pool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::error::{Error, TransactionError};
use super::manager::Manager;
use super::transaction::too_late;
use super::{Db, QUERY_TIMEOUT};
use crate::config::THREADS_PER_WORKER;
use crate::threads::Threads;

/// Longer than anything here should take.
const SLOW: Duration = Duration::from_millis(500);
/// How long a call may go on when nobody waits for it any more: each of its statements ends within [`QUERY_TIMEOUT`], if the server
/// lives.
const GIVE_UP: Duration = Duration::from_secs(5);

/// The threads of one worker.
pub(super) struct WorkerThreads {
    threads: Threads,
    /// So many of them may write: one that waits for somebody's lock keeps nobody from reading.
    pub(super) writers: Arc<Semaphore>,
}

impl WorkerThreads {
    pub(super) fn new() -> Self {
        Self {
            threads: Threads::new("database", THREADS_PER_WORKER),
            writers: Arc::new(Semaphore::new(THREADS_PER_WORKER - 1)),
        }
    }
}

/// Something that another one may take the place of while it is used. Its clones share it.
pub(super) struct Replaceable<T>(Arc<RwLock<Arc<T>>>);

impl<T> Replaceable<T> {
    pub(super) fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces `old`, unless somebody else has.
    fn replace(&self, old: &Arc<T>, new: impl FnOnce() -> T) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, old) {
            *current = Arc::new(new());
        }
    }
}

impl<T> Clone for Replaceable<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Db {
    /// Does some work on a thread; its answer, or `Unavailable` after five seconds.
    pub(super) async fn call<T, E, F>(
        &self,
        what: &'static str,
        threads: Arc<WorkerThreads>,
        work: F,
    ) -> Result<T, E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let asked = Instant::now();
        let timed = move || {
            // Whoever waited in line for so long has left.
            if asked.elapsed() < QUERY_TIMEOUT { time(what, work) } else { Err(too_late().into()) }
        };
        let mut call = Call { db: self, running: Some(threads.threads.run(timed)), threads };
        let Some(running) = &mut call.running else { return Err(too_late().into()) };
        match tokio::time::timeout(QUERY_TIMEOUT, running).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) if error.is_panic() => {
                Err(Error::Unavailable("the query panicked".to_owned()).into())
            }
            // The threads were replaced before it was its turn, or nothing happened in time.
            Ok(Err(_)) | Err(_) => {
                self.outage.begin(&too_late());
                Err(too_late().into())
            }
        }
    }

    /// Leaves threads and connections alone that do not come back.
    fn give_up(&self, threads: &Arc<WorkerThreads>, pool: &Arc<Pool<Manager>>) {
        log::warn!("the database does not answer what it was asked: its connections are given up");
        self.threads.replace(threads, WorkerThreads::new);
        self.pool.replace(pool, || self.manager.pool());
    }
}

/// Does some work, and tells when it took long.
fn time<T, E: TransactionError>(what: &'static str, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    // What waited for a database that is away is a part of its outage, which is told.
    let is_away = done.as_ref().err().and_then(E::database).is_some_and(Error::is_of_outage);
    if took > SLOW && !is_away {
        log::warn!("the database took {} ms for a {what}", took.as_millis());
    }
    done
}

/// A call that may be left before it is done. Then it is watched whether it comes back.
struct Call<'a, T: Send + 'static> {
    db: &'a Db,
    /// `None` only while it is dropped.
    running: Option<JoinHandle<T>>,
    threads: Arc<WorkerThreads>,
}

impl<T: Send + 'static> Drop for Call<'_, T> {
    fn drop(&mut self) {
        let running = self.running.take().filter(|running| !running.is_finished());
        // An embedded database is as far away as our own disk: no other connection would come back sooner.
        let running = running.filter(|_| self.db.inline.is_none());
        let (Some(running), Ok(here)) = (running, Handle::try_current()) else { return };
        let (db, threads, pool) = (self.db.clone(), Arc::clone(&self.threads), self.db.pool.current());
        here.spawn(async move {
            if tokio::time::timeout(GIVE_UP, running).await.is_err() {
                db.give_up(&threads, &pool);
            }
        });
    }
}
