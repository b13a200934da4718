//! The filters of all templates.

use std::fmt;
use std::ops::Deref;

use askama::filters::{HtmlSafe, Safe};
use askama::{FastWritable, Values};

use super::{Language, Piece};
use crate::identity::{Message, Moment, Sentence, Zone, tn};

/// What templates hand to a filter, by value or behind any number of references.
pub trait Given<T> {
    /// The value.
    fn given(&self) -> T;
}

macro_rules! given {
    ($($type:ty as $made:ty),+) => {
        $(impl Given<$made> for $type {
            fn given(&self) -> $made {
                self.clone().into()
            }
        })+
    };
}
given!(Message as Message, Sentence as Message, Moment as Moment, i64 as i64, i32 as i64);

impl Given<i64> for usize {
    fn given(&self) -> i64 {
        i64::try_from(*self).unwrap_or(i64::MAX)
    }
}

impl<T, G: Given<T>> Given<T> for &G {
    fn given(&self) -> T {
        (*self).given()
    }
}

impl Given<&'static str> for &'static str {
    fn given(&self) -> &'static str {
        self
    }
}

fn language(values: &dyn Values) -> askama::Result<Language> {
    askama::get_value::<Language>(values, "language").copied()
}

/// Mails are read anywhere.
fn zone(values: &dyn Values) -> Zone {
    askama::get_value::<Zone>(values, "zone").cloned().unwrap_or_else(|_| Zone::utc())
}

/// A sentence in the language of its reader, which stands in a page as it is: it is ours, and none has a `&`, `<`, `>` or `"`. A page has a
/// hundred of them, which nobody needs to look through each time.
#[derive(Clone, Copy)]
pub struct Said(&'static str);

impl Deref for Said {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl HtmlSafe for Said {}

impl FastWritable for Said {
    fn write_into(&self, to: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(to.write_str(self.0)?)
    }
}

/// Translates a sentence.
#[askama::filter_fn]
pub fn tr(sentence: impl Given<&'static str>, values: &dyn Values) -> askama::Result<Said> {
    let said = language(values)?.translate(sentence.given());
    debug_assert!(!said.contains(['&', '<', '>', '"']), "“{said}” would have to be escaped");
    Ok(Said(said))
}

/// Fills in `{name}`.
#[askama::filter_fn]
pub fn with<V: std::fmt::Display>(
    sentence: impl std::fmt::Display,
    _: &dyn Values,
    name: &str,
    value: V,
) -> askama::Result<String> {
    Ok(sentence.to_string().replace(&format!("{{{name}}}"), &value.to_string()))
}

/// Chooses the form of a sentence that fits a number, and fills in `{count}`.
#[askama::filter_fn]
pub fn counted(
    count: impl Given<i64>,
    values: &dyn Values,
    one: &'static str,
    other: &'static str,
) -> askama::Result<String> {
    Ok(language(values)?.say(&tn(one, other, count.given()), &Zone::utc()))
}

/// Renders a message.
#[askama::filter_fn]
pub fn say(message: impl Given<Message>, values: &dyn Values) -> askama::Result<String> {
    Ok(language(values)?.say(&message.given(), &zone(values)))
}

/// Renders a message with its times marked up. Not for attributes and titles.
#[askama::filter_fn]
pub fn say_html(message: impl Given<Message>, values: &dyn Values) -> askama::Result<Safe<String>> {
    Ok(Safe(language(values)?.say_html(&message.given(), &zone(values))))
}

/// Takes a sentence apart, for a page that marks up its arguments by itself.
#[askama::filter_fn]
pub fn pieces(message: impl Given<Message>, values: &dyn Values) -> askama::Result<Vec<Piece<String>>> {
    Ok(language(values)?.take_apart(&message.given()))
}

/// Renders a point in time, marked up.
#[askama::filter_fn]
pub fn time(moment: impl Given<Moment>, values: &dyn Values) -> askama::Result<Safe<String>> {
    Ok(Safe(language(values)?.time_element(moment.given(), &zone(values))))
}

/// Renders how long ago something was, marked up.
#[askama::filter_fn]
pub fn ago(moment: impl Given<Moment>, values: &dyn Values) -> askama::Result<Safe<String>> {
    let now = *askama::get_value::<Moment>(values, "now")?;
    Ok(Safe(language(values)?.ago_element(moment.given(), now, &zone(values))))
}

/// The tag of the language, for `lang`.
#[askama::filter_fn]
pub fn tag(_: impl std::fmt::Display, values: &dyn Values) -> askama::Result<&'static str> {
    Ok(language(values)?.tag())
}
