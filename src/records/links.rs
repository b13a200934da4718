//! Links that carry a secret instead of asking for a code. Each works once; GET only looks.

use std::time::Duration;

use diesel::prelude::*;

use super::users::User;
use super::{Cursor, older_than};
use crate::db::Connection;
use crate::db::schema::{links, users as users_table};
use crate::identity::{Email, Id, LinkPurpose, LinkToken, Moment, TokenDigest};

/// A link that was mailed: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = links, treat_none_as_default_value = false)]
pub struct Link {
    /// The `{uid}` in it.
    pub id: Id,
    pub user_id: Id,
    pub purpose: LinkPurpose,
    #[serde(skip)]
    token_digest: TokenDigest,
    /// Where it was mailed.
    pub email: Email,
    pub created_at: Moment,
    /// Until when it works.
    pub expires_at: Moment,
    used_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

/// Whether a link works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Open,
    Used,
    /// A newer one, or a change of the account, took its place.
    Revoked,
    Expired,
}

impl Link {
    /// Says whether it works.
    pub fn state(&self, now: Moment) -> LinkState {
        match (self.used_at, self.revoked_at) {
            (Some(_), _) => LinkState::Used,
            (None, Some(_)) => LinkState::Revoked,
            // What a clock that was ahead made would work for as long.
            (None, None) if self.expires_at <= now || self.created_at.is_ahead_of(now) => LinkState::Expired,
            (None, None) => LinkState::Open,
        }
    }
}

/// Makes a link; returns what goes into the mail: its identifier and its secret, of which only the hash is kept.
pub fn issue(
    conn: &mut Connection,
    user: &Id,
    purpose: LinkPurpose,
    email: &Email,
    lifetime: Duration,
    now: Moment,
) -> QueryResult<(Id, LinkToken)> {
    let token = LinkToken::random();
    let link = Link {
        id: Id::new(),
        user_id: user.clone(),
        purpose,
        token_digest: token.digest(),
        email: email.clone(),
        created_at: now,
        expires_at: now.plus(lifetime),
        used_at: None,
        revoked_at: None,
    };
    diesel::insert_into(links::table).values(&link).execute(conn)?;
    Ok((link.id, token))
}

/// Finds a link by its identifier, if the secret is right. Compared as a hash, so that the time says nothing about the
/// secret.
pub fn find(
    conn: &mut Connection,
    id: &Id,
    token: &LinkToken,
    purpose: LinkPurpose,
) -> QueryResult<Option<(Link, User)>> {
    let found: Option<(Link, User)> = links::table
        .inner_join(users_table::table)
        .filter(links::id.eq(id))
        .filter(links::purpose.eq(purpose))
        .select((Link::as_select(), User::as_select()))
        .get_result(conn)
        .optional()?;
    Ok(found.filter(|(link, _)| link.token_digest == token.digest()))
}

/// Lists the links of an account for a purpose that work, the oldest first.
pub fn open(conn: &mut Connection, user: &Id, purpose: LinkPurpose, now: Moment) -> QueryResult<Vec<Link>> {
    links::table
        .filter(links::user_id.eq(user))
        .filter(links::purpose.eq(purpose))
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null())
        .filter(links::expires_at.gt(now))
        .order((links::created_at.asc(), links::id.asc()))
        .select(Link::as_select())
        .load(conn)
        .map(|links: Vec<Link>| links.into_iter().filter(|link| link.state(now) == LinkState::Open).collect())
}

/// Uses a link up; returns whether it was this call that did.
pub fn consume(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let open = links::table
        .find(id)
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null())
        .filter(links::expires_at.gt(now));
    Ok(diesel::update(open).set(links::used_at.eq(now)).execute(conn)? == 1)
}

/// Revokes the open links of an account for a purpose.
pub fn revoke(conn: &mut Connection, user: &Id, purpose: LinkPurpose, now: Moment) -> QueryResult<()> {
    let live = links::table
        .filter(links::user_id.eq(user))
        .filter(links::purpose.eq(purpose))
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null());
    diesel::update(live).set(links::revoked_at.eq(now)).execute(conn).map(drop)
}

/// Revokes the links of an account that were made then or later, but those that keep the second step: they only stop what somebody else
/// wants. Older ones stay: somebody who took an account over and changed its email twice must not be able to revoke the owner's way back.
pub fn revoke_since(conn: &mut Connection, user: &Id, since: Moment, now: Moment) -> QueryResult<()> {
    let newer = links::table
        .filter(links::user_id.eq(user))
        .filter(links::created_at.ge(since))
        .filter(links::purpose.ne(LinkPurpose::KeepTwoFactor))
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null());
    diesel::update(newer).set(links::revoked_at.eq(now)).execute(conn).map(drop)
}

/// Revokes the open links of an account for a purpose that were mailed to an address.
pub fn revoke_to(
    conn: &mut Connection,
    user: &Id,
    purpose: LinkPurpose,
    email: &Email,
    now: Moment,
) -> QueryResult<()> {
    let live = links::table
        .filter(links::user_id.eq(user))
        .filter(links::purpose.eq(purpose))
        .filter(links::email.eq(email))
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null());
    diesel::update(live).set(links::revoked_at.eq(now)).execute(conn).map(drop)
}

/// Lists the newest links for a purpose after a cursor, of everybody or of one account, with whose they are.
pub fn list(
    conn: &mut Connection,
    purpose: LinkPurpose,
    user: Option<&Id>,
    after: Option<&Cursor>,
    limit: i64,
) -> QueryResult<Vec<(Link, User)>> {
    let mut query =
        links::table.inner_join(users_table::table).filter(links::purpose.eq(purpose)).into_boxed();
    if let Some(user) = user {
        query = query.filter(links::user_id.eq(user.clone()));
    }
    older_than!(query, after, links::created_at, links::id)
        .order((links::created_at.desc(), links::id.desc()))
        .limit(limit)
        .select((Link::as_select(), User::as_select()))
        .load(conn)
}

/// Lists all links of an account, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<Link>> {
    links::table
        .filter(links::user_id.eq(user))
        .order((links::created_at, links::id))
        .select(Link::as_select())
        .load(conn)
}

/// Revokes one link for a purpose; returns whose it was, if it worked.
pub fn cancel(conn: &mut Connection, id: &Id, purpose: LinkPurpose, now: Moment) -> QueryResult<Option<Id>> {
    let open = links::table
        .find(id)
        .filter(links::purpose.eq(purpose))
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null())
        .filter(links::expires_at.gt(now));
    match diesel::update(open).set(links::revoked_at.eq(now)).execute(conn)? {
        1 => links::table.find(id).select(links::user_id).get_result(conn).optional(),
        _ => Ok(None),
    }
}

/// Forgets links that expired before then.
pub(super) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(links::table.filter(links::expires_at.lt(before))).execute(conn)
}
