//! The six-digit one-time code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::sql_types::Text;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Id, Message, keyed_mac};

/// Six decimal digits as text: leading zeros count.
#[derive(Clone, PartialEq, Eq)]
pub struct Otp(String);

/// What is stored of a code: a keyed hash, bound to one flow, one purpose and the one address it was mailed to.
///
/// A plain hash of a million values is no secret at all; the key is derived from `SECRET_KEY` and is never in
/// the database (OWASP ASVS 5.0, 6.5.2).
#[derive(Clone, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct OtpDigest(String);

/// What a code or a link is good for. One made for one purpose is worth nothing for another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum Purpose {
    /// Confirm the address of a new account.
    SignUp,
    /// Confirm the new address of an account.
    ChangeEmail,
    /// Choose a new password.
    ResetPassword,
    /// Bring back the address that an account had before.
    UndoEmail,
}

impl Purpose {
    /// The word in the database and in what is hashed.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::ChangeEmail => "change-email",
            Self::ResetPassword => "reset-password",
            Self::UndoEmail => "undo-email",
        }
    }

    /// The purpose of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::SignUp, Self::ChangeEmail, Self::ResetPassword, Self::UndoEmail]
            .into_iter()
            .find(|purpose| purpose.as_str() == word)
    }
}

impl Otp {
    /// A new code from the system's generator, each of the million as likely.
    pub fn random() -> Self {
        Self(format!("{:06}", rand::random_range(0..1_000_000_u32)))
    }

    /// What a person typed; blanks are ignored, everything but six ASCII digits is refused.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let digits: String = typed.chars().filter(|c| *c != ' ' && *c != '\u{a0}').collect();
        if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err("The code has six digits. You find it in the mail.".into())
        }
    }

    /// The digits, for the one mail that carries them.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The keyed hash of this code for that flow, purpose and address.
    pub fn digest(&self, key: &[u8; 32], flow: &Id, purpose: Purpose, address: &str) -> OtpDigest {
        OtpDigest(URL_SAFE_NO_PAD.encode(self.mac(key, flow, purpose, address).finalize().into_bytes()))
    }

    /// Whether `digest` was made of this code; takes the same time either way.
    pub fn matches(
        &self,
        digest: &OtpDigest,
        key: &[u8; 32],
        flow: &Id,
        purpose: Purpose,
        address: &str,
    ) -> bool {
        let stored = URL_SAFE_NO_PAD.decode(&digest.0).unwrap_or_default();
        self.mac(key, flow, purpose, address).verify_slice(&stored).is_ok()
    }

    fn mac(&self, key: &[u8; 32], flow: &Id, purpose: Purpose, address: &str) -> Hmac<Sha256> {
        keyed_mac(key, &[purpose.as_str(), flow.as_str(), address, &self.0])
    }
}

impl OtpDigest {
    /// As stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a database gave it back.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

hide_in_debug!(Otp, OtpDigest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        assert_eq!(Otp::parse(" 01 2345 ").unwrap().expose(), "012345");
        let bad =
            ["", " ", "12345", "1234567", "+12345", "1e5000", "١٢٣٤٥٦", "１２３４５６", "12345\0", "12345a"];
        for bad in bad {
            assert!(Otp::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_code_counts_for_its_own_flow_purpose_and_address_only() {
        let (key, flow, code) = ([7; 32], Id::new(), Otp::parse("012345").unwrap());
        let digest = code.digest(&key, &flow, Purpose::SignUp, "a@example.org");
        let fits =
            |code: &Otp, key, flow: &Id, purpose, address| code.matches(&digest, key, flow, purpose, address);
        assert!(fits(&code, &key, &flow, Purpose::SignUp, "a@example.org"));
        assert!(!fits(&Otp::parse("112345").unwrap(), &key, &flow, Purpose::SignUp, "a@example.org"));
        assert!(!fits(&code, &[8; 32], &flow, Purpose::SignUp, "a@example.org"));
        assert!(!fits(&code, &key, &Id::new(), Purpose::SignUp, "a@example.org"));
        assert!(!fits(&code, &key, &flow, Purpose::ChangeEmail, "a@example.org"));
        assert!(!fits(&code, &key, &flow, Purpose::SignUp, "b@example.org"));
    }

    #[test]
    fn codes_are_spread_evenly() {
        let mut counts = [[0_u32; 10]; 6];
        for _ in 0..60_000 {
            for (place, digit) in Otp::random().expose().bytes().enumerate() {
                counts[place][usize::from(digit - b'0')] += 1;
            }
        }
        for place in counts {
            let chi_square: f64 = place.iter().map(|n| (f64::from(*n) - 6000.0).powi(2) / 6000.0).sum();
            assert!(chi_square < 40.0, "9 degrees of freedom, p < 0.00001: {place:?}");
        }
    }
}
