//! The one shape of all mails: a greeting, paragraphs, perhaps a code or a button, and what to do when it was not you.
//! One text and one HTML template therefore serve them all.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;

use super::Mail;
use crate::config::{Brand, Config, PublicUrl};
use crate::identity::{Message, Sentence, Zone};
use crate::keys::Keys;
use crate::language::{Language, filters};
use crate::paths::{self, HOME};

/// What stands for a secret where a mail is shown.
pub const MASK: &str = "••••••";

/// What every mail is written with.
#[derive(Clone)]
pub struct MailWriter {
    /// The origin of every link.
    pub public_url: PublicUrl,
    /// The site's own name and face.
    pub brand: Arc<Brand>,
    /// For the tokens of verification links.
    pub keys: Keys,
    /// The language that mails are written in.
    pub language: Language,
}

/// What differs from one sending to the next.
#[derive(Clone, Copy)]
pub(super) struct Enclosed<'a> {
    /// The code or token that it carries.
    pub secret: &'a str,
    /// How long that still works.
    pub left: Duration,
}

/// What a mail says.
#[derive(Debug)]
pub struct Content {
    subject: Message,
    greeting: String,
    paragraphs: Vec<Message>,
    /// What an administrator wrote about it.
    reason: Option<String>,
    code: Option<String>,
    /// A link: its label and its URL.
    button: Option<(Message, String)>,
    /// How long it works, and what to do when it was not you.
    notes: Vec<Message>,
    /// Whether only the people of the site can help.
    needs_help: bool,
    /// The time zone of whoever reads it.
    zone: Zone,
    site: String,
    brand: Arc<Brand>,
}

/// The name of the logo among the parts of a mail (RFC 2392).
pub const LOGO: &str = "logo";

/// What the templates of a mail find by name.
struct Reading<'a> {
    language: Language,
    zone: &'a Zone,
}

impl askama::Values for Reading<'_> {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn std::any::Any> {
        match key {
            "language" => Some(&self.language),
            "zone" => Some(self.zone),
            _ => None,
        }
    }
}

#[derive(Template)]
#[template(path = "mail/mail.txt")]
struct Text<'a> {
    content: &'a Content,
}

#[derive(Template)]
#[template(path = "mail/mail.html")]
struct Html<'a> {
    content: &'a Content,
}

impl MailWriter {
    /// Writes as the settings say, in that language.
    pub fn new(config: &Config, keys: &Keys, language: Language) -> Self {
        let brand = Arc::new(config.brand.clone());
        Self { public_url: config.public_url.clone(), brand, keys: keys.clone(), language }
    }

    /// Writes a mail; `secret` is the code or token that it carries, `left` how long that still works. `None` for what is
    /// answered by the courier instead of being sent.
    pub fn write(&self, mail: &Mail, secret: &str, left: Duration) -> Option<Content> {
        mail.letter().write(self, Enclosed { secret, left })
    }

    pub(super) fn content(&self, greeting: &str, subject: impl Into<Message>) -> Content {
        Content {
            subject: subject.into(),
            greeting: if is_plain(greeting) { greeting.to_owned() } else { String::new() },
            paragraphs: Vec::new(),
            reason: None,
            code: None,
            button: None,
            notes: Vec::new(),
            needs_help: false,
            zone: Zone::utc(),
            brand: Arc::clone(&self.brand),
            site: self.url(HOME.path()),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        paths::absolute(&self.public_url, path)
    }
}

/// Whether mail programs will take no part of a name for a link: whoever has an account in hand must not put one into its owner's
/// mails.
fn is_plain(name: &str) -> bool {
    let is_host = |word: &str| word.split('.').filter(|part| part.chars().count() > 1).count() > 1;
    !name.contains(['/', ':', '@', '\\']) && !name.split_whitespace().any(is_host)
}

impl Content {
    pub(super) fn say(mut self, paragraph: impl Into<Message>) -> Self {
        self.paragraphs.push(paragraph.into());
        self
    }

    pub(super) fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()), ..self }
    }

    pub(super) fn with_help(self) -> Self {
        Self { needs_help: true, ..self }
    }

    pub(super) fn in_zone(self, name: &str) -> Self {
        Self { zone: Zone::parse(name).unwrap_or(self.zone), ..self }
    }

    /// The site's face, a PNG that goes with the mail.
    pub fn logo(&self) -> Option<&[u8]> {
        self.brand.png()
    }

    /// What a mailbox shows beside the subject: how long it works, or the first thing that it says.
    fn preheader(&self) -> Option<&Message> {
        if self.code.is_some() { self.notes.first() } else { self.paragraphs.first() }
    }

    pub(super) fn code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    pub(super) fn button(self, label: Sentence, url: String) -> Self {
        Self { button: Some((label.into(), url)), ..self }
    }

    pub(super) fn note(mut self, note: impl Into<Message>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Shows dots where its link stands.
    #[must_use]
    pub fn with_link_masked(mut self) -> Self {
        if let Some((_, url)) = &mut self.button {
            MASK.clone_into(url);
        }
        self
    }

    /// Renders the subject line.
    pub fn subject(&self, language: Language) -> String {
        language.say(&self.subject, &Zone::utc())
    }

    /// Renders the plain part.
    ///
    /// # Errors
    /// When the template fails, which is a mistake of ours.
    pub fn text(&self, language: Language) -> askama::Result<String> {
        Text { content: self }.render_with_values(&Reading { language, zone: &self.zone })
    }

    /// Renders the HTML part.
    ///
    /// # Errors
    /// When the template fails, which is a mistake of ours.
    pub fn html(&self, language: Language) -> askama::Result<String> {
        Html { content: self }.render_with_values(&Reading { language, zone: &self.zone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_a_link_is_no_greeting() {
        for name in ["Ann Lee", "J. R. R. Tolkien", "J.R.R. Tolkien", "annalee", "فاطمة", "O'Neil-Smith Jr."]
        {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "Eve https://evil.example",
            "evil.example",
            "Ann www.evil.example",
            "a@b.example",
            "Ann //x",
            "mailto:x",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
