//! Calls to the database on the threads of a worker, and what becomes of one that does not come back.
//!
//! The client of a database may wait for ever for a server that has accepted a query and is frozen, or whose machine has vanished.
//! So threads and connections that do not come back are abandoned and replaced.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Db;
use super::error::{Error, TransactionError};
use super::manager::Connections;
use super::transaction::too_late;
use crate::config::THREADS_PER_WORKER;
use crate::threads::Threads;

/// Longer than anything here should take.
const SLOW: Duration = Duration::from_millis(500);
/// How long a call may continue after its deadline. On a server that works each of its statements ends within
/// [`QUERY_TIMEOUT`](super::QUERY_TIMEOUT).
const GIVE_UP: Duration = Duration::from_secs(5);

/// The threads of one worker.
pub(super) struct WorkerThreads {
    threads: Threads,
    /// A permit for each thread that may write: one stays free for reading while a write waits for a lock.
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

/// A value that can be replaced while it is in use. Its clones share it.
pub(super) struct Replaceable<T>(Arc<RwLock<Arc<T>>>);

impl<T> Replaceable<T> {
    pub(super) fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces `old`; returns whether it did, or somebody else had.
    pub(super) fn replace(&self, old: &Arc<T>, new: impl FnOnce() -> T) -> bool {
        if !Arc::ptr_eq(&self.current(), old) {
            return false;
        }
        let new = Arc::new(new());
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_still_old = Arc::ptr_eq(&current, old);
        if is_still_old {
            *current = new;
        }
        is_still_old
    }
}

impl<T> Clone for Replaceable<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Db {
    /// Does some work on a thread; its answer, or `Unavailable` at the deadline.
    pub(super) async fn call<T, E, F>(&self, what: &'static str, deadline: Instant, work: F) -> Result<T, E>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: TransactionError + Send + 'static,
    {
        let timed = move || {
            // Whoever waited in line for so long has left.
            if Instant::now() < deadline { time(what, work) } else { Err(too_late().into()) }
        };
        let (threads, pool) = (self.threads.current(), self.pool.current());
        let running = threads.threads.run(timed);
        let mut call =
            Call { db: self, running: Some(running), threads, pool, give_up_at: deadline + GIVE_UP };
        let Some(running) = &mut call.running else { return Err(too_late().into()) };
        match tokio::time::timeout_at(deadline.into(), running).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) if error.is_panic() => {
                Err(Error::Unavailable("the query panicked".to_owned()).into())
            }
            // Not in time, or the process is about to end.
            Ok(Err(_)) | Err(_) => Err(too_late().into()),
        }
    }

    /// Gives up a call that has not come back: others take the places of its thread and of its connections.
    async fn give_up<T>(self, running: JoinHandle<T>, threads: Arc<WorkerThreads>, pool: Arc<Connections>) {
        // It keeps its connection open, and a server that lives but does not answer has only so many.
        let abandoned = Arc::clone(&self.abandoned).try_acquire_owned();
        let Ok(_abandoned) = abandoned else { return };
        self.threads.replace(&threads, WorkerThreads::new);
        if self.pool.replace(&pool, || self.manager.connections()) {
            self.outage.begin(&too_late());
            log::warn!(
                "the database does not answer a query: its connections are abandoned, and new ones will be made"
            );
        }
        drop((self, threads, pool));
        // However it ends.
        drop(running.await);
    }
}

/// Runs `work`, and logs it if it was slow.
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

/// A call that its caller may leave before it is done. From then on it is watched.
struct Call<'a, T: Send + 'static> {
    db: &'a Db,
    /// `None` only while it is dropped.
    running: Option<JoinHandle<T>>,
    threads: Arc<WorkerThreads>,
    pool: Arc<Connections>,
    give_up_at: Instant,
}

impl<T: Send + 'static> Drop for Call<'_, T> {
    fn drop(&mut self) {
        let running = self.running.take().filter(|running| !running.is_finished());
        // An embedded database is on our own disk: another connection would be no faster.
        let running = running.filter(|_| self.db.inline.is_none());
        let (Some(mut running), Ok(here)) = (running, Handle::try_current()) else { return };
        let (threads, pool) = (Arc::clone(&self.threads), Arc::clone(&self.pool));
        let (db, at) = (self.db.clone(), self.give_up_at.into());
        here.spawn(async move {
            if tokio::time::timeout_at(at, &mut running).await.is_err() {
                db.give_up(running, threads, pool).await;
            }
        });
    }
}
