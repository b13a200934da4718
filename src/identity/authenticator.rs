//! What an authenticator app and we both know: a key, of which both make the same code at the same time.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use totp_rs::{Algorithm, Builder, Secret, Totp};

use super::{Moment, Otp};

/// How long a code is the newest, in seconds (RFC 6238, 5.2).
const STEP_SECONDS: u64 = 30;
/// So many steps before and after this one are taken for it: people type, and clocks differ.
const STEPS_OFF: u16 = 1;
/// The groups in which a key is written for people.
const GROUP: usize = 4;

/// A key of 160 bits, as RFC 4226 recommends.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticatorKey([u8; 20]);

/// The name by which an app lists a key.
#[derive(Clone, Copy)]
pub struct AppEntry<'a> {
    /// The site.
    pub issuer: &'a str,
    /// The account there.
    pub account: &'a str,
}

impl AuthenticatorKey {
    /// A new key from the system's generator.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Finds the step of which a code is the code now, if it is one; takes a code only of this step, the one before and the
    /// one after (RFC 6238, 5.2).
    pub fn step_of(&self, code: &Otp, now: Moment) -> Option<i64> {
        let step = self.totp(AppEntry { issuer: "", account: "" }).check(code.expose(), seconds(now))?;
        i64::try_from(step).ok()
    }

    /// The newest step of which a code is taken.
    pub fn newest_step(now: Moment) -> i64 {
        i64::try_from(seconds(now) / STEP_SECONDS).unwrap_or(i64::MAX) + i64::from(STEPS_OFF)
    }

    /// Whether a code was, or will be, the right one within ten minutes.
    pub fn is_of_another_time(&self, code: &Otp, now: Moment) -> bool {
        let steps = 1..=20_u64;
        let mut spans = steps.map(|steps| Duration::from_secs(steps * STEP_SECONDS));
        spans.any(|span| {
            [now.plus(span), now.minus(span)].iter().any(|then| self.code_at(*then) == code.expose())
        })
    }

    /// The newest code.
    pub fn code_at(&self, now: Moment) -> String {
        self.totp(AppEntry { issuer: "", account: "" }).generate(seconds(now)).to_string()
    }

    /// The key as people type it: in base32, in groups of four.
    pub fn in_groups(&self) -> String {
        let text: Vec<char> = Secret::from(self.0.to_vec()).to_base32().chars().collect();
        text.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }

    /// The URL that apps read from a QR code (Key URI Format).
    pub fn url(&self, entry: AppEntry<'_>) -> String {
        self.totp(entry).to_url().unwrap_or_default()
    }

    /// The key, in order to seal it.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`AuthenticatorKey::expose`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// SHA-1 and 6 digits: what every app knows, and some take everything else for.
    fn totp(&self, AppEntry { issuer, account }: AppEntry<'_>) -> Totp {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(STEPS_OFF)
            .with_step_duration(STEP_SECONDS)
            .with_secret(self.0.to_vec())
            // A colon ends the issuer's name.
            .with_issuer((!issuer.is_empty()).then(|| issuer.replace(':', " ")))
            .with_account_name(account)
            .build_noncompliant()
    }
}

fn seconds(now: Moment) -> u64 {
    u64::try_from(now.micros() / 1_000_000).unwrap_or_default()
}

hide_in_debug!(AuthenticatorKey);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000).unwrap()
    }

    fn key() -> AuthenticatorKey {
        AuthenticatorKey(*b"12345678901234567890")
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, the last six of the eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(key().code_at(at(seconds)), code);
            assert_eq!(key().step_of(&Otp::parse(code).unwrap(), at(seconds)), Some(seconds / 30));
        }
    }

    #[test]
    fn a_clock_may_be_off_by_one_step_either_way() {
        let now = 1_234_567_890;
        let is_taken = |offset: i64| {
            let code = Otp::parse(&key().code_at(at(now + offset))).unwrap();
            key().step_of(&code, at(now)).is_some()
        };
        for (offset, expected) in
            [(-90, false), (-60, false), (-30, true), (0, true), (30, true), (60, false), (90, false)]
        {
            assert_eq!(is_taken(offset), expected, "{offset} s");
        }
    }

    #[test]
    fn a_key_is_written_for_people_and_for_apps() {
        assert_eq!(key().in_groups(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let url = key().url(AppEntry { issuer: "Team: wiki", account: "ann_lee" });
        assert!(url.starts_with("otpauth://totp/Team%20%20wiki:ann_lee?secret=GEZDGNBV"), "{url}");
        assert_eq!(AuthenticatorKey::parse(&key().expose()), Some(key()));
        assert_eq!(AuthenticatorKey::parse("AAAA"), None);
    }
}
