//! Password hashing behind a door.
//!
//! bcrypt takes a quarter of a second of a core for everybody, on purpose. It therefore runs on threads of
//! its own (as many as cores, at low priority), with a queue that is bounded by waiting time: whoever would
//! wait longer than [`PATIENCE`] is told to come back instead. Nobody else's page waits for it.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha384;
use tokio::sync::oneshot;

use crate::config::PasswordConfig;
use crate::identity::{Password, PasswordHash, fingerprint};

/// The longest wait for a free hashing thread.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most passwords in the queue.
const QUEUE: usize = 512;

/// Too many passwords are waiting to be checked; try again in a few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be hashed")]
pub struct Busy;

/// What became of checking a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password, or there is none to compare with.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, kept at another cost or under another key than is used now: hash it anew.
    RightButOld,
}

/// The door to the hashing threads.
#[derive(Clone)]
pub struct Hasher {
    door: Arc<Door>,
    recipe: Arc<Recipe>,
    /// The hash of no password at all, of the current cost: unknown people cost the same work as known ones.
    dummy: PasswordHash,
}

impl Hasher {
    /// Starts the threads. They end when the last clone of the hasher is gone.
    pub fn start(config: &PasswordConfig) -> std::io::Result<Self> {
        let recipe = Arc::new(Recipe::new(config));
        let queue = Arc::new(Queue::default());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("hasher-{number}")).spawn(move || queue.work())?;
        }
        let dummy = recipe.dummy();
        Ok(Self { door: Arc::new(Door(queue)), recipe, dummy })
    }

    /// The hash to store for `password`.
    ///
    /// # Errors
    /// [`Busy`] when it would take too long.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Busy> {
        let recipe = Arc::clone(&self.recipe);
        self.run(move || recipe.hash(&password)).await?.ok_or(Busy)
    }

    /// Whether `password` is the one of `stored`. Takes the same work when there is none.
    ///
    /// # Errors
    /// [`Busy`] when it would take too long.
    pub async fn verify(&self, password: Password, stored: Option<PasswordHash>) -> Result<Verdict, Busy> {
        let recipe = Arc::clone(&self.recipe);
        let (known, hash) = (stored.is_some(), stored.unwrap_or_else(|| self.dummy.clone()));
        let verdict = self.run(move || recipe.verify(&password, &hash)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // When nobody waits for the answer any more, the browser went away, and so does the work.
            let is_wanted = !answer.is_closed();
            if is_wanted {
                drop(answer.send(work()));
            }
            is_wanted
        };
        self.door.0.push(Box::new(job))?;
        answered.await.map_err(|_| Busy)
    }
}

