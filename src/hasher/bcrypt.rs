//! bcrypt that gives way to requests.
//!
//! The crate of that name computes a hash in one go, and a lower priority does not keep that from delaying pages: Linux
//! lets a thread run for a slice of some milliseconds before it considers another, and where it groups processes
//! (containers, units, terminals), a group gets little of a core on which it runs only a thread of low priority
//! (docs/performance.md has the figures). So bcrypt's rounds are written out here, over the same cipher, with rests between
//! them; the crate parses stored hashes, and checks ours in the tests. (Provos and Mazières, "A Future-Adaptable Password
//! Scheme", 1999.)

use ::bcrypt::{BASE_64, HashParts};
use base64::Engine;
use blowfish::Blowfish;
use secrecy::zeroize::Zeroizing;
use subtle::ConstantTimeEq;

use super::traffic::Traffic;

/// `OrpheanBeholderScryDoubt`, the text that bcrypt encrypts.
const TEXT: [[u32; 2]; 3] =
    [[0x4f72_7068, 0x6561_6e42], [0x6568_6f6c, 0x6465_7253], [0x6372_7944, 0x6f75_6274]];
/// How many bytes of the result are kept.
const KEPT: usize = 23;

/// Hashes `key` with a new salt. Only the first 72 bytes of a key count.
pub fn hash(key: &str, cost: u32, traffic: &Traffic) -> String {
    salted(key, cost, &rand::random(), traffic)
}

/// Checks whether `stored`, of a cost under 32, is a hash of `key`.
pub fn verify(key: &str, stored: &HashParts, traffic: &Traffic) -> bool {
    let ours = salted(key, stored.get_cost(), &stored.get_salt_raw(), traffic);
    ours.as_bytes().ct_eq(stored.to_string().as_bytes()).into()
}

/// Does the work of that cost, and discards the result.
pub fn work(cost: u32, traffic: &Traffic) {
    std::hint::black_box(salted("", cost, &[0; 16], traffic));
}

fn salted(key: &str, cost: u32, salt: &[u8; 16], traffic: &Traffic) -> String {
    format!("$2b${cost:02}${}{}", BASE_64.encode(salt), digest(key, cost, salt, traffic))
}

/// Computes the last part of a hash. After each round it may rest.
fn digest(key: &str, cost: u32, salt: &[u8; 16], traffic: &Traffic) -> String {
    let key = Zeroizing::new([key.as_bytes(), b"\0"].concat());
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
        fn the_crate_and_we_agree_on_every_key(key in "[ -~é]{0,50}", other in "[ -~]{0,71}", cost in 4..6_u32) {
            let traffic = Traffic::new(1);
            prop_assert!(::bcrypt::verify(&key, &hash(&key, cost, &traffic)).unwrap());
            let theirs = ::bcrypt::hash(&key, cost).unwrap().parse().unwrap();
            prop_assert!(verify(&key, &theirs, &traffic));
            prop_assert_eq!(verify(&other, &theirs, &traffic), key == other);
        }
    }

    #[test]
    fn a_hash_from_another_bcrypt_is_verified() {
        // From the tests of jBCrypt.
        let stored = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe".parse().unwrap();
        assert!(verify("a", &stored, &Traffic::new(1)));
        assert!(!verify("b", &stored, &Traffic::new(1)));
    }

    #[test]
    fn it_can_rest_after_each_round() {
        let traffic = Traffic::new(1);
        hash("violet canyon", 6, &traffic);
        assert_eq!(traffic.rounds.into_inner(), 64);
    }
}
