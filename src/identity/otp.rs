//! The six-digit one-time code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::sql_types::Text;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::visible::{as_meant, is_dash};
use super::{CodePurpose, Email, Id, Message, keyed_mac, t};

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

impl Otp {
    /// A new code from the system's generator, each of the million as likely.
    pub fn random() -> Self {
        Self(format!("{:06}", rand::random_range(0..1_000_000_u32)))
    }

    /// What a person typed or copied; blanks, dashes and what cannot be seen are ignored, everything but six digits is refused.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let digits: String = as_meant(typed).chars().filter(|c| !c.is_whitespace() && !is_dash(*c)).collect();
        if digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err(t("Enter the 6 digits from the email.").into())
        }
    }

    /// The digits, for the one mail that carries them.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Hashes this code with a key, for that flow, purpose and address alone.
    pub fn digest(&self, key: &[u8; 32], flow: &Id, purpose: CodePurpose, email: &Email) -> OtpDigest {
        OtpDigest(URL_SAFE_NO_PAD.encode(self.mac(key, flow, purpose, email).finalize().into_bytes()))
    }

    /// Whether `digest` was made of this code; takes the same time either way.
    pub fn matches(
        &self,
        digest: &OtpDigest,
        key: &[u8; 32],
        flow: &Id,
        purpose: CodePurpose,
        email: &Email,
    ) -> bool {
        let stored = URL_SAFE_NO_PAD.decode(&digest.0).unwrap_or_default();
        self.mac(key, flow, purpose, email).verify_slice(&stored).is_ok()
    }

    fn mac(&self, key: &[u8; 32], flow: &Id, purpose: CodePurpose, email: &Email) -> Hmac<Sha256> {
        keyed_mac(key, &[purpose.as_str(), flow.as_str(), email.as_str(), &self.0])
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
        for meant in [
            "012345\t",
            "012\u{2011}345\r\n",
            "\u{202a}012345\u{202c}",
            "０１２３４５\u{200b}",
            "012\u{a0}345",
        ] {
            assert_eq!(Otp::parse(meant).unwrap().expose(), "012345", "{meant:?}");
        }
        let bad = ["", " ", "12345", "1234567", "+12345", "1e5000", "١٢٣٤٥٦", "12345\0", "12345a"];
        for bad in bad {
            assert!(Otp::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_code_counts_for_its_own_flow_purpose_and_address_only() {
        let (key, flow, code) = ([7; 32], Id::new(), Otp::parse("012345").unwrap());
        let email = |text: &str| Email::parse(text).unwrap();
        let digest = code.digest(&key, &flow, CodePurpose::SignUp, &email("a@example.org"));
        let fits = |code: &Otp, key, flow: &Id, purpose, address| {
            code.matches(&digest, key, flow, purpose, &email(address))
        };
        assert!(fits(&code, &key, &flow, CodePurpose::SignUp, "a@example.org"));
        assert!(!fits(&Otp::parse("112345").unwrap(), &key, &flow, CodePurpose::SignUp, "a@example.org"));
        assert!(!fits(&code, &[8; 32], &flow, CodePurpose::SignUp, "a@example.org"));
        assert!(!fits(&code, &key, &Id::new(), CodePurpose::SignUp, "a@example.org"));
        assert!(!fits(&code, &key, &flow, CodePurpose::ChangeEmail, "a@example.org"));
        assert!(!fits(&code, &key, &flow, CodePurpose::SignUp, "b@example.org"));
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
