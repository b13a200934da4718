//! The codes on paper that let somebody in who has lost their authenticator.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use rand::seq::IndexedRandom;

use super::visible::{as_meant, is_dash};
use super::{Id, Message, Otp, TokenDigest, keyed_mac, t};

/// Letters and digits that nobody takes for another one (Crockford's, without the U).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 50 bits: no number of guesses that a site answers is enough (OWASP ASVS 5.0, 6.5.3).
const LENGTH: usize = 10;

/// Ten letters and digits, which work once.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(String);

/// What is given as the second step of signing in.
#[derive(Clone, Debug)]
pub enum FactorCode {
    /// Six digits of an authenticator.
    Authenticator(Otp),
    Recovery(RecoveryCode),
}

impl RecoveryCode {
    /// A new code from the system's generator.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        let letters = (0..LENGTH).filter_map(|_| ALPHABET.choose(&mut rng));
        Self(letters.map(|letter| char::from(*letter)).collect())
    }

    /// Reads what somebody typed from paper: blanks and dashes are left out, and letters that look like digits are those.
    pub fn parse(typed: &str) -> Option<Self> {
        let typed = as_meant(typed);
        let letters = typed.chars().filter(|c| !c.is_whitespace() && !is_dash(*c)).map(|c| {
            match c.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                other => other,
            }
        });
        let code: String = letters.collect();
        let is_code = code.len() == LENGTH && code.bytes().all(|letter| ALPHABET.contains(&letter));
        is_code.then_some(Self(code))
    }

    /// As it is shown: in two halves.
    pub fn shown(&self) -> String {
        let (first, second) = self.0.split_at(LENGTH / 2);
        format!("{first}-{second}")
    }

    /// What to store of it, for that account alone. The key is never in the database (OWASP ASVS 5.0, 6.5.2).
    pub fn digest(&self, key: &[u8; 32], user: &Id) -> TokenDigest {
        let mac = keyed_mac(key, &["recovery code", user.as_str(), &self.0]).finalize().into_bytes();
        TokenDigest::from_stored(URL_SAFE_NO_PAD.encode(mac))
    }
}

impl FactorCode {
    /// Reads what somebody typed: six digits, or a recovery code.
    ///
    /// # Errors
    /// What to type.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        if let Some(code) = RecoveryCode::parse(typed) {
            return Ok(Self::Recovery(code));
        }
        let digits = Otp::parse(typed);
        digits.map(Self::Authenticator).map_err(|_| {
            t("Enter the 6 digits from your authenticator app, or one of your recovery codes.").into()
        })
    }
}

hide_in_debug!(RecoveryCode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = RecoveryCode("0a1b2c3d4e".to_owned());
        for typed in ["0a1b2-c3d4e", " OAIB2 c3d4e ", "oalb2\u{2013}C3D4E", "0a1b2c3d4e"] {
            assert!(RecoveryCode::parse(typed) == Some(code.clone()), "{typed}");
        }
        for typed in ["", "0a1b2", "0a1b2-c3d4e5", "0a1b2-c3d4u", "123456"] {
            assert!(RecoveryCode::parse(typed).is_none(), "{typed}");
        }
        let random = RecoveryCode::random();
        assert!(RecoveryCode::parse(&random.shown()) == Some(random));
    }

    #[test]
    fn a_code_counts_for_its_own_account_only() {
        let code = RecoveryCode::random();
        let (ann, bob) = (Id::new(), Id::new());
        assert!(code.digest(&[1; 32], &ann) == code.digest(&[1; 32], &ann));
        assert!(code.digest(&[1; 32], &ann) != code.digest(&[1; 32], &bob));
        assert!(code.digest(&[1; 32], &ann) != code.digest(&[2; 32], &ann));
    }

    #[test]
    fn digits_are_an_authenticators_and_ten_letters_are_paper() {
        assert!(matches!(FactorCode::parse("123 456"), Ok(FactorCode::Authenticator(_))));
        assert!(matches!(FactorCode::parse("12345-67890"), Ok(FactorCode::Recovery(_))));
        assert!(FactorCode::parse("12345").is_err());
    }
}
