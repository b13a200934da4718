//! Sentences for people, kept apart from their arguments, so that they can be translated when they are shown.
//!
//! Every sentence is marked where it is written, with [`t`] or [`tn`] in code and `|tr` in templates, so that a tool
//! can list them all. Nothing turns plain text into a sentence by itself.

use std::time::Duration;

use super::Moment;

/// An English sentence that people read, which is also the key of its translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence(&'static str);

impl Sentence {
    /// The English words: the key in a catalogue.
    pub const fn key(self) -> &'static str {
        self.0
    }
}

/// Marks a sentence for translation, as gettext's `_()` does.
pub const fn t(english: &'static str) -> Sentence {
    Sentence(english)
}

/// Marks a sentence that depends on a number, as gettext's `ngettext()` does. `{count}` in it stands for the number.
pub fn tn(one: &'static str, other: &'static str, count: impl TryInto<u64>) -> Message {
    let count = count.try_into().unwrap_or(u64::MAX);
    Message { text: Text::Counted { one, other, count }, arguments: vec![("count", Argument::Count(count))] }
}

/// A sentence with the values for its `{name}`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(crate) text: Text,
    pub(crate) arguments: Vec<(&'static str, Argument)>,
}

/// What a message says before its arguments are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Sentence(Sentence),
    Counted { one: &'static str, other: &'static str, count: u64 },
    Verbatim(String),
}

/// A value in a sentence, rendered in the reader's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// What somebody typed, or a name: shown as it is.
    Text(String),
    Count(u64),
    /// A waiting time or a lifetime.
    Span(Duration),
    Moment(Moment),
    /// A time of today with its zone: `10:52 CET`.
    Clock(Moment),
    Message(Box<Message>),
}

impl Message {
    /// Wraps text that no catalogue knows: a name, or a word that a newer version has stored.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self { text: Text::Verbatim(text.into()), arguments: Vec::new() }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        matches!(&self.text, Text::Verbatim(text) if text.is_empty())
    }

    /// Fills in `{name}`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Argument>) -> Self {
        self.arguments.push((name, value.into()));
        self
    }
}

impl Sentence {
    /// Fills in `{name}`.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<Argument>) -> Message {
        Message::from(self).with(name, value)
    }
}

impl From<Sentence> for Message {
    fn from(sentence: Sentence) -> Self {
        Self { text: Text::Sentence(sentence), arguments: Vec::new() }
    }
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

macro_rules! argument {
    ($($type:ty => $variant:ident),+) => {
        $(impl From<$type> for Argument {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })+
    };
}
argument!(String => Text, &String => Text, u32 => Count, u64 => Count, Duration => Span, Moment => Moment, Message => Message, Sentence => Message);

impl From<usize> for Argument {
    fn from(count: usize) -> Self {
        Self::Count(count.try_into().unwrap_or(u64::MAX))
    }
}

impl From<Sentence> for Box<Message> {
    fn from(sentence: Sentence) -> Self {
        Self::new(sentence.into())
    }
}
