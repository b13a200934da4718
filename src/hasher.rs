//! Password hashing, on threads of its own.
//!
//! bcrypt takes a quarter of a second of a core for each password, on purpose. It runs on as many threads as there are
//! cores, for which callers wait in turn: at most five seconds, then they are asked to come back. It rests when requests
//! arrive, so that nobody else's page waits long for it. Each network waits in a line of its own, whose first few wait with
//! those of the others.

mod bcrypt;
mod recipe;
mod traffic;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::config::PasswordConfig;
use crate::identity::{Message, Password, PasswordHash};
use crate::threads::Threads;
use recipe::Recipe;

/// The longest wait for a free thread.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(5);
/// The most callers that wait at once.
const MAX_WAITING: usize = 512;
/// The most of them from one network.
const MAX_WAITING_OF_ONE: usize = 64;
/// The line of who is not limited by network: the program itself, the command line, superusers at work.
pub const OWN_LINE: &str = "";

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many are waiting; try again in a few seconds.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// Hashing panicked, which is a mistake of ours; the cause is in the log.
    #[error("a password could not be hashed")]
    Failed,
}

/// What became of checking a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password, or there is none to compare with.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, kept at another cost or under another key than is used now: hash it again.
    RightButOld,
}

/// The hashing threads; they end when the last clone is gone.
#[derive(Clone)]
pub struct Hasher {
    queue: Arc<Queue>,
    recipe: Arc<Recipe>,
}

/// The threads, and who waits for them.
struct Queue {
    threads: Threads,
    /// A permit for each thread, given in the order of asking.
    free: Arc<Semaphore>,
    /// A permit for each caller that may wait.
    room: Semaphore,
    lines: Mutex<HashMap<String, Arc<Line>>>,
    count: usize,
}

/// Where those of one network wait.
struct Line {
    /// As many permits as there are threads: for its first few, who wait with those of the other lines.
    first: Arc<Semaphore>,
    /// A permit for each that may wait.
    room: Semaphore,
}

impl Hasher {
    /// Prepares a thread for each core.
    pub fn new(config: &PasswordConfig) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let queue = Queue {
            threads: Threads::new("hasher", count),
            free: Arc::new(Semaphore::new(count)),
            room: Semaphore::new(MAX_WAITING),
            lines: Mutex::default(),
            count,
        };
        Self { queue: Arc::new(queue), recipe: Arc::new(Recipe::new(config, count)) }
    }

    /// Counts a request that hashing is to rest for; `traffic` says when.
    pub fn give_way(&self) {
        self.recipe.traffic.count();
    }

    /// Tells how many requests it has been told of, for tests.
    pub fn given_way_to(&self) -> u32 {
        self.recipe.traffic.so_far()
    }

    /// Makes the hash to store for `password`. `line` names the network that asks.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn hash(&self, line: &str, password: Password) -> Result<PasswordHash, HashError> {
        let recipe = Arc::clone(&self.recipe);
        self.queue.run(line, move || recipe.hash(&password)).await
    }

    /// Makes the hash to store for a new password, unless it can be guessed: then says why. Judging costs what the sender
    /// of a password chooses, so it is done here and not where pages are served. Judging doesn't rest for requests: it takes only
    /// a few milliseconds.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn hash_new(
        &self,
        line: &str,
        password: Password,
        own_words: Vec<String>,
    ) -> Result<Result<PasswordHash, Message>, HashError> {
        let recipe = Arc::clone(&self.recipe);
        let judge_and_hash = move || {
            password.refuse_if_guessable(&own_words)?;
            Ok(recipe.hash(&password))
        };
        self.queue.run(line, judge_and_hash).await
    }

    /// Checks whether `password` is the one of `stored`. Takes the same work when there is none.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn verify(
        &self,
        line: &str,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashError> {
        let verdicts = self.verify_each(line, password, vec![stored]).await?;
        Ok(verdicts.first().copied().unwrap_or(Verdict::Wrong))
    }

    /// Checks `password` against one after the other, in one turn, until it is right. Takes the same work for each that is
    /// none.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn verify_each(
        &self,
        line: &str,
        password: Password,
        stored: Vec<Option<PasswordHash>>,
    ) -> Result<Vec<Verdict>, HashError> {
        let recipe = Arc::clone(&self.recipe);
        let work = move || {
            let mut verdicts = Vec::new();
            for hash in &stored {
                let verdict = recipe.verify(&password, hash.as_ref());
                verdicts.push(verdict);
                if verdict != Verdict::Wrong {
                    break;
                }
            }
            verdicts
        };
        self.queue.run(line, work).await
    }
}

