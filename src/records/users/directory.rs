//! The list of accounts: filtered, sorted, searched, a page at a time.
//!
//! A page begins after a [`Cursor`], the key of the last person of the page before, and is read from an index in the
//! order of that key: the last page of a million people costs what the first one does.
//!
//! A search looks at the beginnings of usernames, then of addresses, then of names, each in its own order; only when it
//! finds nothing at all, anywhere in them (see [`super::inside`]).

use std::collections::HashMap;

use diesel::prelude::*;

use super::Listed;
use super::inside::{self, Query};
use super::two_factor::TwoFactor;
use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{AccountStatus, Id, Moment, Role};

/// Which accounts.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// What is searched for, in lower case; empty for no search.
    pub search: String,
    /// Only those with this role.
    pub role: Option<Role>,
    /// Of that status, whatever the reason of a block.
    pub status: Option<AccountStatus>,
    /// Only those with, or without, a second step of signing in.
    pub two_factor: Option<TwoFactor>,
    /// The roles that [`TwoFactor::Due`] is about.
    pub required_of: Vec<Role>,
    /// Only those with an email address.
    pub has_email: bool,
    /// Signed up then or later.
    pub joined_from: Option<Moment>,
    /// Signed up before.
    pub joined_before: Option<Moment>,
}

/// What accounts are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Joined,
    Username,
    /// Their email address, of those who have one ([`Filter::has_email`]).
    Email,
    /// Their name. For searches alone: most people give none.
    Name,
    /// Their username, wherever the search is found. For searches alone.
    Anywhere,
}

/// In which order accounts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub key: Key,
    /// Last first.
    pub descending: bool,
}

/// The key of somebody in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// In [`Key::Joined`].
    Joined(Moment, Id),
    /// In [`Key::Username`].
    Username(String),
    /// In [`Key::Email`].
    Email(String),
    /// In [`Key::Name`].
    Name(String, Id),
    /// In [`Key::Anywhere`].
    Anywhere(String),
}

impl Cursor {
    /// In which order it is a cursor.
    pub fn key(&self) -> Key {
        match self {
            Self::Joined(..) => Key::Joined,
            Self::Username(_) => Key::Username,
            Self::Email(_) => Key::Email,
            Self::Name(..) => Key::Name,
            Self::Anywhere(_) => Key::Anywhere,
        }
    }

    fn of(user: &Listed, key: Key) -> Self {
        match key {
            Key::Joined => Self::Joined(user.created_at, user.id.clone()),
            Key::Username => Self::Username(user.username_canon.clone()),
            Key::Email => Self::Email(user.email_canon.clone().unwrap_or_default()),
            Key::Name => Self::Name(user.full_name_canon.clone(), user.id.clone()),
            Key::Anywhere => Self::Anywhere(user.username_canon.clone()),
        }
    }
}

/// Some of the accounts.
pub struct Page {
    /// The accounts, in the order that was asked for.
    pub users: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// Returns up to `size` accounts after a cursor.
pub fn page(
    conn: &mut Connection,
    filter: &Filter,
    order: Order,
    after: Option<&Cursor>,
    size: usize,
) -> QueryResult<Page> {
    if filter.search.is_empty() {
        let mut users = fetch(conn, filter, order, after, size + 1)?;
        let next = split_cursor(&mut users, size, order.key);
        return Ok(Page { users, next });
    }
    let keys = [Key::Username, Key::Email, Key::Name];
    let begins_at = after.map_or(Key::Username, Cursor::key);
    let mut found: Vec<(Listed, Key)> = Vec::new();
    let keys_left = keys.iter().skip_while(|key| **key != begins_at);
    for key in keys_left {
        let cursor = after.filter(|cursor| cursor.key() == *key);
        let order = Order { key: *key, descending: false };
        let users = fetch(conn, filter, order, cursor, size + 1 - found.len())?;
        found.extend(users.into_iter().map(|user| (user, *key)));
        if found.len() > size {
            break;
        }
    }
    if found.is_empty() && after.is_none_or(|cursor| cursor.key() == Key::Anywhere) {
        let order = Order { key: Key::Anywhere, descending: false };
        let users = fetch(conn, filter, order, after, size + 1)?;
        found.extend(users.into_iter().map(|user| (user, Key::Anywhere)));
    }
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(|(user, key)| Cursor::of(user, *key));
    Ok(Page { users: found.into_iter().map(|(user, _)| user).collect(), next })
}

/// Counts accounts, up to `most` and no further.
pub fn count(conn: &mut Connection, filter: &Filter, most: usize) -> QueryResult<usize> {
    let count = |conn: &mut Connection, query: Query<'_>| -> QueryResult<usize> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let one = diesel::dsl::sql::<diesel::sql_types::Integer>("1");
        let rows: Vec<i32> = query.select(one).limit(limit).load(conn)?;
        Ok(rows.len())
    };
    if filter.search.is_empty() {
        return count(conn, filtered(filter));
    }
    let mut found = 0;
    for key in [Key::Username, Key::Email, Key::Name] {
        if let Some(query) = searched(filter, key).filter(|_| found < most) {
            found += count(conn, query)?;
        }
    }
    match (found, searched(filter, Key::Anywhere)) {
        (0, Some(query)) => {
            let query = inside::narrow(conn, query, &filter.search)?;
            count(conn, query)
        }
        _ => Ok(found.min(most)),
    }
}

