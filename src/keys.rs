//! Every key, derived from `SECRET_KEY` by HKDF-SHA-256 (RFC 5869), one for each use.

use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The keys in use. One use never shares a key with another.
#[derive(Clone)]
pub struct Keys {
    /// Encrypts the session cookie.
    pub session: actix_web::cookie::Key,
    /// Seals the cookie that says "this browser signed up".
    pub flow: actix_web::cookie::Key,
    /// Keyed hash of one-time codes.
    pub code: [u8; 32],
    /// The tokens of verification links.
    pub link: [u8; 32],
    /// Names of limits in Redis, so that it learns no identifier.
    pub limit: [u8; 32],
}

impl Keys {
    /// All keys of that secret.
    pub fn derive(secret: &SecretString) -> Self {
        let kdf = Hkdf::<Sha256>::new(Some(b"latchkey v1"), secret.expose_secret().as_bytes());
        Self {
            session: actix_web::cookie::Key::from(&expand::<64>(&kdf, "session cookie")),
            flow: actix_web::cookie::Key::from(&expand::<64>(&kdf, "flow cookie")),
            code: expand(&kdf, "one-time code"),
            link: expand(&kdf, "verification link"),
            limit: expand(&kdf, "limit"),
        }
    }
}

fn expand<const N: usize>(kdf: &Hkdf<Sha256>, label: &str) -> [u8; N] {
    let mut key = [0; N];
    #[expect(clippy::expect_used, reason = "fails only above 255 × 32 bytes, and N is 32 or 64")]
    kdf.expand(label.as_bytes(), &mut key).expect("a short key");
    key
}
