//! Every key, derived from `SECRET_KEY` by HKDF-SHA-256 (RFC 5869), one for each use.
//!
//! `SECRET_KEY` may be a list: what the first makes is made with it, what any of them made is accepted.

mod seal;

use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

pub use seal::SealKey;

/// The keys in use. One use never shares a key with another.
#[derive(Clone)]
pub struct Keys {
    /// Encrypts the session cookie.
    pub session: actix_web::cookie::Key,
    /// Seals the cookies that say "this browser signed up", or for which code it asked.
    pub flow: actix_web::cookie::Key,
    /// Seals the cookie that carries a notice to the next page.
    pub notice: actix_web::cookie::Key,
    /// Seals the cookie that says who signed in on this device before.
    pub device: actix_web::cookie::Key,
    /// Seals the keys of authenticators.
    pub authenticator: SealKey,
    /// Seals what a page asked a passkey.
    pub passkey: SealKey,
    /// Seals the cookies of the second step of signing in.
    pub second_step: actix_web::cookie::Key,
    /// Keyed hash of recovery codes.
    pub recovery_code: [u8; 32],
    /// Keyed hash of one-time codes.
    pub code: [u8; 32],
    /// The tokens of verification links.
    pub link: [u8; 32],
    /// Seals secrets that wait for their mail.
    pub outbox: SealKey,
    /// Seals forms on their way through another page.
    pub carried: SealKey,
    /// The secrets that applications ask with.
    pub application: [u8; 32],
    /// Names of limits in Redis, so that it learns no identifier.
    pub limit: [u8; 32],
    /// Names the accounts that are gone.
    pub pseudonym: [u8; 32],
    /// The same of every older secret, the newest first.
    pub older: Vec<Keys>,
}

impl Keys {
    /// Derives all keys of these secrets, of which the first is the current one.
    pub fn derive(secrets: &[SecretString]) -> Self {
        let mut all = secrets.iter().map(Self::of_one);
        let current = all.next().unwrap_or_else(|| Self::of_one(&SecretString::default()));
        Self { older: all.collect(), ..current }
    }

    fn of_one(secret: &SecretString) -> Self {
        let kdf = Hkdf::<Sha256>::new(Some(b"latchkey v1"), secret.expose_secret().as_bytes());
        Self {
            session: actix_web::cookie::Key::from(&expand::<64>(&kdf, "session cookie")),
            flow: actix_web::cookie::Key::from(&expand::<64>(&kdf, "flow cookie")),
            notice: actix_web::cookie::Key::from(&expand::<64>(&kdf, "notice cookie")),
            device: actix_web::cookie::Key::from(&expand::<64>(&kdf, "device cookie")),
            authenticator: SealKey(expand(&kdf, "authenticator")),
            passkey: SealKey(expand(&kdf, "passkey question")),
            second_step: actix_web::cookie::Key::from(&expand::<64>(&kdf, "second step cookie")),
            recovery_code: expand(&kdf, "recovery code"),
            code: expand(&kdf, "one-time code"),
            link: expand(&kdf, "verification link"),
            outbox: SealKey(expand(&kdf, "outbox")),
            carried: SealKey(expand(&kdf, "carried form")),
            application: expand(&kdf, "application"),
            limit: expand(&kdf, "limit"),
            pseudonym: expand(&kdf, "pseudonym"),
            older: Vec::new(),
        }
    }

    /// Iterates over the current keys and the older ones, in the order in which to try them.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.older)
    }

    /// Opens what one of them sealed.
    pub fn open_sealed(&self, sealed: &str) -> Option<String> {
        self.all().find_map(|keys| keys.outbox.open(sealed))
    }

    /// Opens what travels through a browser, whichever of them sealed it.
    pub fn open_carried(&self, sealed: &str) -> Option<String> {
        self.all().find_map(|keys| keys.carried.open(sealed))
    }

    /// Lists the keys that a stored code may have been hashed with.
    pub fn codes(&self) -> Vec<[u8; 32]> {
        self.all().map(|keys| keys.code).collect()
    }
}

fn expand<const N: usize>(kdf: &Hkdf<Sha256>, label: &str) -> [u8; N] {
    let mut key = [0; N];
    #[expect(clippy::expect_used, reason = "fails only above 255 × 32 bytes, and N is 32 or 64")]
    kdf.expand(label.as_bytes(), &mut key).expect("a short key");
    key
}
