//! A mail address that we are willing to write to.

use super::Message;

/// An ASCII addr-spec (RFC 5322 without quotes, comments and literals), at most 254 characters, with a dotted
/// domain of letters, digits and hyphens. Stricter than most parsers on purpose: whatever passes here means
/// the same to every mail server, to the database and to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The address as typed, blanks around it ignored, or what is wrong with it.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let address = typed.trim_matches(' ');
        if address.is_empty() {
            return Err("Enter your e-mail address.".into());
        }
        if !address.is_ascii() {
            return Err("Only addresses in plain letters (A to Z), digits and signs are supported.".into());
        }
        if address.len() > 254 {
            return Err("This address is too long: 254 characters are the limit.".into());
        }
        match address.split_once('@') {
            Some((local, domain)) if is_local_part(local) && is_domain(domain) => {
                Ok(Self(address.to_owned()))
            }
            _ => Err("Enter an address like name@example.org.".into()),
        }
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique: lower case, the local part too (a person is one person in any spelling).
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn is_local_part(local: &str) -> bool {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom))
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.contains('.') && domain.split('.').all(label) && !last.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule_of_addresses() {
        for good in ["a@example.org", "Mike.O'Neil+tag@Mail.Example.ORG", " a@example.org "] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "a",
            "a@b",
            "@example.org",
            "a@example.org.",
            "a@.org",
            "a@@example.org",
            "a b@example.org",
            "\"a b\"@example.org",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "mıke@example.org",
            "a@gmáil.com",
            "a@example.org\r\nBcc: v@example.org",
            "a@example.org,b@example.org",
            "a@example.org\u{a0}",
            "a@-x.org",
            ".a@example.org",
            "a..b@example.org",
            "a@example.org\0",
        ];
        for bad in bad {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Email::parse(&format!("{}@example.org", "x".repeat(65))).is_err());
        assert!(Email::parse(&format!("a@{}.org", "x.".repeat(130))).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_the_mailer_accepts_too(typed in "[ -~]{0,12}@[a-z0-9.-]{1,12}") {
            if let Ok(email) = Email::parse(&typed) {
                prop_assert!(email.as_str().parse::<lettre::Address>().is_ok());
                prop_assert_eq!(email.as_str().matches('@').count(), 1);
                prop_assert_eq!(Email::parse(&email.canonical()).map(|e| e.canonical()), Ok(email.canonical()));
            }
        }
    }
}
