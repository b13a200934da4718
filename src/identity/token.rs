//! Identifiers, and the secrets in links.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::sql_types::Text;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::CodePurpose;

/// A `UUIDv7` in its 36 characters: made here and not by a database, so that all three work alike, and
/// growing with time, so that an index stays compact.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub struct Id(String);

super::serialize_as_text!(Id);

impl Id {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "each is another one, which no default should be")]
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// Reads the identifier in a path, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?.to_string();
        (id == text).then_some(Self(id))
    }

    /// Stands for the account of an identifier once that is gone: always the same, and without the key nobody's (a `UUIDv8`).
    #[must_use]
    pub fn pseudonym(&self, key: &[u8; 32]) -> Self {
        let mac: [u8; 32] = keyed_mac(key, &["account", &self.0]).finalize().into_bytes().into();
        let half = mac.first_chunk().copied().unwrap_or_default();
        let id = uuid::Builder::from_bytes(half).with_variant(uuid::Variant::RFC4122);
        Self(id.with_version(uuid::Version::Custom).into_uuid().to_string())
    }

    /// The 36 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a database gave it back.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

/// The secret part of a link, or of an application's cookie: 256 bits in base64url.
#[derive(Clone)]
pub struct LinkToken([u8; 32]);

/// What is stored of a random token: its SHA-256 (enough for 256 random bits, OWASP ASVS 5.0, 11.5.1).
#[derive(Clone, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct TokenDigest(String);

impl LinkToken {
    /// A new token from the system's generator.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The token of a flow, made from a key instead of stored, so that the same link can be mailed again.
    pub fn of_flow(key: &[u8; 32], flow: &Id, purpose: CodePurpose) -> Self {
        Self(flow_mac(key, flow, purpose).finalize().into_bytes().into())
    }

    /// Reads the token in a path, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether this is the token of that flow; takes the same time either way.
    pub fn is_of_flow(&self, key: &[u8; 32], flow: &Id, purpose: CodePurpose) -> bool {
        flow_mac(key, flow, purpose).verify_slice(&self.0).is_ok()
    }

    /// The secret that an application asks with, made from a key instead of stored. A new number makes another one.
    pub fn of_application(key: &[u8; 32], host: &str, number: u32) -> Self {
        Self(application_mac(key, host, number).finalize().into_bytes().into())
    }

    /// Whether this is the secret of that application; takes the same time either way.
    pub fn is_of_application(&self, key: &[u8; 32], host: &str, number: u32) -> bool {
        application_mac(key, host, number).verify_slice(&self.0).is_ok()
    }

    /// What to store of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }

    /// Names the browser that holds it, in an address: says nothing of it, and is not what is stored of it.
    pub fn state_digest(&self) -> TokenDigest {
        TokenDigest(URL_SAFE_NO_PAD.encode(Sha256::new_with_prefix("state ").chain_update(self.0).finalize()))
    }

    /// The text for the one link that carries it.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl TokenDigest {
    /// Digests what cannot be guessed, or is no secret.
    pub fn of(bytes: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(bytes)))
    }

    /// Reads the digest in an address, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        LinkToken::parse(text).map(|_| Self(text.to_owned()))
    }

    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a database gave it back.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

/// A name that cannot be guessed, for a picture: 128 random bits in base64url.
pub fn random_name() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())
}

/// A short name for these bytes: 64 bits of their SHA-256 in base64url. Tells versions apart, keeps no secret.
pub fn fingerprint(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    URL_SAFE_NO_PAD.encode(digest.first_chunk::<8>().map_or(&[][..], |first| first))
}

fn flow_mac(key: &[u8; 32], flow: &Id, purpose: CodePurpose) -> Hmac<Sha256> {
    keyed_mac(key, &[purpose.as_str(), flow.as_str()])
}

fn application_mac(key: &[u8; 32], host: &str, number: u32) -> Hmac<Sha256> {
    keyed_mac(key, &[host, &number.to_string()])
}

/// HMAC-SHA-256 over `parts`, each ended by a NUL so that no two lists are hashed alike.
#[expect(clippy::missing_panics_doc, reason = "HMAC takes a key of any length")]
pub fn keyed_mac(key: &[u8; 32], parts: &[&str]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
    for part in parts {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac
}

hide_in_debug!(LinkToken, TokenDigest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_one_flow_opens_no_other() {
        let (key, flow) = ([1; 32], Id::new());
        let token = LinkToken::parse(&LinkToken::of_flow(&key, &flow, CodePurpose::SignUp).expose()).unwrap();
        assert!(token.is_of_flow(&key, &flow, CodePurpose::SignUp));
        assert!(!token.is_of_flow(&key, &Id::new(), CodePurpose::SignUp));
        assert!(!token.is_of_flow(&key, &flow, CodePurpose::ChangeEmail));
        assert!(!token.is_of_flow(&[2; 32], &flow, CodePurpose::SignUp));
    }

    #[test]
    fn only_whole_tokens_and_identifiers_are_read() {
        assert!(LinkToken::parse(&LinkToken::random().expose()).is_some());
        for bad in ["", "short", "not/base64url+not/base64url+not/base64url+nn", &"A".repeat(44)] {
            assert!(LinkToken::parse(bad).is_none(), "{bad}");
        }
        let id = Id::new();
        assert_eq!(Id::parse(id.as_str()), Some(id.clone()));
        assert_eq!(Id::parse(&id.as_str().to_uppercase()), None);
        assert_eq!(Id::parse("1"), None);
    }
}
