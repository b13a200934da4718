//! Renders every sentence that a person reads, in the reader's language.
//!
//! In templates: `{{ "Create an account"|tr }}`, `{{ "Hello {name},"|tr|with("name", user.name) }}`,
//! `{{ message|say }}` for a [`Message`] that code made, `{{ moment|time }}`, and
//! `{{ count|counted("1 account", "{count} accounts") }}`. Another language is a catalogue and an arm of
//! [`Language::translate`].

#[expect(clippy::inline_always, reason = "what the macro writes")]
pub mod filters;

use std::time::Duration;

use askama::filters::{Escaper, Html};

use crate::identity::{Argument, Local, Message, Moment, Sentence, Text, Zone, t, tn};

/// A language that pages and mails are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The language of the keys.
    English,
}

const MONTHS: [Sentence; 12] = [
    t("Jan"),
    t("Feb"),
    t("Mar"),
    t("Apr"),
    t("May"),
    t("Jun"),
    t("Jul"),
    t("Aug"),
    t("Sep"),
    t("Oct"),
    t("Nov"),
    t("Dec"),
];
const DATE: Sentence = t("{day} {month} {year}, {time} {zone}");

impl Language {
    /// Chooses the first language of `Accept-Language` that there is a catalogue for (RFC 9110, 12.5.4).
    pub fn of_header(accept: Option<&str>) -> Self {
        let tags = accept.unwrap_or_default().split(',').map(|tag| tag.trim().get(..2).unwrap_or_default());
        tags.map(Self::of_tag).find_map(|known| known).unwrap_or(Self::English)
    }

    /// Chooses the language of mails and of the command line, where no request says one.
    pub const fn of_site() -> Self {
        Self::English
    }

    fn of_tag(tag: &str) -> Option<Self> {
        tag.eq_ignore_ascii_case("en").then_some(Self::English)
    }

    /// The tag for `lang` (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
        }
    }

    /// Looks a sentence up in the catalogue of this language.
    pub fn translate(self, sentence: &str) -> &str {
        match self {
            Self::English => sentence,
        }
    }

    /// Renders a message, its arguments filled in; times as clocks show them in a zone.
    pub fn say(self, message: &Message, zone: &Zone) -> String {
        let mut said = String::new();
        self.write(&mut said, message, Medium::Text, zone);
        said
    }

    /// Renders a message as HTML, with its times marked up.
    pub fn say_html(self, message: &Message, zone: &Zone) -> String {
        let mut said = String::new();
        self.write(&mut said, message, Medium::Html, zone);
        said
    }

    fn write(self, to: &mut String, message: &Message, medium: Medium, zone: &Zone) {
        let text = match &message.text {
            Text::Sentence(sentence) => self.translate(sentence.key()),
            Text::Counted { one, other, count } => {
                self.translate(if self.is_one(*count) { one } else { other })
            }
            Text::Verbatim(text) => text,
        };
        // Once: what somebody typed is no place for another argument.
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => medium.write(to, text),
                Piece::Argument(name) => match message.arguments.iter().find(|(known, _)| *known == name) {
                    Some((_, argument)) => self.write_argument(to, argument, medium, zone),
                    None => medium.write(to, &format!("{{{name}}}")),
                },
            }
        }
    }

    fn write_argument(self, to: &mut String, argument: &Argument, medium: Medium, zone: &Zone) {
        match (argument, medium) {
            (Argument::Text(text), _) => medium.write(to, text),
            (Argument::Count(count), _) => to.push_str(&self.number(*count)),
            (Argument::Span(span), _) => to.push_str(&self.span(*span)),
            (Argument::Moment(moment), Medium::Text) => self.write_date(to, *moment, zone),
            (Argument::Moment(moment), Medium::Html) => to.push_str(&self.time_element(*moment, zone)),
            (Argument::Clock(moment), _) => {
                let Local { time, zone, .. } = zone.local(*moment);
                medium.write(to, &format!("{time} {zone}"));
            }
            (Argument::Message(message), _) => self.write(to, message, medium, zone),
        }
    }

    /// Translates a sentence whose arguments a page marks up by itself, and takes it apart.
    fn take_apart(self, message: &Message) -> Vec<Piece<String>> {
        let pieces = match &message.text {
            Text::Sentence(sentence) => pieces(self.translate(sentence.key())).collect(),
            Text::Counted { other, .. } => pieces(self.translate(other)).collect(),
            Text::Verbatim(text) => vec![Piece::Text(text.as_str())],
        };
        let own = |piece| match piece {
            Piece::Text(text) => Piece::Text(str::to_owned(text)),
            Piece::Argument(name) => Piece::Argument(str::to_owned(name)),
        };
        pieces.into_iter().map(own).collect()
    }

    /// Renders a point in time, always with its zone: `23 Nov 2026, 08:45 UTC`.
    pub fn date(self, moment: Moment, zone: &Zone) -> String {
        let mut date = String::with_capacity(32);
        self.write_date(&mut date, moment, zone);
        date
    }

    fn write_date(self, to: &mut String, moment: Moment, zone: &Zone) {
        let Local { year, month, day, time, zone } = zone.local(moment);
        let month = MONTHS.get(month - 1).copied().unwrap_or(DATE);
        for piece in pieces(self.translate(DATE.key())) {
            match piece {
                Piece::Argument("day") => to.push_str(&day.to_string()),
                Piece::Argument("month") => to.push_str(self.translate(month.key())),
                Piece::Argument("year") => to.push_str(&year.to_string()),
                Piece::Argument("time") => to.push_str(&time),
                Piece::Argument("zone") => to.push_str(&zone),
                Piece::Text(text) | Piece::Argument(text) => to.push_str(text),
            }
        }
    }

    /// Renders a day: `23 Nov 2026`.
    pub fn day(self, moment: Moment, zone: &Zone) -> String {
        let date = self.date(moment, zone);
        date.split(',').next().unwrap_or_default().to_owned()
    }

    fn time_element(self, moment: Moment, zone: &Zone) -> String {
        marked_up(moment, None, &self.date(moment, zone))
    }

    /// Says how long ago something was, with the exact time for who points at it.
    fn ago_element(self, moment: Moment, now: Moment, zone: &Zone) -> String {
        let seconds = now.since(moment).as_secs();
        let ago = match seconds {
            0..60 => t("just now").into(),
            60..3600 => tn("1 minute ago", "{count} minutes ago", seconds / 60),
            3600..86_400 => tn("1 hour ago", "{count} hours ago", seconds / 3600),
            86_400.. => tn("1 day ago", "{count} days ago", seconds / 86_400),
        };
        marked_up(moment, Some(&self.date(moment, zone)), &self.say(&ago, zone))
    }

    /// Renders a span in its largest unit, never shorter than it is.
    pub fn span(self, span: Duration) -> String {
        let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        let span = match seconds {
            0..=90 => tn("1 second", "{count} seconds", seconds.max(1)),
            91..=5400 => tn("1 minute", "{count} minutes", seconds.div_ceil(60)),
            5401..=172_799 => tn("1 hour", "{count} hours", seconds.div_ceil(3600)),
            172_800.. => tn("1 day", "{count} days", seconds.div_ceil(86_400)),
        };
        self.say(&span, &Zone::utc())
    }

    fn is_one(self, count: u64) -> bool {
        match self {
            Self::English => count == 1,
        }
    }

    fn number(self, count: u64) -> String {
        let digits = count.to_string();
        let separator = match self {
            Self::English => ',',
        };
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        grouped
    }
}

