//! Password hashing, on threads of its own.
//!
//! bcrypt takes a quarter of a second of a core for each password, on purpose. It runs on as many threads as there are
//! cores, at low priority, for which callers wait in turn: at most five seconds, then they are asked to come back. Nobody
//! else's page waits for it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha384;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::config::PasswordConfig;
use crate::identity::{Message, Password, PasswordHash, fingerprint};

/// The longest wait for a free thread.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(5);
/// The most callers that wait at once.
const MAX_WAITING: usize = 512;

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many are waiting; try again in a few seconds.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// bcrypt failed, which is a mistake of ours; the cause is in the log.
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
    threads: Arc<Threads>,
    recipe: Arc<Recipe>,
    /// The hash of no password at all, of the current cost: unknown people cost the same work as known ones.
    dummy: PasswordHash,
}

struct Threads {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// A permit for each thread, given in the order of asking.
    free: Arc<Semaphore>,
    /// A permit for each caller that may wait.
    room: Semaphore,
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses them.
    pub fn start(config: &PasswordConfig) -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let be_nice = || {
            if let Err(error) = rustix::process::nice(10) {
                log::debug!("hashing keeps its normal priority: {error}");
            }
        };
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(count)
            .thread_name("hasher")
            .on_thread_start(be_nice)
            .build()?;
        let threads = Threads {
            runtime: Some(runtime),
            free: Arc::new(Semaphore::new(count)),
            room: Semaphore::new(MAX_WAITING),
        };
        let recipe = Arc::new(Recipe::new(config));
        let dummy = recipe.dummy();
        Ok(Self { threads: Arc::new(threads), recipe, dummy })
    }

    /// Makes the hash to store for `password`.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let recipe = Arc::clone(&self.recipe);
        self.threads.run(move || recipe.hash(&password)).await?.ok_or(HashError::Failed)
    }

    /// Makes the hash to store for a new password, unless it can be guessed: then says why. Judging costs what the sender
    /// of a password chooses, so it is done here and not where pages are served.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn hash_new(
        &self,
        password: Password,
        own_words: Vec<String>,
    ) -> Result<Result<PasswordHash, Message>, HashError> {
        let recipe = Arc::clone(&self.recipe);
        let judge_and_hash = move || {
            password.refuse_if_guessable(&own_words)?;
            Ok(recipe.hash(&password))
        };
        match self.threads.run(judge_and_hash).await? {
            Ok(hash) => hash.map(Ok).ok_or(HashError::Failed),
            Err(message) => Ok(Err(message)),
        }
    }

    /// Checks whether `password` is the one of `stored`. Takes the same work when there is none.
    ///
    /// # Errors
    /// [`HashError::Busy`] when it would take too long.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashError> {
        let recipe = Arc::clone(&self.recipe);
        let is_known = stored.is_some();
        let hash = stored.unwrap_or_else(|| self.dummy.clone());
        let verdict = self.threads.run(move || recipe.verify(&password, &hash)).await?;
        Ok(if is_known { verdict } else { Verdict::Wrong })
    }
}

impl Threads {
    /// Waits for a free thread and runs `work` there. A caller that goes away leaves the queue.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let waiting = self.room.try_acquire().map_err(|_| HashError::Busy)?;
        let free = Arc::clone(&self.free).acquire_owned();
        let free = tokio::time::timeout(MAX_QUEUE_WAIT, free).await.map_err(|_| HashError::Busy)?;
        let thread = free.map_err(|_| HashError::Failed)?;
        drop(waiting);
        let runtime = self.runtime.as_ref().ok_or(HashError::Failed)?;
        // The thread is free again when the work ends, also when nobody waits for it any more.
        let work = move || {
            let done = work();
            drop(thread);
            done
        };
        runtime.spawn_blocking(work).await.map_err(|error| {
            log::error!("hashing a password panicked: {error}");
            HashError::Failed
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for a thread is not allowed where this may be dropped: on the event loop.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
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
        // Made before there was a pepper: it counts, and is hashed again.
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
        let password = Password::entered("violet canyon");
        let hash = recipe(4, "a").hash(&password).unwrap();
        assert_eq!(recipe(5, "a").verify(&password, &hash), Verdict::RightButOld);
        assert_eq!(recipe(4, "b").verify(&password, &hash), Verdict::Wrong);
        assert_eq!(recipe(4, "").verify(&password, &hash), Verdict::Wrong);
    }

    #[test]
    fn a_pepper_can_be_added_later() {
        let password = Password::entered("violet canyon");
        let hash = recipe(4, "").hash(&password).unwrap();
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

    #[test]
    fn whoever_finds_no_room_is_asked_to_come_back_and_whoever_left_makes_room() {
        let rules = PasswordRules { min_length: 8 };
        let hasher = Hasher::start(&PasswordConfig { cost: 4, rules, pepper: "".into() }).unwrap();
        let all = u32::try_from(MAX_WAITING).unwrap();
        let taken = hasher.threads.room.try_acquire_many(all).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let hash = || runtime.block_on(hasher.hash(Password::entered("violet canyon")));
        assert_eq!(hash().unwrap_err(), HashError::Busy);
        drop(taken);
        assert!(hash().is_ok());
    }

    #[test]
    fn nobody_waits_longer_than_five_seconds_for_a_thread() {
        let rules = PasswordRules { min_length: 8 };
        let hasher = Hasher::start(&PasswordConfig { cost: 4, rules, pepper: "".into() }).unwrap();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let busy = u32::try_from(hasher.threads.free.available_permits()).unwrap();
        let _all = hasher.threads.free.try_acquire_many(busy).unwrap();
        let (answer, waited) = runtime.block_on(async {
            let began = tokio::time::Instant::now();
            (hasher.verify(Password::entered("violet canyon"), None).await, began.elapsed())
        });
        assert_eq!(answer, Err(HashError::Busy));
        assert!(waited < Duration::from_secs(6), "{waited:?}");
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
