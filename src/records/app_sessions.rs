//! Who is signed in to which application. A row begins as a ticket, which a signed-in browser takes to the application's host, and is
//! the session there once the ticket is used. It never outlives the session that it was made from: whoever reads one looks at that, too.

use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::{count, max};
use diesel::prelude::*;

use super::sessions::{Life, Session};
use super::users::{Person, User};
use super::{Cursor, older_than};
use crate::db::Connection;
use crate::db::connection::on_backend;
use crate::db::schema::{app_sessions, sessions, users as users_table};
use crate::identity::{Id, LinkToken, Moment, TokenDigest};

/// How long a ticket works.
const TICKET_LIFETIME: Duration = Duration::from_secs(60);
/// The most that the page of an account reads: 20 devices at ten applications.
const MAX_USED: i64 = 200;
/// The most tickets of one session that wait to be used: other sites can have a browser ask for them.
const MAX_TICKETS_PER_SESSION: i64 = 20;
/// How often it is stored, at most, that somebody uses an application.
const MINUTE: Duration = Duration::from_secs(60);

/// Somebody's session at an application, or the ticket that it begins as: what decides about it.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = app_sessions, treat_none_as_default_value = false)]
pub struct AppSession {
    pub id: Id,
    /// The application's, with its port where that is not the usual one.
    pub host: String,
    /// When it was last used, give or take a minute.
    pub last_used_at: Moment,
    ended_at: Option<Moment>,
}

/// The same with all that is kept of it: a whole row, as it is inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = app_sessions, treat_none_as_default_value = false)]
pub struct AppSessionRow {
    #[diesel(embed)]
    #[serde(flatten)]
    pub at: AppSession,
    /// The session that it ends with.
    pub session_id: Id,
    pub user_id: Id,
    pub created_at: Moment,
    /// When the ticket was used.
    entered_at: Option<Moment>,
    #[serde(skip)]
    state_digest: TokenDigest,
    #[serde(skip)]
    ticket_digest: TokenDigest,
    ticket_expires_at: Moment,
    #[serde(skip)]
    token_digest: Option<TokenDigest>,
}

/// Whether a ticket works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketState {
    Open,
    /// Somebody was first.
    Used,
    /// Its session has ended, or the account may not be used.
    Over,
    Expired,
    /// It is for another application.
    Elsewhere,
    /// Another browser asked for it, or this one did not keep our cookie.
    OtherBrowser,
}

impl AppSessionRow {
    /// Says whether the ticket works at a host, for a browser with that cookie.
    pub fn ticket_state(&self, host: &str, cookie: &LinkToken, now: Moment) -> TicketState {
        if self.at.host != host {
            TicketState::Elsewhere
        } else if cookie.state_digest() != self.state_digest {
            TicketState::OtherBrowser
        } else if self.entered_at.is_some() {
            TicketState::Used
        } else if self.at.ended_at.is_some() {
            TicketState::Over
        } else if self.ticket_expires_at <= now || self.created_at.is_ahead_of(now) {
            // What a clock that was ahead made would work for as long.
            TicketState::Expired
        } else {
            TicketState::Open
        }
    }
}

impl AppSession {
    /// Whether it has not been ended by itself. The session that it belongs to may have.
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Whether it is time to store that it is used.
    pub fn is_due(&self, now: Moment) -> bool {
        now.since(self.last_used_at) >= MINUTE || self.last_used_at.is_ahead_of(now)
    }
}

/// Issues a ticket to an application, for the browser whose cookie there has that digest. Only its hash is kept.
pub fn issue(
    conn: &mut Connection,
    session: &Session,
    host: &str,
    state: &TokenDigest,
    now: Moment,
) -> QueryResult<LinkToken> {
    forget_surplus(conn, session, now)?;
    let ticket = LinkToken::random();
    let at = AppSession { id: Id::new(), host: host.to_owned(), last_used_at: now, ended_at: None };
    let row = AppSessionRow {
        at,
        session_id: session.life.id.clone(),
        user_id: session.user_id.clone(),
        created_at: now,
        entered_at: None,
        state_digest: state.clone(),
        ticket_digest: ticket.digest(),
        ticket_expires_at: now.plus(TICKET_LIFETIME),
        token_digest: None,
    };
    diesel::insert_into(app_sessions::table).values(&row).execute(conn)?;
    Ok(ticket)
}

/// Forgets the tickets of a session that were never used: all that have expired, and beyond twenty the oldest.
fn forget_surplus(conn: &mut Connection, session: &Session, now: Moment) -> QueryResult<()> {
    let unused = || {
        app_sessions::table
            .filter(app_sessions::session_id.eq(&session.life.id))
            .filter(app_sessions::entered_at.is_null())
    };
    diesel::delete(unused().filter(app_sessions::ticket_expires_at.lt(now))).execute(conn)?;
    let surplus: Vec<Id> = unused()
        .order((app_sessions::created_at.desc(), app_sessions::id.desc()))
        .offset(MAX_TICKETS_PER_SESSION - 1)
        .limit(MAX_TICKETS_PER_SESSION)
        .select(app_sessions::id)
        .load(conn)?;
    if !surplus.is_empty() {
        diesel::delete(app_sessions::table.filter(app_sessions::id.eq_any(surplus))).execute(conn)?;
    }
    Ok(())
}

/// Finds a ticket, with the session and the account that it was issued for.
pub fn by_ticket(
    conn: &mut Connection,
    ticket: &LinkToken,
) -> QueryResult<Option<(AppSessionRow, Session, User)>> {
    app_sessions::table
        .inner_join(sessions::table)
        .inner_join(users_table::table)
        .filter(app_sessions::ticket_digest.eq(ticket.digest()))
        .select((AppSessionRow::as_select(), Session::as_select(), User::as_select()))
        .get_result(conn)
        .optional()
}

