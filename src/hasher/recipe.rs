//! What a password becomes before it is stored, and what is computed to compare one with it.

use std::sync::atomic::{AtomicU32, Ordering};

use ::bcrypt::HashParts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use sha2::Sha384;

use super::traffic::Traffic;
use super::{Verdict, bcrypt};
use crate::config::PasswordConfig;
use crate::identity::{Password, PasswordHash, fingerprint};

/// The highest cost that is ever computed: a stored hash that names a higher one would stop a thread for minutes.
const MAX_COST: u32 = 16;

/// How a password becomes what is stored: `v1[.pepper id]$2b$…`, where bcrypt gets
/// base64(HMAC-SHA-384(key, password)): 64 ASCII bytes, so that neither its cut at 72 bytes nor its loop over
/// a NUL can make two passwords equal.
pub(super) struct Recipe {
    cost: u32,
    key: Vec<u8>,
    version: String,
    /// The highest cost of a stored hash that was ever met: wrong passwords take as long, whatever the cost of theirs.
    highest: AtomicU32,
    /// What its work gives way to.
    pub(super) traffic: Traffic,
}

/// The key of all passwords without a pepper: a fixed label, so that a lost `SECRET_KEY` never costs anybody theirs.
const LABEL: &[u8] = b"latchkey password v1";
const PLAIN: &str = "v1";

impl Recipe {
    pub(super) fn new(config: &PasswordConfig, threads: usize) -> Self {
        let pepper = config.pepper.expose_secret();
        let mut key = LABEL.to_vec();
        key.extend_from_slice(pepper.as_bytes());
        let version =
            if pepper.is_empty() { PLAIN.to_owned() } else { format!("{PLAIN}.{}", fingerprint(&key)) };
        let highest = AtomicU32::new(config.cost);
        Self { cost: config.cost, key, version, highest, traffic: Traffic::new(threads) }
    }

    pub(super) fn hash(&self, password: &Password) -> PasswordHash {
        let hash = bcrypt::hash(&prepared(&self.key, password), self.cost, &self.traffic);
        PasswordHash::from_stored(format!("{}{hash}", self.version))
    }

    pub(super) fn verify(&self, password: &Password, stored: Option<&PasswordHash>) -> Verdict {
        let Some((version, parts)) = stored.and_then(read) else {
            if stored.is_some_and(|hash| !hash.is_unusable()) {
                log::error!("a stored password hash cannot be read");
            }
            self.verify_nothing(password);
            return Verdict::Wrong;
        };
        let cost = parts.get_cost();
        self.highest.fetch_max(cost, Ordering::Relaxed);
        let is_known = version == self.version || version == PLAIN;
        if !is_known {
            log::error!("a stored password hash was made with another PASSWORD_PEPPER");
        }
        // Made before there was a pepper: it counts, and is hashed again.
        let key = if version == PLAIN { LABEL } else { &self.key };
        let is_current = version == self.version && cost == self.cost;
        let matches = bcrypt::verify(&prepared(key, password), &parts, &self.traffic);
        match (matches && is_known, is_current) {
            (false, _) => {
                self.make_up_for(cost);
                Verdict::Wrong
            }
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOld,
        }
    }

    /// Does the work of a wrong password when there is none to compare with.
    fn verify_nothing(&self, password: &Password) {
        std::hint::black_box(self.hash(password));
        self.make_up_for(self.cost);
    }

    /// A wrong password takes the same time whatever the cost of the stored hash: the steps from its cost to the highest one
    /// add up to the difference.
    fn make_up_for(&self, done: u32) {
        for cost in done..self.highest.load(Ordering::Relaxed) {
            bcrypt::work(cost, &self.traffic);
        }
    }
}

/// The version and the parts of a stored hash, where it is one that bcrypt computes.
fn read(stored: &PasswordHash) -> Option<(&str, HashParts)> {
    let (version, _) = stored.as_str().split_once('$')?;
    let hash = stored.as_str().strip_prefix(version)?;
    let parts: HashParts = hash.parse().ok()?;
    (hash.starts_with("$2b$") && (4..=MAX_COST).contains(&parts.get_cost())).then_some((version, parts))
}

