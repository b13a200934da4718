//! What the addresses of lists say: filters, order, and where a page begins. The whole state of a list stands in its
//! address, so that a view can be bookmarked and sent to a colleague.

use serde::Deserialize;

use crate::identity::{Id, Moment, Role, Standing};
use crate::paths::{self, route};
use crate::records::Point;
use crate::records::users::directory::{Filter, Key, Order, Place};
use crate::web::fault::Fault;
use crate::web::forms::Problems;

/// How many rows a page has.
pub(super) const ROWS: usize = 50;

/// The list of people, as its address says it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub q: String,
    pub role: String,
    pub standing: String,
    pub joined_from: String,
    pub joined_until: String,
    pub sort: String,
    pub after: String,
}

/// The same, understood.
pub(super) struct Wanted {
    pub filter: Filter,
    pub order: Order,
    pub after: Option<Place>,
}

impl Asked {
    /// What is asked for. A date that cannot be read is left out, and told.
    ///
    /// # Errors
    /// Words that no page of ours has in its address.
    pub fn understand(&self) -> Result<(Wanted, Problems), Fault> {
        let mut problems = Problems::default();
        let order = order(&self.sort)?;
        let search: String = self.q.trim().to_lowercase().chars().take(254).collect();
        let has_email = search.is_empty() && order.key == Key::Email;
        let filter = Filter {
            search,
            role: known(&self.role, Role::parse)?,
            standing: known(&self.standing, Standing::parse)?,
            has_email,
            joined_from: day(&self.joined_from, "joined_from", &mut problems),
            joined_before: day(&self.joined_until, "joined_until", &mut problems).map(Moment::next_day),
        };
        Ok((Wanted { filter, order, after: known(&self.after, place)? }, problems))
    }

    /// The address of this list from its beginning.
    pub fn path(&self) -> String {
        self.path_of(route::PEOPLE, &self.sort, "")
    }

    /// The address of the page that begins there.
    pub fn path_after(&self, place: &Place) -> String {
        self.path_of(route::PEOPLE, &self.sort, &print(place))
    }

    /// The same people as a file.
    pub fn csv_path(&self) -> String {
        self.path_of(route::PEOPLE_CSV, &self.sort, "")
    }

    /// The address of this list sorted by that key; the other way around when it is already.
    pub fn path_sorted(&self, key: &str) -> String {
        let sort = if self.sort == key { format!("-{key}") } else { key.to_owned() };
        self.path_of(route::PEOPLE, &sort, "")
    }

    /// For the table's head: how this key sorts it.
    pub fn aria_sort(&self, key: &str) -> &'static str {
        let sort = if self.sort.is_empty() { "-joined" } else { &self.sort };
        match sort.strip_prefix('-') {
            Some(sorted) if sorted == key => "descending",
            None if sort == key => "ascending",
            _ => "none",
        }
    }

    /// Its fields without the beginning of a page, as forms carry them on.
    pub fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("q", &self.q),
            ("role", &self.role),
            ("standing", &self.standing),
            ("joined_from", &self.joined_from),
            ("joined_until", &self.joined_until),
            ("sort", &self.sort),
        ]
    }

    /// Whether it is narrowed down at all.
    pub fn is_narrowed(&self) -> bool {
        self.fields().iter().any(|(name, value)| *name != "sort" && !value.is_empty())
    }

    fn path_of(&self, path: &str, sort: &str, after: &str) -> String {
        let mut fields = self
            .fields()
            .map(|(name, value)| if name == "sort" { (name, sort) } else { (name, value) })
            .to_vec();
        fields.push(("after", after));
        paths::with_query(path, &fields)
    }
}

