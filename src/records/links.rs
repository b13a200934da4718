//! Links that carry a secret instead of asking for a code. Each works once; GET only looks.

use std::time::Duration;

use diesel::prelude::*;

use super::users::User;
use super::{Point, older_than};
use crate::db::Connection;
use crate::db::schema::{links, users as users_table};
use crate::identity::{Id, LinkToken, Moment, Purpose, TokenDigest};

/// A link that was mailed.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = links)]
pub struct Link {
    /// The `{uid}` in it.
    pub id: Id,
    /// Whose it is.
    pub user_id: Id,
    /// What it is good for.
    pub purpose: Purpose,
    token_digest: TokenDigest,
    /// The address that it was mailed to.
    pub address: String,
    /// When it was asked for.
    pub created_at: Moment,
    /// Until when it is good.
    pub expires_at: Moment,
    used_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It works.
    Open,
    /// It did its work already.
    Used,
    /// A newer one, or a change of the account, took its place.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Link {
    /// How it stands.
    pub fn state(&self, now: Moment) -> LinkState {
        match (self.used_at, self.revoked_at) {
            (Some(_), _) => LinkState::Used,
            (None, Some(_)) => LinkState::Revoked,
            (None, None) if self.expires_at <= now => LinkState::Expired,
            (None, None) => LinkState::Open,
        }
    }
}

/// Makes a link; gives back what goes into the mail: its identifier and its secret, of which only the hash is
/// kept.
pub fn issue(
    conn: &mut Connection,
    user: &Id,
    purpose: Purpose,
    address: &str,
    lifetime: Duration,
    now: Moment,
) -> QueryResult<(Id, LinkToken)> {
    let (id, token) = (Id::new(), LinkToken::random());
    diesel::insert_into(links::table)
        .values((
            links::id.eq(&id),
            links::user_id.eq(user),
            links::purpose.eq(purpose),
            links::token_digest.eq(token.digest()),
            links::address.eq(address),
            links::created_at.eq(now),
            links::expires_at.eq(now.plus(lifetime)),
        ))
        .execute(conn)?;
    Ok((id, token))
}

/// The link of that identifier, if the secret is right. Found by identifier and compared as a hash, so that
/// the time tells nothing about the secret.
pub fn find(
    conn: &mut Connection,
    id: &Id,
    token: &LinkToken,
    purpose: Purpose,
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

/// Uses the link up; tells whether it was this call that did.
pub fn consume(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let open = links::table
        .find(id)
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null())
        .filter(links::expires_at.gt(now));
    Ok(diesel::update(open).set(links::used_at.eq(now)).execute(conn)? == 1)
}

/// The live links of a person for a purpose stop working.
pub fn revoke(conn: &mut Connection, user: &Id, purpose: Purpose, now: Moment) -> QueryResult<()> {
    let live = links::table
        .filter(links::user_id.eq(user))
        .filter(links::purpose.eq(purpose))
        .filter(links::used_at.is_null())
        .filter(links::revoked_at.is_null());
    diesel::update(live).set(links::revoked_at.eq(now)).execute(conn).map(drop)
}

/// The links of the same person and purpose that were made after `link` stop working. Older ones do not: who
/// took an account over and changed its address twice must not be able to undo the owner's way back.
pub fn revoke_newer(conn: &mut Connection, link: &Link, now: Moment) -> QueryResult<()> {
    let newer = links::table
        .filter(links::user_id.eq(&link.user_id))
        .filter(links::purpose.eq(link.purpose))
        .filter(links::id.gt(&link.id))
        .filter(links::used_at.is_null());
    diesel::update(newer).set(links::revoked_at.eq(now)).execute(conn).map(drop)
}

/// The newest links for a purpose after a place, of everybody or of one person, with whose they are.
pub fn list(
    conn: &mut Connection,
    purpose: Purpose,
    user: Option<&Id>,
    after: Option<&Point>,
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

/// The link for a purpose stops working; tells whose it was, if it worked.
pub fn cancel(conn: &mut Connection, id: &Id, purpose: Purpose, now: Moment) -> QueryResult<Option<Id>> {
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

/// Forgets links three days after their time.
pub fn sweep(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    let long_ago = now.minus(Duration::from_secs(72 * 3600));
    diesel::delete(links::table.filter(links::expires_at.lt(long_ago))).execute(conn)
}
