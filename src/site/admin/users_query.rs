//! The query of the list of accounts: what it filters, how it sorts, and where its page begins.

use serde::Deserialize;

use crate::identity::{AccountStatus, Id, Moment, Role};
use crate::paths::admin::{USERS, USERS_CSV};
use crate::paths::{Route, with_query};
use crate::records::users::directory::{Cursor, Filter, Key, Order};
use crate::records::users::two_factor::TwoFactor;
use crate::site::listing::{day, known, parse_cursor, print_cursor};
use crate::web::errors::HttpError;
use crate::web::forms::Problems;

/// The query, as it stands in the address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UsersQuery {
    pub q: String,
    pub role: String,
    pub status: String,
    pub two_factor: String,
    pub joined_from: String,
    pub joined_until: String,
    pub sort: String,
    pub after: String,
}

/// What it asks for.
pub struct Listing {
    pub filter: Filter,
    pub order: Order,
    pub after: Option<Cursor>,
}

impl UsersQuery {
    /// Tells which accounts were asked for, without what was searched: that may be somebody's name or address.
    pub fn told(&self) -> String {
        let searched = if self.q.is_empty() { "" } else { "…" };
        let narrowed = [
            ("search", searched),
            ("role", &self.role),
            ("status", &self.status),
            ("two-step sign-in", &self.two_factor),
            ("joined from", &self.joined_from),
            ("joined until", &self.joined_until),
        ];
        let named = narrowed.iter().filter(|(_, value)| !value.is_empty());
        named.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
    }

    /// Reads what is asked for, where people of these roles have to sign in with a second step. A date that cannot be read is left
    /// out and reported.
    ///
    /// # Errors
    /// Words that no page of ours has in its address.
    pub fn parse(&self, required_of: &[Role]) -> Result<(Listing, Problems), HttpError> {
        let mut problems = Problems::default();
        let order = order(&self.sort)?;
        let search: String = self.q.trim().to_lowercase().chars().take(254).collect();
        let has_email = search.is_empty() && order.key == Key::Email;
        let filter = Filter {
            search,
            role: known(&self.role, Role::parse)?,
            status: known(&self.status, AccountStatus::parse)?,
            two_factor: known(&self.two_factor, TwoFactor::parse)?,
            required_of: required_of.to_vec(),
            has_email,
            joined_from: day(&self.joined_from, "joined_from", &mut problems),
            joined_before: day(&self.joined_until, "joined_until", &mut problems).map(Moment::next_day),
        };
        Ok((Listing { filter, order, after: known(&self.after, parse_place)? }, problems))
    }

    /// The address of this list from its beginning.
    pub fn path(&self) -> String {
        self.path_of(USERS, &self.sort, "")
    }

    /// The address of the page that begins there.
    pub fn path_after(&self, cursor: &Cursor) -> String {
        self.path_of(USERS, &self.sort, &print_place(cursor))
    }

    /// The same accounts as a file.
    pub fn csv_path(&self) -> String {
        self.path_of(USERS_CSV, &self.sort, "")
    }

    /// The address of this list sorted by that key; the other way around when it is already.
    pub fn path_sorted(&self, key: &str) -> String {
        let sort = if self.sort == key { format!("-{key}") } else { key.to_owned() };
        self.path_of(USERS, &sort, "")
    }

    /// For the table's head: how this key sorts it.
    pub fn aria_sort(&self, key: &str) -> &'static str {
        let sort = if self.sort.is_empty() { "-joined" } else { &self.sort };
        match sort.strip_prefix('-') {
            Some(sorted) if sorted == key => "descending",
            None if sort == key => "ascending",
            Some(_) | None => "none",
        }
    }

    /// Its fields without the beginning of a page, as forms carry them on.
    pub fn fields(&self) -> [(&'static str, &str); 7] {
        [
            ("q", &self.q),
            ("role", &self.role),
            ("status", &self.status),
            ("two_factor", &self.two_factor),
            ("joined_from", &self.joined_from),
            ("joined_until", &self.joined_until),
            ("sort", &self.sort),
        ]
    }

    /// Whether it is narrowed down at all.
    pub fn is_narrowed(&self) -> bool {
        self.fields().iter().any(|(name, value)| *name != "sort" && !value.is_empty())
    }

    /// Whether it is narrowed down by more than a search.
    pub fn is_filtered(&self) -> bool {
        self.fields().iter().any(|(name, value)| *name != "q" && !value.is_empty())
    }

    fn path_of(&self, path: Route<0>, sort: &str, after: &str) -> String {
        let mut fields = self
            .fields()
            .map(|(name, value)| if name == "sort" { (name, sort) } else { (name, value) })
            .to_vec();
        fields.push(("after", after));
        with_query(path.path(), &fields)
    }
}

fn order(sort: &str) -> Result<Order, HttpError> {
    let (word, descending) = match sort {
        "" => ("joined", true),
        sort => (sort.trim_start_matches('-'), sort.starts_with('-')),
    };
    let key = match word {
        "joined" => Key::Joined,
        "username" => Key::Username,
        "email" => Key::Email,
        _ => return Err(HttpError::BadRequest),
    };
    Ok(Order { key, descending })
}

fn print_place(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Joined(at, id) => format!("j{}", print_cursor(*at, id)),
        Cursor::Username(name) => format!("u{name}"),
        Cursor::Email(email) => format!("e{email}"),
        Cursor::Name(name, id) => format!("n{}{name}", id.as_str()),
        Cursor::Anywhere(name) => format!("s{name}"),
    }
}

fn parse_place(text: &str) -> Option<Cursor> {
    let (kind, rest) = text.split_at_checked(1)?;
    Some(match kind {
        "j" => parse_cursor(rest).map(|cursor| Cursor::Joined(cursor.at, cursor.id))?,
        // Some databases cannot compare these with anything but ASCII.
        "u" | "e" | "s" if !rest.is_ascii() => return None,
        "u" => Cursor::Username(rest.to_owned()),
        "e" => Cursor::Email(rest.to_owned()),
        "n" => {
            let (id, name) = rest.split_at_checked(36)?;
            Cursor::Name(name.to_owned(), Id::parse(id)?)
        }
        "s" => Cursor::Anywhere(rest.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_address() {
        let id = Id::new();
        let at = Moment::from_micros(1_790_000_000_123_456).unwrap();
        let places = [
            Cursor::Joined(at, id.clone()),
            Cursor::Username("ann.lee".into()),
            Cursor::Email("ann+x@example.org".into()),
            Cursor::Name("éva · 100%".into(), id),
            Cursor::Anywhere("ann".into()),
        ];
        for wanted in places {
            assert_eq!(parse_place(&print_place(&wanted)), Some(wanted));
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
            assert_eq!(parse_place(bad), None, "{bad}");
        }
    }

    #[test]
    fn sorting_by_the_same_key_again_turns_it_around() {
        let query = UsersQuery { sort: "username".into(), q: "a b".into(), ..UsersQuery::default() };
        assert_eq!(query.path_sorted("username"), "/admin/users/?q=a%20b&sort=-username");
        assert_eq!(query.aria_sort("username"), "ascending");
        assert_eq!(UsersQuery::default().aria_sort("joined"), "descending");
    }
}
