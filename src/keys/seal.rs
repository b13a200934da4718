//! Secrets that wait in the database for their mail, sealed: whoever reads a copy of it, or of its log, gets none of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// A key that seals (ChaCha20-Poly1305, RFC 8439, with a random nonce; a key seals few texts).
#[derive(Clone, Copy)]
pub struct SealKey(pub(super) [u8; 32]);

impl SealKey {
    /// Seals a text.
    #[expect(clippy::missing_panics_doc, reason = "see inside")]
    pub fn seal(&self, text: &str) -> String {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = text.as_bytes().to_vec();
        #[expect(clippy::expect_used, reason = "fails only above 256 GiB")]
        self.key()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .expect("a short text");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens what this key sealed.
    pub fn open(&self, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.key().open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }

    fn key(&self) -> LessSafeKey {
        #[expect(clippy::expect_used, reason = "it has the length")]
        LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &self.0).expect("a key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_that_sealed_a_text_opens_it() {
        let (key, other) = (SealKey([1; 32]), SealKey([2; 32]));
        let sealed = key.seal("012345");
        assert!(!sealed.contains("012345") && sealed != key.seal("012345"));
        assert_eq!(key.open(&sealed).as_deref(), Some("012345"));
        assert_eq!(other.open(&sealed), None);
        for bad in ["", "x", &sealed[1..], &sealed.to_lowercase()] {
            assert_eq!(key.open(bad), None, "{bad}");
        }
    }
}