/// Returns the accounts that a filter matches, up to `most`.
pub fn all(conn: &mut Connection, filter: &Filter, most: usize) -> QueryResult<Vec<Listed>> {
    Ok(page(conn, filter, Order { key: Key::Username, descending: false }, None, most)?.users)
}

fn split_cursor(users: &mut Vec<Listed>, size: usize, key: Key) -> Option<Cursor> {
    let has_more = users.len() > size;
    users.truncate(size);
    users.last().filter(|_| has_more).map(|user| Cursor::of(user, key))
}

/// Reads some accounts in the order of a key, which an index has.
fn fetch(
    conn: &mut Connection,
    filter: &Filter,
    order: Order,
    after: Option<&Cursor>,
    limit: usize,
) -> QueryResult<Vec<Listed>> {
    let searching = !filter.search.is_empty();
    let Some(query) = (if searching { searched(filter, order.key) } else { Some(filtered(filter)) }) else {
        return Ok(Vec::new());
    };
    let query = match order.key {
        Key::Anywhere => inside::narrow(conn, query, &filter.search)?,
        Key::Joined | Key::Username | Key::Email | Key::Name => query,
    };
    let query = ordered(query, order);
    let query = match after {
        Some(cursor) => after_cursor(query, cursor, order.descending),
        None => query,
    };
    query.select(Listed::as_select()).limit(i64::try_from(limit).unwrap_or(i64::MAX)).load(conn)
}

fn ordered(query: Query<'_>, order: Order) -> Query<'_> {
    match (order.key, order.descending) {
        (Key::Joined, false) => query.order((users::created_at, users::id)),
        (Key::Joined, true) => query.order((users::created_at.desc(), users::id.desc())),
        (Key::Username | Key::Anywhere, false) => query.order(users::username_canon),
        (Key::Username | Key::Anywhere, true) => query.order(users::username_canon.desc()),
        (Key::Email, false) => query.order(users::email_canon),
        (Key::Email, true) => query.order(users::email_canon.desc()),
        (Key::Name, false) => query.order((users::full_name_canon, users::id)),
        (Key::Name, true) => query.order((users::full_name_canon.desc(), users::id.desc())),
    }
}

/// Narrows a query to what comes after a cursor. A key of two columns is bounded by its first one, too: that is what an index can use.
fn after_cursor<'a>(query: Query<'a>, cursor: &Cursor, descending: bool) -> Query<'a> {
    let cursor = cursor.clone();
    match (cursor, descending) {
        (Cursor::Joined(at, id), false) => {
            query.filter(users::created_at.ge(at)).filter(users::created_at.gt(at).or(users::id.gt(id)))
        }
        (Cursor::Joined(at, id), true) => {
            query.filter(users::created_at.le(at)).filter(users::created_at.lt(at).or(users::id.lt(id)))
        }
        (Cursor::Username(name) | Cursor::Anywhere(name), false) => {
            query.filter(users::username_canon.gt(name))
        }
        (Cursor::Username(name) | Cursor::Anywhere(name), true) => {
            query.filter(users::username_canon.lt(name))
        }
        (Cursor::Email(email), false) => query.filter(users::email_canon.gt(email)),
        (Cursor::Email(email), true) => query.filter(users::email_canon.lt(email)),
        (Cursor::Name(name, id), false) => query
            .filter(users::full_name_canon.ge(name.clone()))
            .filter(users::full_name_canon.gt(name).or(users::id.gt(id))),
        (Cursor::Name(name, id), true) => query
            .filter(users::full_name_canon.le(name.clone()))
            .filter(users::full_name_canon.lt(name).or(users::id.lt(id))),
    }
}