/// What a word of an address means; an empty one means nothing.
///
/// # Errors
/// A word that no page of ours has in its address.
pub(super) fn known<T>(word: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Fault> {
    if word.is_empty() { Ok(None) } else { parse(word).map(Some).ok_or(Fault::BadRequest) }
}

fn order(sort: &str) -> Result<Order, Fault> {
    let (word, descending) = match sort {
        "" => ("joined", true),
        sort => (sort.trim_start_matches('-'), sort.starts_with('-')),
    };
    let key = match word {
        "joined" => Key::Joined,
        "username" => Key::Username,
        "email" => Key::Email,
        _ => return Err(Fault::BadRequest),
    };
    Ok(Order { key, descending })
}

/// A day as browsers send it.
pub(super) fn day(text: &str, field: &'static str, problems: &mut Problems) -> Option<Moment> {
    if text.is_empty() {
        return None;
    }
    let day = Moment::parse_day(text);
    if day.is_none() {
        problems.add(field, "Enter a day like 2026-11-24.");
    }
    day
}

fn print(place: &Place) -> String {
    match place {
        Place::Joined(at, id) => format!("j{}", print_point(*at, id)),
        Place::Username(name) => format!("u{name}"),
        Place::Email(email) => format!("e{email}"),
        Place::Name(name, id) => format!("n{}{name}", id.as_str()),
        Place::Anywhere(name) => format!("s{name}"),
    }
}

fn place(text: &str) -> Option<Place> {
    let (kind, rest) = text.split_at_checked(1)?;
    Some(match kind {
        "j" => point(rest).map(|point| Place::Joined(point.at, point.id))?,
        // Some databases cannot compare these with anything but ASCII.
        "u" | "e" | "s" if !rest.is_ascii() => return None,
        "u" => Place::Username(rest.to_owned()),
        "e" => Place::Email(rest.to_owned()),
        "n" => {
            let (id, name) = rest.split_at_checked(36)?;
            Place::Name(name.to_owned(), Id::parse(id)?)
        }
        "s" => Place::Anywhere(rest.to_owned()),
        _ => return None,
    })
}

/// A place in a list of the newest, in its address.
pub(super) fn print_point(at: Moment, id: &Id) -> String {
    format!("{}.{}", at.micros(), id.as_str())
}

fn point(text: &str) -> Option<Point> {
    let (at, id) = text.split_once('.')?;
    Some(Point { at: Moment::from_micros(at.parse().ok()?)?, id: Id::parse(id)? })
}

/// The place where a list of the newest begins.
///
/// # Errors
/// A text that no page of ours has in its address.
pub(super) fn begin(after: &str) -> Result<Option<Point>, Fault> {
    known(after, point)
}

/// One page of rows that were asked for with one more than it has, and where the next one begins.
pub(super) fn one_page<T>(mut rows: Vec<T>, point: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let has_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let next = rows.last().filter(|_| has_more).map(point);
    (rows, next)
}

/// The limit to ask for with [`one_page`].
pub(super) fn one_more() -> i64 {
    i64::try_from(ROWS + 1).unwrap_or(i64::MAX)
}

/// The identifier in an address.
///
/// # Errors
/// There is no such page.
pub(super) fn id(text: &str) -> Result<Id, Fault> {
    Id::parse(text).ok_or(Fault::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_address() {
        let id = Id::new();
        let at = Moment::from_micros(1_790_000_000_123_456).unwrap();
        let places = [
            Place::Joined(at, id.clone()),
            Place::Username("ann.lee".into()),
            Place::Email("ann+x@example.org".into()),
            Place::Name("éva · 100%".into(), id),
            Place::Anywhere("ann".into()),
        ];
        for wanted in places {
            assert_eq!(place(&print(&wanted)), Some(wanted));
        }
        for bad in [
            "",
            "x",
            "j1",
            "jx.y",
            "nshort",
            "é",
            "ué",
            "j-99999999999999999.00000000-0000-7000-8000-000000000001",
        ] {
            assert_eq!(place(bad), None, "{bad}");
        }
    }

    #[test]
    fn sorting_by_the_same_key_again_turns_it_around() {
        let asked = Asked { sort: "username".into(), q: "a b".into(), ..Asked::default() };
        assert_eq!(asked.path_sorted("username"), "/admin/users/?q=a%20b&sort=-username");
        assert_eq!(asked.aria_sort("username"), "ascending");
        assert_eq!(Asked::default().aria_sort("joined"), "descending");
    }
}
