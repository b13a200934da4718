//! The outbox as the admin pages show it.

use diesel::prelude::*;

use super::State;
use crate::db::Connection;
use crate::db::schema::outbox;
use crate::identity::{Id, Moment};
use crate::records::{Cursor, older_than};

/// A mail as a list shows it: all but its secret.
#[derive(Clone, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = outbox)]
pub struct ListedMail {
    pub id: Id,
    pub kind: String,
    /// The account that it is about.
    pub user_id: Option<Id>,
    pub recipient: String,
    /// What it says, as JSON.
    pub fields: String,
    pub state: State,
    /// How often it was tried.
    pub tries: i32,
    pub created_at: Moment,
    /// When it is tried next.
    pub due_at: Moment,
    /// When it is not worth sending any more.
    pub expires_at: Option<Moment>,
    /// When it was sent or given up.
    pub ended_at: Option<Moment>,
    /// What the server said last.
    pub trouble: Option<String>,
}

impl ListedMail {
    /// Whether it can be tried again: it waits, or it was given up and its secret did not end with it.
    pub fn can_retry(&self, now: Moment) -> bool {
        match self.state {
            State::Waiting => true,
            State::Failed => self.expires_at.is_none_or(|expires| expires > now),
            State::Cancelled => self.expires_at.is_none(),
            State::Sent | State::Expired | State::Withheld => false,
        }
    }
}

/// Which mails.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About this account.
    pub user: Option<Id>,
    /// In that state; none: all that are for sending.
    pub state: Option<State>,
    /// But not of this kind.
    pub except: Option<&'static str>,
}

/// Lists the newest mails after a cursor.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: i64,
) -> QueryResult<Vec<ListedMail>> {
    let mut query = outbox::table.into_boxed();
    if let Some(user) = &filter.user {
        query = query.filter(outbox::user_id.eq(user.clone()));
    }
    if let Some(kind) = filter.except {
        query = query.filter(outbox::kind.ne(kind));
    }
    query = match filter.state {
        Some(state) => query.filter(outbox::state.eq(state)),
        None => query.filter(outbox::state.ne(State::Withheld)),
    };
    older_than!(query, after, outbox::created_at, outbox::id)
        .order((outbox::created_at.desc(), outbox::id.desc()))
        .limit(limit)
        .select(ListedMail::as_select())
        .load(conn)
}

/// Finds a mail.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<ListedMail>> {
    outbox::table.find(id).select(ListedMail::as_select()).get_result(conn).optional()
}

/// Counts the mails in a state.
pub fn count(conn: &mut Connection, state: State) -> QueryResult<i64> {
    outbox::table.filter(outbox::state.eq(state)).count().get_result(conn)
}
