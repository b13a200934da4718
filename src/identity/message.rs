//! A sentence for a person, kept apart from its arguments so that it can be translated when it is shown.

use std::borrow::Cow;
use std::fmt;

/// An English sentence, which is also the key of its translation, and the values for its `{name}`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    sentence: Cow<'static, str>,
    arguments: Vec<(&'static str, String)>,
}

impl Message {
    /// A sentence without arguments.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { sentence: sentence.into(), arguments: Vec::new() }
    }

    /// The same message with `{name}` standing for `value`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.arguments.push((name, value.to_string()));
        self
    }

    /// The sentence in the reader's language, its arguments filled in.
    pub fn render(&self, translate: impl Fn(&str) -> String) -> String {
        self.arguments.iter().fold(translate(&self.sentence), |text, (name, value)| fill(&text, name, value))
    }
}

/// `text` with every `{name}` replaced by `value`.
pub fn fill(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("{{{name}}}"), value)
}

impl AsRef<Self> for Message {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl From<&'static str> for Message {
    fn from(sentence: &'static str) -> Self {
        Self::new(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_the_sentence_names_them() {
        let message = Message::new("{left} of {all} tries left.").with("left", 2).with("all", 5);
        assert_eq!(message.render(str::to_owned), "2 of 5 tries left.");
    }
}
