//! Codes on paper, of which keyed digests are kept. Each works once.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::recovery_codes;
use crate::identity::{Id, Moment, TokenDigest};

/// A recovery code: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = recovery_codes, treat_none_as_default_value = false)]
pub struct RecoveryCodeRow {
    id: Id,
    user_id: Id,
    #[serde(skip)]
    code_digest: TokenDigest,
    created_at: Moment,
    used_at: Option<Moment>,
}

/// Replaces the codes of an account.
pub fn replace(conn: &mut Connection, user: &Id, digests: &[TokenDigest], now: Moment) -> QueryResult<()> {
    remove_all(conn, user)?;
    for digest in digests {
        let row = RecoveryCodeRow {
            id: Id::new(),
            user_id: user.clone(),
            code_digest: digest.clone(),
            created_at: now,
            used_at: None,
        };
        diesel::insert_into(recovery_codes::table).values(&row).execute(conn)?;
    }
    Ok(())
}

/// Uses a code up, which may have been hashed with any of the keys; returns whether it was this call that did.
pub fn consume(conn: &mut Connection, user: &Id, digests: &[TokenDigest], now: Moment) -> QueryResult<bool> {
    let unused = recovery_codes::table
        .filter(recovery_codes::user_id.eq(user))
        .filter(recovery_codes::code_digest.eq_any(digests))
        .filter(recovery_codes::used_at.is_null());
    Ok(diesel::update(unused).set(recovery_codes::used_at.eq(now)).execute(conn)? == 1)
}

/// Counts those of an account that work.
pub fn count_left(conn: &mut Connection, user: &Id) -> QueryResult<i64> {
    recovery_codes::table
        .filter(recovery_codes::user_id.eq(user))
        .filter(recovery_codes::used_at.is_null())
        .count()
        .get_result(conn)
}

/// Lists those of an account, used or not.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<RecoveryCodeRow>> {
    recovery_codes::table
        .filter(recovery_codes::user_id.eq(user))
        .order(recovery_codes::id)
        .select(RecoveryCodeRow::as_select())
        .load(conn)
}

/// Removes those of an account that were made then or later.
pub fn remove_since(conn: &mut Connection, user: &Id, since: Moment) -> QueryResult<()> {
    let newer = recovery_codes::table
        .filter(recovery_codes::user_id.eq(user))
        .filter(recovery_codes::created_at.ge(since));
    diesel::delete(newer).execute(conn).map(drop)
}

/// Removes those of an account.
pub fn remove_all(conn: &mut Connection, user: &Id) -> QueryResult<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user))).execute(conn).map(drop)
}

impl RecoveryCodeRow {
    /// Names the row.
    pub fn id(&self) -> &Id {
        &self.id
    }
}
