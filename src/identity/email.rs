//! An email address that we are willing to write to.

use diesel::sql_types::Text;

use super::visible::as_meant;
use super::{Message, t};

/// An ASCII addr-spec (RFC 5322 without quotes, comments and literals), at most 254 characters, with a dotted
/// domain of letters, digits and hyphens. Stricter than most parsers on purpose: whatever passes here means
/// the same to every mail server, to the database and to us.
#[derive(Clone, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Email(String);

super::serialize_as_text!(Email);

impl Email {
    /// Reads an address as typed or copied, blanks around it and what cannot be seen ignored, or says what is wrong with it.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let address = as_meant(typed);
        let address = address.as_str();
        if address.is_empty() {
            return Err(t("Enter an email address.").into());
        }
        if !address.is_ascii() {
            return Err(t("Use only letters A to Z, numbers and common symbols in the email address.").into());
        }
        if address.len() > 254 {
            return Err(t("Email address must be 254 characters or fewer.").into());
        }
        match address.split_once('@') {
            Some((local, domain)) if is_local_part(local) && is_domain(domain) => {
                Ok(Self(address.to_owned()))
            }
            _ => Err(t("Enter an email address in the format name@example.org.").into()),
        }
    }

    /// Takes an address back that the database holds: it was read when it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique: lower case, the local part too (a person is one person in any spelling).
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The same in the form that is unique.
    #[must_use]
    pub fn in_lower_case(&self) -> Self {
        Self(self.canonical())
    }

    /// The mailbox that it leads to, for counting: lower case, and without what stands behind a `+`.
    pub fn mailbox(&self) -> String {
        let canonical = self.canonical();
        match canonical.split_once('@') {
            Some((local, domain)) => {
                let local = local.split_once('+').map_or(local, |(mailbox, _)| mailbox);
                format!("{local}@{domain}")
            }
            None => canonical,
        }
    }

    /// Whether both are one address, in any spelling of case.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// For the eyes of somebody who may no longer be its owner: `a•••@example.org`.
    pub fn masked(&self) -> String {
        let (local, domain) = self.0.split_once('@').unwrap_or((&self.0, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}•••@{domain}")
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
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
            "a@-x.org",
            ".a@example.org",
            "a..b@example.org",
            "a\u{a0}b@example.org",
        ];
        for meant in [
            "a@example.org\u{a0}",
            "a@example.org\t",
            "\u{202a}a@example.org\u{202c}",
            "a@example.org\u{200b}",
        ] {
            assert_eq!(Email::parse(meant).unwrap().as_str(), "a@example.org", "{meant:?}");
        }
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