/// What all clones of a hasher share; the threads go when the last clone does.
struct Door(Arc<Queue>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

struct Job {
    /// Tells whether there was anything to do.
    work: Box<dyn FnOnce() -> bool + Send>,
    queued: Instant,
}

#[derive(Default)]
struct Queue {
    line: Mutex<Line>,
    changed: Condvar,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    threads: u32,
    /// How long a job takes, as a running mean.
    typical: Duration,
    closed: bool,
}

impl Queue {
    fn push(&self, work: Box<dyn FnOnce() -> bool + Send>) -> Result<(), Busy> {
        let mut line = self.lock();
        let waiting = u32::try_from(line.jobs.len()).unwrap_or(u32::MAX);
        let expected_wait = line.typical.saturating_mul(waiting) / line.threads.max(1);
        if line.jobs.len() >= QUEUE || expected_wait > PATIENCE {
            return Err(Busy);
        }
        line.jobs.push_back(Job { work, queued: Instant::now() });
        self.changed.notify_one();
        Ok(())
    }

    /// One thread's life.
    fn work(&self) {
        if let Err(error) = rustix::process::nice(10) {
            log::debug!("hashing keeps its normal priority: {error}");
        }
        self.lock().threads += 1;
        while let Some(job) = self.next() {
            // Dropping a job that waited too long answers it with Busy.
            if job.queued.elapsed() > 2 * PATIENCE {
                continue;
            }
            let started = Instant::now();
            match std::panic::catch_unwind(AssertUnwindSafe(job.work)) {
                Ok(true) => {
                    let mut line = self.lock();
                    line.typical = (line.typical * 7 + started.elapsed()) / 8;
                }
                // Nobody waited any more.
                Ok(false) => {}
                Err(_) => log::error!("hashing a password panicked"),
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut line = self.lock();
        loop {
            if let Some(job) = line.jobs.pop_front() {
                return Some(job);
            }
            if line.closed {
                return None;
            }
            line = self.changed.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a password becomes what is stored: `v1[.pepper id]$2b$…`, where bcrypt gets
/// base64(HMAC-SHA-384(key, password)): 64 ASCII bytes, so that neither its cut at 72 bytes nor its loop over
/// a NUL can make two passwords equal.
struct Recipe {
    cost: u32,
    key: Vec<u8>,
    version: String,
}

/// The key of all passwords without a pepper: a fixed label, so that a lost `SECRET_KEY` never costs anybody theirs.
const LABEL: &[u8] = b"latchkey password v1";
const PLAIN: &str = "v1";

impl Recipe {
    fn new(config: &PasswordConfig) -> Self {
        let pepper = config.pepper.expose_secret();
        let mut key = LABEL.to_vec();
        key.extend_from_slice(pepper.as_bytes());
        let version =
            if pepper.is_empty() { PLAIN.to_owned() } else { format!("{PLAIN}.{}", fingerprint(&key)) };
        Self { cost: config.cost, key, version }
    }

    /// A hash that no password has: bcrypt's text form with the current cost, made without a quarter of a
    /// second at every start.
    fn dummy(&self) -> PasswordHash {
        let blank = "abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01232";
        PasswordHash::from_stored(format!("{}$2b${:02}${blank}", self.version, self.cost))
    }

    fn hash(&self, password: &Password) -> Option<PasswordHash> {
        match bcrypt::hash(prepared(&self.key, password), self.cost) {
            Ok(hash) => Some(PasswordHash::from_stored(format!("{}{hash}", self.version))),
            Err(error) => {
                log::error!("a password could not be hashed: {error}");
                None
            }
        }
    }

    fn verify(&self, password: &Password, stored: &PasswordHash) -> Verdict {
        let (version, hash) = stored.as_str().split_once('$').unwrap_or_default();
        // Made before there was a pepper: it counts, and is hashed anew.
        let key = if version == PLAIN { LABEL } else { &self.key };
        let is_current = version == self.version && hash.starts_with(&format!("2b${:02}$", self.cost));
        let matches = bcrypt::verify(prepared(key, password), &format!("${hash}")).unwrap_or_else(|error| {
            log::error!("a stored password hash cannot be read: {error}");
            false
        });
        if version != self.version && version != PLAIN {
            log::error!("a stored password hash was made with another PASSWORD_PEPPER");
            return Verdict::Wrong;
        }
        match (matches, is_current) {
            (false, true) => Verdict::Wrong,
            (false, false) => {
                self.make_up_for(hash);
                Verdict::Wrong
            }
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOld,
        }
    }

    /// A wrong password takes the same time whatever the cost of the stored hash: the steps from its cost to the
    /// current one add up to the difference.
    fn make_up_for(&self, hash: &str) {
        let done = hash.split('$').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(self.cost);
        for cost in done..self.cost {
            if let Err(error) = bcrypt::hash_with_salt("", cost, [0; 16]) {
                log::error!("a password could not be hashed: {error}");
            }
        }
    }
}

fn prepared(key: &[u8], password: &Password) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha384>::new_from_slice(key).expect("a key");
    mac.update(password.expose().as_bytes());
    STANDARD_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PasswordRules;
    use proptest::prelude::*;

    fn recipe(cost: u32, pepper: &str) -> Recipe {
        let rules = PasswordRules { min_length: 8 };
        Recipe::new(&PasswordConfig { cost, rules, pepper: pepper.into() })
    }

    #[test]
    fn neither_length_nor_a_nul_byte_makes_two_passwords_equal() {
        let recipe = recipe(4, "");
        let long = "x".repeat(128);
        let pairs = [
            (long.clone() + "a", long + "b"),
            ("x".to_owned(), "x\0x".to_owned()),
            ("ab\0ab".into(), "ab".into()),
        ];
        for (one, other) in pairs {
            let hash = recipe.hash(&Password::entered(&one)).unwrap();
            assert_eq!(recipe.verify(&Password::entered(&one), &hash), Verdict::Right);
            assert_eq!(recipe.verify(&Password::entered(&other), &hash), Verdict::Wrong);
        }
    }

    #[test]
    fn a_new_cost_asks_for_a_new_hash_and_a_lost_pepper_costs_the_password() {
        let (password, hash) = (
            Password::entered("violet canyon"),
            recipe(4, "a").hash(&Password::entered("violet canyon")).unwrap(),
        );
        assert_eq!(recipe(5, "a").verify(&password, &hash), Verdict::RightButOld);
        assert_eq!(recipe(4, "b").verify(&password, &hash), Verdict::Wrong);
        assert_eq!(recipe(4, "").verify(&password, &hash), Verdict::Wrong);
    }

    #[test]
    fn a_pepper_can_be_added_later() {
        let (password, before) = (Password::entered("violet canyon"), recipe(4, ""));
        let hash = before.hash(&password).unwrap();
        assert_eq!(recipe(4, "a").verify(&password, &hash), Verdict::RightButOld);
        assert_eq!(recipe(4, "a").verify(&Password::entered("x"), &hash), Verdict::Wrong);
    }

    #[test]
    fn a_broken_stored_hash_is_a_wrong_password() {
        for broken in ["", "v1", "v1$2b$12$é", "v1$2b$04$short", "$2b$04$", &"é".repeat(60)] {
            let stored = PasswordHash::from_stored(broken.to_owned());
            assert_eq!(recipe(4, "").verify(&Password::entered("x"), &stored), Verdict::Wrong, "{broken}");
        }
    }

    #[test]
    fn the_dummy_is_hashed_like_any_other() {
        let recipe = recipe(4, "");
        let dummy = recipe.dummy();
        let hash = dummy.as_str().strip_prefix("v1").unwrap();
        assert_eq!(
            bcrypt::verify("x", hash).ok(),
            Some(false),
            "it is read and computed, not refused at sight"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn only_the_password_itself_verifies(one in "\\PC{1,20}", other in "\\PC{1,20}") {
            let recipe = recipe(4, "");
            let (one, other) = (Password::entered(&one), Password::entered(&other));
            let hash = recipe.hash(&one).unwrap();
            prop_assert_eq!(recipe.verify(&one, &hash), Verdict::Right);
            let verdict = recipe.verify(&other, &hash);
            prop_assert_eq!(verdict == Verdict::Right, one.expose() == other.expose());
        }
    }
}