/// A part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<T> {
    Text(T),
    /// The name of what stands in its place.
    Argument(T),
}

/// How a message is written.
#[derive(Clone, Copy)]
enum Medium {
    Text,
    Html,
}

impl Medium {
    fn write(self, to: &mut String, text: &str) {
        match self {
            Self::Text => to.push_str(text),
            Self::Html => push_escaped(to, text),
        }
    }
}

/// Takes a sentence apart at its `{name}`s, from left to right.
fn pieces(text: &str) -> impl Iterator<Item = Piece<&str>> {
    let mut rest = text;
    let mut next = None;
    std::iter::from_fn(move || {
        if let Some(argument) = next.take() {
            return Some(Piece::Argument(argument));
        }
        let taken = split(rest, b'{').and_then(|(before, after)| Some((before, split(after, b'}')?)));
        let (before, after) = match taken {
            Some((before, (name, after))) => {
                next = Some(name);
                (before, after)
            }
            None if rest.is_empty() => return None,
            None => (rest, ""),
        };
        rest = after;
        Some(Piece::Text(before))
    })
}

/// Splits at an ASCII character. Sentences are short: a search that is quick in long texts takes longer to begin.
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// A time for readers and for machines.
fn marked_up(moment: Moment, title: Option<&str>, text: &str) -> String {
    let mut element = String::with_capacity(128);
    element.push_str("<time datetime=\"");
    element.push_str(&moment.iso());
    if let Some(title) = title {
        element.push_str("\" title=\"");
        push_escaped(&mut element, title);
    }
    element.push_str("\">");
    push_escaped(&mut element, text);
    element + "</time>"
}

/// Appends a text to HTML; safe in an attribute, too.
fn push_escaped(to: &mut String, text: &str) {
    // A string takes everything.
    let _ = Html.write_escaped_str(to, text);
}

/// Templates find their language by name, so that nothing has to thread it through them.
impl askama::Values for Language {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn std::any::Any> {
        (key == "language").then_some(self as &dyn std::any::Any)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn arguments_stand_where_the_sentence_names_them() {
        let message = t("{left} of {all} tries left.").with("left", 2_u32).with("all", 5000_u32);
        assert_eq!(Language::English.say(&message, &Zone::utc()), "2 of 5,000 tries left.");
        let typed = t("{who} and {what}").with("who", "{what} {").with("what", "tea");
        assert_eq!(Language::English.say(&typed, &Zone::utc()), "{what} { and tea");
    }

    #[test]
    fn one_is_said_otherwise_than_many() {
        let tries = |count: i32| {
            Language::English.say(&tn("1 try left.", "{count} tries left.", count), &Zone::utc())
        };
        assert_eq!((tries(1).as_str(), tries(4).as_str()), ("1 try left.", "4 tries left."));
    }

    #[test]
    fn a_date_has_its_zone_and_a_span_its_largest_unit() {
        let moment = Moment::new(datetime!(2026-11-03 10:45 +02:00));
        assert_eq!(Language::English.date(moment, &Zone::utc()), "3 Nov 2026, 08:45 UTC");
        let spans = [
            (0, "1 second"),
            (59, "59 seconds"),
            (600, "10 minutes"),
            (7200, "2 hours"),
            (259_200, "3 days"),
        ];
        for (seconds, expected) in spans {
            assert_eq!(Language::English.span(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(Language::English.span(Duration::from_millis(599_001)), "10 minutes");
    }

    #[test]
    fn the_language_is_the_first_that_is_asked_for_and_known() {
        for accept in [None, Some(""), Some("en-GB,en;q=0.9"), Some("de, en"), Some("é"), Some("tlh")] {
            assert_eq!(Language::of_header(accept), Language::English);
        }
    }
}
