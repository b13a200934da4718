//! The one door of every sentence that a person reads.
//!
//! The English sentence is the key of its translation, as in gettext, so that templates read naturally:
//! `{{ "Create your account"|tr }}`, `{{ "Hello, {name}"|tr|with("name", user.name) }}`, and `{{ message|say }}`
//! for a [`crate::identity::Message`] that code made. Another language is another arm of
//! [`Language::translate`] with its catalogue.

/// A language that pages and mails are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// The language of the keys.
    #[default]
    English,
}

impl Language {
    /// The sentence in this language.
    pub fn translate(self, sentence: &str) -> &str {
        match self {
            Self::English => sentence,
        }
    }
}

/// Templates find their language by name, so that nothing has to thread it through them.
impl askama::Values for Language {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn std::any::Any> {
        (key == "language").then_some(self as &dyn std::any::Any)
    }
}

/// The filters of all templates.
#[expect(missing_docs, clippy::inline_always, reason = "what the macro writes")]
pub mod filters {
    use super::Language;
    use crate::identity::Message;

    fn language(values: &dyn askama::Values) -> Language {
        askama::get_value::<Language>(values, "language").copied().unwrap_or_default()
    }

    /// The sentence in the reader's language.
    #[askama::filter_fn]
    pub fn tr(sentence: impl std::fmt::Display, values: &dyn askama::Values) -> askama::Result<String> {
        Ok(language(values).translate(&sentence.to_string()).to_owned())
    }

    /// The sentence with `{name}` replaced by `value`.
    #[askama::filter_fn]
    pub fn with<V: std::fmt::Display>(
        sentence: impl std::fmt::Display,
        _: &dyn askama::Values,
        name: &str,
        value: V,
    ) -> askama::Result<String> {
        Ok(crate::identity::fill(&sentence.to_string(), name, &value.to_string()))
    }

    /// The message in the reader's language.
    #[askama::filter_fn]
    pub fn say(message: impl AsRef<Message>, values: &dyn askama::Values) -> askama::Result<String> {
        let language = language(values);
        Ok(message.as_ref().render(|sentence| language.translate(sentence).to_owned()))
    }
}