impl Queue {
    /// Waits for a free thread and runs `work` there. A caller that goes away leaves the queue.
    async fn run<T: Send + 'static>(
        &self,
        line: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let line = self.line(line);
        let waiting = (line.room.try_acquire(), self.room.try_acquire());
        let (Ok(_), Ok(_)) = &waiting else { return Err(HashError::Busy) };
        let turn = self.turn(&line);
        let turn = tokio::time::timeout(MAX_QUEUE_WAIT, turn).await.map_err(|_| HashError::Busy)?;
        let thread = turn.map_err(|_| HashError::Failed)?;
        drop(waiting);
        // The thread is free again when the work ends, also when nobody waits for it any more.
        let work = move || {
            let done = work();
            drop(thread);
            done
        };
        self.threads.run(work).await.map_err(|error| {
            log::error!("hashing a password panicked: {error}");
            HashError::Failed
        })
    }

    /// Waits in the line of a network, then with the first of the other lines.
    async fn turn(&self, line: &Line) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), AcquireError> {
        let first = Arc::clone(&line.first).acquire_owned().await?;
        Ok((first, Arc::clone(&self.free).acquire_owned().await?))
    }

    fn line(&self, name: &str) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() > 2 * MAX_WAITING {
            // Nobody stands in those that only this map knows.
            lines.retain(|_, line| Arc::strong_count(line) > 1 || Arc::strong_count(&line.first) > 1);
        }
        let room = if name == OWN_LINE { MAX_WAITING } else { MAX_WAITING_OF_ONE };
        let new = || Line { first: Arc::new(Semaphore::new(self.count)), room: Semaphore::new(room) };
        Arc::clone(lines.entry(name.to_owned()).or_insert_with(|| Arc::new(new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PasswordRules;

    #[test]
    fn those_of_one_network_leave_threads_to_the_others() {
        let rules = PasswordRules { min_length: 8 };
        let hasher = Hasher::new(&PasswordConfig { cost: 4, rules, pepper: "".into() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let threads = Arc::clone(&hasher.queue);
            let busy = u32::try_from(threads.count).unwrap();
            let all = threads.free.acquire_many(busy).await.unwrap();
            let crowd = (0..60).map(|_| hasher.verify("crowd", Password::entered("x"), None));
            let crowd = futures_util::future::join_all(crowd);
            let one = hasher.verify("one", Password::entered("x"), None);
            let after = async {
                tokio::task::yield_now().await;
                drop(all);
                one.await.unwrap();
                threads.line("crowd").first.available_permits()
            };
            let (_, left) = futures_util::join!(crowd, after);
            assert_eq!(left, 0, "the crowd still waits when the one has been served");
        });
    }

    #[test]
    fn whoever_finds_no_room_is_asked_to_come_back_and_whoever_left_makes_room() {
        let rules = PasswordRules { min_length: 8 };
        let hasher = Hasher::new(&PasswordConfig { cost: 4, rules, pepper: "".into() });
        let all = u32::try_from(MAX_WAITING).unwrap();
        let taken = hasher.queue.room.try_acquire_many(all).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let hash = || runtime.block_on(hasher.hash(OWN_LINE, Password::entered("violet canyon")));
        assert_eq!(hash().unwrap_err(), HashError::Busy);
        drop(taken);
        assert!(hash().is_ok());
    }

    #[test]
    fn nobody_waits_longer_than_five_seconds_for_a_thread() {
        let rules = PasswordRules { min_length: 8 };
        let hasher = Hasher::new(&PasswordConfig { cost: 4, rules, pepper: "".into() });
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let busy = u32::try_from(hasher.queue.free.available_permits()).unwrap();
        let _all = hasher.queue.free.try_acquire_many(busy).unwrap();
        let (answer, waited) = runtime.block_on(async {
            let began = tokio::time::Instant::now();
            (hasher.verify(OWN_LINE, Password::entered("violet canyon"), None).await, began.elapsed())
        });
        assert_eq!(answer, Err(HashError::Busy));
        assert!(waited < Duration::from_secs(6), "{waited:?}");
    }
}
