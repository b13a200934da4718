//! The public name of an account.

use diesel::sql_types::Text;

use super::visible::as_meant;
use super::{Message, t};

/// Names that could be mistaken for the operator or for a part of the site (OWASP ASVS 5.0, 2.2.1).
const RESERVED: &[&str] = &[
    "about",
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "anonymous",
    "api",
    "auth",
    "billing",
    "bot",
    "contact",
    "daemon",
    "dev",
    "guest",
    "help",
    "helpdesk",
    "home",
    "hostmaster",
    "info",
    "latchkey",
    "login",
    "logout",
    "mail",
    "mailer-daemon",
    "me",
    "merchant",
    "moderator",
    "news",
    "no-reply",
    "nobody",
    "noreply",
    "null",
    "official",
    "operator",
    "owner",
    "password",
    "postmaster",
    "privacy",
    "profile",
    "root",
    "sales",
    "secure",
    "security",
    "self",
    "service",
    "settings",
    "sign-in",
    "sign-out",
    "sign-up",
    "signin",
    "signup",
    "site",
    "staff",
    "static",
    "status",
    "superuser",
    "support",
    "sysadmin",
    "system",
    "team",
    "undefined",
    "user",
    "user-profile",
    "users",
    "verify",
    "webmaster",
    "www",
];

/// 4–30 of `A–Z a–z 0–9 _ . -`, at least one letter, starting and ending with a letter or digit.
///
/// It can hold no `@`, so that a username can never shadow somebody's email address at sign-in.
#[derive(Clone, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Username(String);

super::serialize_as_text!(Username);

impl Username {
    /// Reads a name as typed, blanks around it ignored, or says which rule it breaks.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let name = as_meant(typed);
        let name = name.as_str();
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let at_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if name.is_empty() {
            return Err(t("Enter a username.").into());
        }
        if !name.chars().all(inside) {
            return Err(t(
                "Use only letters A to Z, numbers, dots, hyphens and underscores in the username.",
            )
            .into());
        }
        if !(4..=30).contains(&name.len()) {
            return Err(t("Username must be 4 to 30 characters long.").into());
        }
        if !at_end(name.chars().next()) || !at_end(name.chars().last()) {
            return Err(t("Username must start and end with a letter or number.").into());
        }
        if !name.chars().any(|c| c.is_ascii_alphabetic()) {
            return Err(t("Username must contain at least one letter.").into());
        }
        let name = Self(name.to_owned());
        if RESERVED.contains(&name.canonical().as_str()) {
            return Err(t("That username is reserved. Choose another.").into());
        }
        Ok(name)
    }

    /// Takes a name back that an account has already: whatever rule let it in then, it is theirs to keep.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is unique: lower case.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl std::fmt::Display for Username {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule_of_usernames() {
        for good in [
            "anna",
            "A.nna-9_x",
            "0abc",
            "x".repeat(30).as_str(),
            " anna ",
            "anna\u{200b}",
            "\u{202a}anna\u{202c}",
        ] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "abc",
            "1234",
            ".anna",
            "anna-",
            "an na",
            "anna@example.org",
            "ännä",
            "admin",
            "RooT",
            "аnna",
            "x".repeat(31).as_str(),
        ]
        .map(str::to_owned);
        for bad in bad {
            assert!(Username::parse(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_plain_ascii_and_never_an_address(typed in "\\PC{0,40}") {
            if let Ok(name) = Username::parse(&typed) {
                prop_assert!(name.as_str().is_ascii() && !name.as_str().contains('@'));
                prop_assert_eq!(Username::parse(&name.canonical()).map(|n| n.canonical()), Ok(name.canonical()));
            }
        }
    }
}
