//! The optional details of a person.

use super::visible::{as_meant, is_dash, is_visible, visible_line, visible_text};
use super::{Message, Username, t};

/// The details of an account that can be edited.
#[derive(Clone, Debug)]
pub struct Details {
    /// Must be free.
    pub username: Username,
    /// May be empty.
    pub full_name: FullName,
    /// May be empty.
    pub phone: Phone,
    /// May be empty.
    pub about: About,
}

/// The longest name, in characters.
const MAX_NAME: usize = 100;
/// The longest text about oneself, in characters.
const MAX_ABOUT: usize = 500;

macro_rules! detail {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// As it is stored and shown.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

detail! {
    /// At most 100 characters on one line; may be empty.
    FullName
}
detail! {
    /// A number in E.164 form (`+` and 8 to 15 digits), or empty.
    Phone
}
detail! {
    /// At most 500 characters, line breaks allowed; may be empty.
    About
}

impl FullName {
    /// Trimmed; what cannot be seen is left out.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let name = visible_line(typed);
        let name = name.trim();
        if !typed.trim().is_empty() && !is_visible(name) {
            return Err(t("A name needs at least one character that can be seen.").into());
        }
        let length = name.chars().count();
        if length > MAX_NAME {
            let message = t("Name must be {limit} characters or fewer. You wrote {length}.");
            return Err(message.with("limit", MAX_NAME).with("length", length));
        }
        Ok(Self(name.to_owned()))
    }

    /// The form that a search compares: lower case.
    pub fn canonical(&self) -> String {
        self.0.to_lowercase()
    }
}

impl Phone {
    /// Writes a stored number as people do: `+49 30 1234567`.
    pub fn written(stored: &str) -> String {
        match phonenumber::parse(None, stored) {
            Ok(number) => number.format().mode(phonenumber::Mode::International).to_string(),
            Err(_) => stored.to_owned(),
        }
    }

    /// Blanks, dashes and brackets are ignored, as people write them; so is the zero in brackets that is dialled only inside a
    /// country (ITU-T E.123), but where the number is none without it, as in Italy. `00` in front stands for `+`.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let meant = as_meant(typed);
        let (without, with) = (digits_of(&meant.replace("(0)", "")), digits_of(&meant));
        let is_valid = |number: &str| phonenumber::parse(None, number).is_ok_and(|number| number.is_valid());
        let number = if !is_valid(&without) && is_valid(&with) { with } else { without };
        let is_e164 = number.strip_prefix('+').is_some_and(|digits| {
            (8..=15).contains(&digits.len())
                && digits.chars().all(|c| c.is_ascii_digit())
                && !digits.starts_with('0')
        });
        // Google's list of countries and their numbers knows more than the form.
        if number.is_empty() || (is_e164 && phonenumber::parse(None, &number).is_ok()) {
            Ok(Self(number))
        } else {
            Err(t("Enter a phone number with its country code, like +49 30 1234567.").into())
        }
    }
}

/// A number without what only helps to read it, and with a `+` in front of its country.
fn digits_of(typed: &str) -> String {
    let is_filling = |c: char| c.is_whitespace() || is_dash(c) || matches!(c, '(' | ')' | '.' | '/');
    let number: String = typed.chars().filter(|c| !is_filling(*c)).collect();
    number.strip_prefix("00").map_or_else(|| number.clone(), |rest| format!("+{rest}"))
}

impl About {
    /// Trimmed; line ends become `\n`, and what cannot be seen is left out.
    pub fn parse(typed: &str) -> Result<Self, Message> {
        let text = visible_text(&typed.replace("\r\n", "\n")).trim().to_owned();
        let length = text.chars().count();
        if length > MAX_ABOUT {
            let message = t("“About you” must be {limit} characters or fewer. You wrote {length}.");
            return Err(message.with("limit", MAX_ABOUT).with("length", length));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_kept_in_one_form() {
        assert_eq!(Phone::parse("+49 (30) 123-4567").unwrap().as_str(), "+49301234567");
        assert_eq!(Phone::parse("").unwrap().as_str(), "");
        for written in [
            "\u{202a}+49 30 1234567\u{202c}",
            "\u{2068}+49 30 1234567\u{2069}",
            "+49\u{2011}30\u{2011}1234567",
            "+49 30\u{2013}1234567",
            "+49\t30 1234567",
            "+49\u{202f}30\u{202f}1234567",
            "\u{ff0b}\u{ff14}\u{ff19} 30 1234567",
            "+49 (0)30 1234567",
            "0049 (0) 30 123-4567",
        ] {
            let number = Phone::parse(&written.replace("(0) ", "(0)")).unwrap();
            assert_eq!(number.as_str(), "+49301234567", "{written:?}");
        }
        assert_eq!(Phone::parse("+39 (0)6 6982 1234").unwrap().as_str(), "+390669821234");
        assert_eq!(Phone::parse("+44 (0)20 7946 0018").unwrap().as_str(), "+442079460018");
        assert_eq!(Phone::written("+49301234567"), "+49 30 1234567");
        assert_eq!(Phone::written(""), "");
        for bad in ["030 1234567", "+0123456789", "+1234", "+1234567890123456", "+49x301234567"] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_texts_have_limits_and_no_tricks() {
        for unseen in ["\u{300}", "\u{fffc}", "\u{fdd0}\u{10ffff}", "\u{a0}\u{200d}", "\u{301}\u{302}"] {
            assert!(FullName::parse(unseen).is_err(), "{unseen:?}");
        }
        assert!(FullName::parse("e\u{301}va").is_ok() && FullName::parse("🦉").is_ok());
        assert_eq!(FullName::parse("  Ann Lee ").unwrap().as_str(), "Ann Lee");
        assert!(FullName::parse(&"é".repeat(100)).is_ok());
        assert!(FullName::parse(&"é".repeat(101)).is_err());
        for unseen in ["\u{3164}", "\u{ad}\u{200b}", "\u{2800}"] {
            assert!(FullName::parse(unseen).is_err(), "{unseen:?}");
        }
        assert_eq!(FullName::parse("\u{3164} Ann\u{202e}Lee\u{200b}").unwrap().as_str(), "AnnLee");
        assert_eq!(About::parse("a\r\nb").unwrap().as_str(), "a\nb");
        assert_eq!(About::parse("a\u{1b}[31m").unwrap().as_str(), "a[31m");
    }
}
