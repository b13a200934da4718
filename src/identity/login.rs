//! What somebody types to say which account is meant.

use super::visible::as_meant;
use super::{Message, t};

/// A username or an email address, in the form that is unique: lower case. It may name nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Holds no `@`.
    Username(String),
    /// Holds an `@`, which no username does.
    Email(String),
}

impl Login {
    /// Reads what was typed, blanks around it and what cannot be seen ignored. Refused are only nothing, and what is too long for any address.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let text = as_meant(typed).to_ascii_lowercase();
        match text.len() {
            0 => Err(t("Enter your username or email address.").into()),
            1..=254 if text.contains('@') => Ok(Self::Email(text)),
            1..=254 => Ok(Self::Username(text)),
            _ => Err(t("That's too long to be a username or email address.").into()),
        }
    }

    /// The text in lower case.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Username(text) | Self::Email(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_sign_makes_an_address() {
        assert_eq!(Login::parse(" Ann "), Ok(Login::Username("ann".into())));
        assert_eq!(Login::parse("Ann@Example.org"), Ok(Login::Email("ann@example.org".into())));
        for bad in ["", "  ", &"a".repeat(255)] {
            assert!(Login::parse(bad).is_err(), "{bad:?}");
        }
    }
}
