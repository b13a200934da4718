//! bcrypt that gives way to requests.
//!
//! The crate of that name computes a hash in one piece, and no priority keeps that away from pages: Linux lets a thread run
//! for its slice of some milliseconds before it asks who else should, and where it groups processes (containers, units,
//! terminals) a thread of low priority makes all of its process count for little on that core, so that pages waited up to
//! 400 ms for the database's turns. Here are the rounds of bcrypt over the same cipher, with rests between them; the crate
//! reads stored hashes, and judges ours in the tests. (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999.)

use ::bcrypt::{BASE_64, BcryptError, HashParts};
use base64::Engine;
use blowfish::Blowfish;
use subtle::ConstantTimeEq;

use super::traffic::Traffic;

/// "`OrpheanBeholderScryDoubt`", which bcrypt encrypts.
const TEXT: [[u32; 2]; 3] =
    [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];
/// The bytes of a digest that are kept, and how many characters they take.
const KEPT: usize = 23;
const KEPT_AS_TEXT: usize = 31;

/// Hashes `key`, of at most 71 bytes and without a NUL, with a new salt.
pub fn hash(key: &str, cost: u32, traffic: &Traffic) -> String {
    let salt: [u8; 16] = rand::random();
    format!("$2b${cost:02}${}{}", BASE_64.encode(salt), digest(key, cost, &salt, traffic))
}

/// Checks whether `stored` is a hash of `key`.
///
/// # Errors
/// When `stored` is not the text of a hash.
pub fn verify(key: &str, stored: &str, traffic: &Traffic) -> Result<bool, BcryptError> {
    let parts: HashParts = stored.parse()?;
    let digest = digest(key, parts.get_cost(), &parts.get_salt_raw(), traffic);
    let (_, kept) = stored.split_at(stored.len() - KEPT_AS_TEXT);
    Ok(kept.as_bytes().ct_eq(digest.as_bytes()).into())
}

fn digest(key: &str, cost: u32, salt: &[u8; 16], traffic: &Traffic) -> String {
    let key = [key.as_bytes(), b"\0"].concat();
    let mut cipher = Blowfish::bc_init_state();
    cipher.salted_expand_key(salt, &key);
    let mut rests = traffic.rests();
    for _ in 0..1_u32 << cost {
        cipher.bc_expand_key(&key);
        cipher.bc_expand_key(salt);
        rests.rest_if_due();
    }
    let encrypted = TEXT.into_iter().flat_map(|pair| (0..64).fold(pair, |pair, _| cipher.bc_encrypt(pair)));
    BASE_64.encode(encrypted.flat_map(u32::to_be_bytes).take(KEPT).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_crate_and_we_make_the_same_of_a_key(key in "[ -~é]{0,35}", other in "[ -~]{0,71}", cost in 4..6_u32) {
            let traffic = Traffic::default();
            prop_assert!(::bcrypt::verify(&key, &hash(&key, cost, &traffic)).unwrap());
            let theirs = ::bcrypt::hash(&key, cost).unwrap();
            prop_assert!(verify(&key, &theirs, &traffic).unwrap());
            prop_assert_eq!(verify(&other, &theirs, &traffic).unwrap(), key == other);
        }
    }

    #[test]
    fn a_hash_of_openbsd_is_read() {
        // From the tests of jBCrypt.
        let stored = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
        assert!(verify("a", stored, &Traffic::default()).unwrap());
        assert!(!verify("b", stored, &Traffic::default()).unwrap());
    }

    #[test]
    fn requests_make_it_rest_and_change_nothing() {
        let traffic = Traffic::default();
        let key = "violet canyon";
        let stored = std::thread::scope(|scope| {
            let hashing = scope.spawn(|| hash(key, 8, &traffic));
            while !hashing.is_finished() {
                traffic.count();
            }
            hashing.join().unwrap()
        });
        assert!(::bcrypt::verify(key, &stored).unwrap());
    }
}