/// Finds who has that cookie at an application, live or not. Asked for every request there.
pub fn by_token(conn: &mut Connection, token: &LinkToken) -> QueryResult<Option<(AppSession, Life, Person)>> {
    let digest = token.digest();
    on_backend!(conn, conn => app_sessions::table
        .inner_join(sessions::table)
        .inner_join(users_table::table)
        .filter(app_sessions::token_digest.eq(&digest))
        .select((AppSession::as_select(), Life::as_select(), Person::as_select()))
        .get_result(conn)
        .optional())
}

/// Uses a ticket: from now on the application knows its browser by `token`, of which only the hash is kept. Returns whether nobody was
/// first.
pub fn enter(conn: &mut Connection, ticket: &Id, token: &LinkToken, now: Moment) -> QueryResult<bool> {
    let unused = app_sessions::table
        .find(ticket)
        .filter(app_sessions::entered_at.is_null())
        .filter(app_sessions::ended_at.is_null());
    let rows = diesel::update(unused)
        .set((
            app_sessions::entered_at.eq(now),
            app_sessions::last_used_at.eq(now),
            app_sessions::token_digest.eq(token.digest()),
        ))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Stores that it is used; returns whether nobody has within the minute.
pub fn touch(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let others = app_sessions::last_used_at.lt(now.minus(MINUTE)).or(app_sessions::last_used_at.gt(now));
    let rows = diesel::update(app_sessions::table.find(id).filter(others))
        .set(app_sessions::last_used_at.eq(now))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Forgets the one that a browser leaves for another.
pub fn leave(conn: &mut Connection, token: &LinkToken) -> QueryResult<()> {
    diesel::delete(app_sessions::table.filter(app_sessions::token_digest.eq(token.digest())))
        .execute(conn)
        .map(drop)
}

/// Ends all of an account, tickets included.
pub fn end_all(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<()> {
    let all =
        app_sessions::table.filter(app_sessions::user_id.eq(user)).filter(app_sessions::ended_at.is_null());
    diesel::update(all).set(app_sessions::ended_at.eq(now)).execute(conn).map(drop)
}

/// Ends those of an account at one application, tickets included; returns how many.
pub fn end_at(conn: &mut Connection, user: &Id, host: &str, now: Moment) -> QueryResult<usize> {
    let there = app_sessions::table
        .filter(app_sessions::user_id.eq(user))
        .filter(app_sessions::host.eq(host))
        .filter(app_sessions::ended_at.is_null());
    diesel::update(there).set(app_sessions::ended_at.eq(now)).execute(conn)
}

/// Lists all of an account, live or not, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<AppSessionRow>> {
    app_sessions::table
        .filter(app_sessions::user_id.eq(user))
        .order((app_sessions::created_at, app_sessions::id))
        .select(AppSessionRow::as_select())
        .load(conn)
}

/// Lists those of an account that were ever used, each with the session that it belongs to, the last used first; 200 at most.
pub fn used_by(conn: &mut Connection, user: &Id) -> QueryResult<Vec<(AppSession, Session)>> {
    app_sessions::table
        .inner_join(sessions::table)
        .filter(app_sessions::user_id.eq(user))
        .filter(app_sessions::entered_at.is_not_null())
        .order((app_sessions::last_used_at.desc(), app_sessions::id.desc()))
        .limit(MAX_USED)
        .select((AppSession::as_select(), Session::as_select()))
        .load(conn)
}

/// How much an application is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// How many people are signed in there.
    pub people: i64,
    /// When somebody last used it.
    pub last_used_at: Option<Moment>,
}

/// Says how much each application is used, by its host.
pub fn usage(conn: &mut Connection, now: Moment) -> QueryResult<HashMap<String, Usage>> {
    let used = || app_sessions::table.filter(app_sessions::entered_at.is_not_null());
    let last: Vec<(String, Option<Moment>)> = used()
        .group_by(app_sessions::host)
        .select((app_sessions::host, max(app_sessions::last_used_at)))
        .load(conn)?;
    let people: Vec<(String, i64)> = used()
        .inner_join(sessions::table)
        .filter(app_sessions::ended_at.is_null())
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_ends_at.gt(now))
        .filter(sessions::absolute_ends_at.gt(now))
        .group_by(app_sessions::host)
        .select((app_sessions::host, count(app_sessions::user_id).aggregate_distinct()))
        .load(conn)?;
    let mut all: HashMap<String, Usage> =
        last.into_iter().map(|(host, last_used_at)| (host, Usage { people: 0, last_used_at })).collect();
    for (host, people) in people {
        all.entry(host).or_default().people = people;
    }
    Ok(all)
}

/// Lists those of an application that were ever used, the newest after a cursor.
pub fn list(
    conn: &mut Connection,
    host: &str,
    after: Option<&Cursor>,
    limit: i64,
) -> QueryResult<Vec<(AppSessionRow, Session, User)>> {
    let query = app_sessions::table
        .inner_join(sessions::table)
        .inner_join(users_table::table)
        .filter(app_sessions::host.eq(host))
        .filter(app_sessions::entered_at.is_not_null())
        .select((AppSessionRow::as_select(), Session::as_select(), User::as_select()));
    older_than!(query.into_boxed(), after, app_sessions::created_at, app_sessions::id)
        .order((app_sessions::created_at.desc(), app_sessions::id.desc()))
        .limit(limit)
        .load(conn)
}

/// Forgets those that were last used before then.
pub(super) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(app_sessions::table.filter(app_sessions::last_used_at.lt(before))).execute(conn)
}