fn prepared(key: &[u8], password: &Password) -> Zeroizing<String> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha384>::new_from_slice(key).expect("a key");
    mac.update(password.expose().as_bytes());
    Zeroizing::new(STANDARD_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PasswordRules;
    use proptest::prelude::*;

    fn recipe(cost: u32, pepper: &str) -> Recipe {
        let rules = PasswordRules { min_length: 8 };
        Recipe::new(&PasswordConfig { cost, rules, pepper: pepper.into() }, 1)
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
            let hash = recipe.hash(&Password::entered(&one));
            assert_eq!(recipe.verify(&Password::entered(&one), Some(&hash)), Verdict::Right);
            assert_eq!(recipe.verify(&Password::entered(&other), Some(&hash)), Verdict::Wrong);
        }
    }

    #[test]
    fn a_new_cost_asks_for_a_new_hash_and_a_lost_pepper_costs_the_password() {
        let password = Password::entered("violet canyon");
        let hash = recipe(4, "a").hash(&password);
        assert_eq!(recipe(5, "a").verify(&password, Some(&hash)), Verdict::RightButOld);
        assert_eq!(recipe(4, "b").verify(&password, Some(&hash)), Verdict::Wrong);
        assert_eq!(recipe(4, "").verify(&password, Some(&hash)), Verdict::Wrong);
    }

    #[test]
    fn an_unusable_password_is_wrong_whatever_is_typed() {
        for typed in ["", "!", "x"] {
            let verdict = recipe(4, "").verify(&Password::entered(typed), Some(&PasswordHash::unusable()));
            assert_eq!(verdict, Verdict::Wrong);
        }
    }

    #[test]
    fn the_highest_cost_that_was_met_is_what_a_wrong_password_costs() {
        let stored = recipe(6, "").hash(&Password::entered("violet canyon"));
        let recipe = recipe(5, "");
        recipe.verify(&Password::entered("x"), Some(&stored));
        assert_eq!(recipe.highest.load(Ordering::Relaxed), 6);
        let cheaper = recipe.hash(&Password::entered("violet canyon"));
        let unusable = PasswordHash::unusable();
        for stored in [Some(&stored), Some(&cheaper), Some(&unusable), None] {
            recipe.traffic.rounds.store(0, Ordering::Relaxed);
            assert_eq!(recipe.verify(&Password::entered("x"), stored), Verdict::Wrong);
            assert_eq!(recipe.traffic.rounds.load(Ordering::Relaxed), 64, "as many rounds as its cost says");
        }
        let absurd = PasswordHash::from_stored(stored.as_str().replace("$06$", "$31$"));
        assert_eq!(recipe.verify(&Password::entered("x"), Some(&absurd)), Verdict::Wrong);
        assert_eq!(recipe.highest.load(Ordering::Relaxed), 6, "nothing that would take days is computed");
    }

    #[test]
    fn a_pepper_can_be_added_later() {
        let password = Password::entered("violet canyon");
        let hash = recipe(4, "").hash(&password);
        assert_eq!(recipe(4, "a").verify(&password, Some(&hash)), Verdict::RightButOld);
        assert_eq!(recipe(4, "a").verify(&Password::entered("x"), Some(&hash)), Verdict::Wrong);
    }

    #[test]
    fn a_broken_stored_hash_is_a_wrong_password() {
        let no_base64 = format!("v1$2b$04${}", "!".repeat(53));
        let own = recipe(4, "").hash(&Password::entered("x"));
        let other_version = own.as_str().replace("$2b$", "$2x$");
        let texts = ["", "v1", "v1$2b$12$é", "v1$2b$04$short", "$2b$04$", &"é".repeat(60)];
        for broken in texts.into_iter().chain([no_base64.as_str(), other_version.as_str()]) {
            let stored = PasswordHash::from_stored(broken.to_owned());
            assert_eq!(
                recipe(4, "").verify(&Password::entered("x"), Some(&stored)),
                Verdict::Wrong,
                "{broken}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn only_the_password_itself_verifies(one in "\\PC{1,20}", other in "\\PC{1,20}") {
            let recipe = recipe(4, "");
            let (one, other) = (Password::entered(&one), Password::entered(&other));
            let hash = recipe.hash(&one);
            prop_assert_eq!(recipe.verify(&one, Some(&hash)), Verdict::Right);
            let verdict = recipe.verify(&other, Some(&hash));
            prop_assert_eq!(verdict == Verdict::Right, one.expose() == other.expose());
        }
    }
}