fn filtered(filter: &Filter) -> Query<'static> {
    let mut query = users::table.into_boxed();
    if let Some(role) = filter.role {
        query = query.filter(users::role.eq(role));
    }
    query = match &filter.status {
        Some(AccountStatus::Blocked(_)) => query.filter(users::blocked_at.is_not_null()),
        Some(AccountStatus::Active) => query
            .filter(users::blocked_at.is_null())
            .filter(users::verified_at.is_not_null())
            .filter(users::leaves_at.is_null()),
        Some(AccountStatus::Leaving) => query
            .filter(users::blocked_at.is_null())
            .filter(users::verified_at.is_not_null())
            .filter(users::leaves_at.is_not_null()),
        Some(AccountStatus::Unverified) => {
            query.filter(users::blocked_at.is_null()).filter(users::verified_at.is_null())
        }
        None => query,
    };
    query = match filter.two_factor {
        Some(TwoFactor::On) => query.filter(users::two_factor_since.is_not_null()),
        Some(TwoFactor::Off) => query.filter(users::two_factor_since.is_null()),
        Some(TwoFactor::Due) => {
            let is_required = users::role.eq_any(filter.required_of.clone());
            query.filter(users::two_factor_since.is_null()).filter(is_required)
        }
        None => query,
    };
    if filter.has_email {
        query = query.filter(users::email_canon.is_not_null());
    }
    if let Some(from) = filter.joined_from {
        query = query.filter(users::created_at.ge(from));
    }
    if let Some(before) = filter.joined_before {
        query = query.filter(users::created_at.lt(before));
    }
    query
}

/// The accounts that a search finds by that key and by none of the keys before it; `None` where there can be none.
fn searched(filter: &Filter, key: Key) -> Option<Query<'static>> {
    let from = filter.search.clone();
    let query = filtered(filter);
    // Usernames and addresses are ASCII, and some databases cannot compare them with anything else.
    let is_ascii = from.is_ascii();
    // Nothing of a username or an address sorts behind this, and nothing at all behind the other.
    let ascii_end = format!("{from}\u{7f}");
    let end = format!("{from}\u{10ffff}");
    let by_username = users::username_canon.ge(from.clone()).and(users::username_canon.lt(ascii_end.clone()));
    let by_email = users::email_canon.ge(from.clone()).and(users::email_canon.lt(ascii_end.clone()));
    let by_name = users::full_name_canon.ge(from.clone()).and(users::full_name_canon.lt(end));
    let not_by_username =
        users::username_canon.lt(from.clone()).or(users::username_canon.ge(ascii_end.clone()));
    let no_email = users::email_canon.is_null();
    let not_by_email = no_email.or(users::email_canon.lt(from.clone()).or(users::email_canon.ge(ascii_end)));
    match key {
        Key::Username => is_ascii.then(|| query.filter(by_username)),
        Key::Email => is_ascii.then(|| query.filter(by_email).filter(not_by_username)),
        Key::Name if is_ascii => Some(query.filter(by_name).filter(not_by_username).filter(not_by_email)),
        Key::Name => Some(query.filter(by_name)),
        Key::Anywhere => {
            let pattern = format!("%{}%", escaped(&from));
            let by_name = users::full_name_canon.like(pattern.clone()).escape('!');
            Some(if is_ascii {
                let by_username = users::username_canon.like(pattern.clone()).escape('!');
                let by_email = users::email_canon.like(pattern).escape('!').assume_not_null();
                query.filter(by_username.or(users::email_canon.is_not_null().and(by_email)).or(by_name))
            } else {
                query.filter(by_name)
            })
        }
        Key::Joined => Some(query),
    }
}

/// The text, with what LIKE takes for a wildcard made a plain character.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| matches!(c, '%' | '_' | '!').then_some('!').into_iter().chain([c])).collect()
}

/// Finds these accounts, as far as there still are.
pub fn people(conn: &mut Connection, ids: &[Id]) -> QueryResult<HashMap<Id, Listed>> {
    let people: Vec<Listed> =
        users::table.filter(users::id.eq_any(ids)).select(Listed::as_select()).load(conn)?;
    Ok(people.into_iter().map(|user| (user.id.clone(), user)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_no_pattern() {
        assert_eq!(escaped("100%_!"), "100!%!_!!");
    }
}
