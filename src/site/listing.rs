//! What the addresses of all lists have in common: words, days, and where a page begins. The whole state of a list stands in
//! its address, so that a view can be bookmarked and sent to a colleague.

use crate::identity::{Id, Moment, t};
use crate::records::Cursor;
use crate::web::errors::HttpError;
use crate::web::forms::Problems;

/// How many rows a page has.
pub const ROWS: usize = 50;

/// Reads a word of an address; an empty one means nothing.
///
/// # Errors
/// A word that no page of ours has in its address.
pub fn known<T>(word: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, HttpError> {
    if word.is_empty() { Ok(None) } else { parse(word).map(Some).ok_or(HttpError::BadRequest) }
}

/// Reads a day as browsers send it, or adds a problem.
pub fn day(text: &str, field: &'static str, problems: &mut Problems) -> Option<Moment> {
    if text.is_empty() {
        return None;
    }
    let day = Moment::parse_day(text);
    if day.is_none() {
        problems.add(field, t("Enter a date like 2026-11-24."));
    }
    day
}

/// Writes a place in a list of the newest.
pub fn print_cursor(at: Moment, id: &Id) -> String {
    format!("{}.{}", at.micros(), id.as_str())
}

/// Reads a place in a list of the newest.
pub fn parse_cursor(text: &str) -> Option<Cursor> {
    let (at, id) = text.split_once('.')?;
    Some(Cursor { at: Moment::from_micros(at.parse().ok()?)?, id: Id::parse(id)? })
}

/// Cuts a page from rows that were asked for with [`one_more`] than it has; returns where the next one begins, too.
pub fn one_page<T>(mut rows: Vec<T>, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let has_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let next = rows.last().filter(|_| has_more).map(cursor);
    (rows, next)
}

/// The limit to ask for with [`one_page`].
pub fn one_more() -> i64 {
    i64::try_from(ROWS + 1).unwrap_or(i64::MAX)
}

/// Reads the identifier in an address.
///
/// # Errors
/// There is no such page.
pub fn id(text: &str) -> Result<Id, HttpError> {
    Id::parse(text).ok_or(HttpError::NotFound)
}
