//! One-time codes: made, counted and used up.
//!
//! A row is a flow: one address, one purpose, one page where its code is entered. A new code replaces the old
//! one in the same row. Every try is counted by one conditional UPDATE *before* the code is looked at, so that
//! of any number of parallel guesses five are evaluated, and one right code signs in once.

use std::time::Duration;

use diesel::prelude::*;

use super::users::{self, User};
use super::{Point, older_than};
use crate::db::Connection;
use crate::db::schema::{users as users_table, verifications};
use crate::identity::{Id, Moment, Otp, OtpDigest, Purpose};

/// How many codes may be tried before a new one must be asked for.
pub const TRIES: i32 = 5;

/// A flow.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = verifications)]
pub struct Verification {
    /// The `{uid}` of its page.
    pub id: Id,
    /// Whose it is.
    pub user_id: Id,
    /// What its code is good for.
    pub purpose: Purpose,
    /// Where its code goes, as typed.
    pub address: String,
    /// None when no code ever fits, because the address has an account already.
    pub code_digest: Option<OtpDigest>,
    /// Until when the newest code is good.
    pub code_expires_at: Moment,
    /// How often the newest code was tried.
    pub tries: i32,
    /// Where to go afterwards; empty for the usual place.
    pub next_path: String,
    /// When it was asked for.
    pub created_at: Moment,
    /// When it was used or cancelled.
    pub ended_at: Option<Moment>,
}

/// How the newest code of a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeState {
    /// It can be entered.
    Open,
    /// All tries are used up.
    Spent,
    /// Its time is over.
    Expired,
    /// The flow was used or cancelled.
    Ended,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It was the code. It is used up now; the caller does what it was for in the same transaction.
    Right,
    /// It was not; so many tries are left.
    Wrong {
        /// Tries left for this code.
        left: i32,
    },
    /// It was not evaluated.
    Refused(CodeState),
}

impl Verification {
    /// How its code stands.
    pub fn state(&self, now: Moment) -> CodeState {
        if self.ended_at.is_some() {
            CodeState::Ended
        } else if self.tries >= TRIES {
            CodeState::Spent
        } else if self.code_expires_at <= now {
            CodeState::Expired
        } else {
            CodeState::Open
        }
    }

    /// A new code for it, and what to store; no code for a flow that none ever fits.
    pub fn new_code(&self, key: &[u8; 32]) -> Option<(Otp, OtpDigest)> {
        self.code_digest.as_ref()?;
        let code = Otp::random();
        let digest = code.digest(key, &self.id, self.purpose, &self.address);
        Some((code, digest))
    }
}

/// A flow to be begun.
pub struct NewVerification<'a> {
    /// Its identifier.
    pub id: &'a Id,
    /// Whose it is.
    pub user_id: &'a Id,
    /// What its code is good for.
    pub purpose: Purpose,
    /// Where its code goes.
    pub address: &'a str,
    /// The address for which it is *the* current sign-up.
    pub claim: Option<&'a str>,
    /// None when no code shall ever fit.
    pub code_digest: Option<&'a OtpDigest>,
    /// How long the code is good.
    pub lifetime: Duration,
    /// Where to go afterwards.
    pub next_path: &'a str,
}

/// Begins a flow.
pub fn insert(conn: &mut Connection, new: &NewVerification<'_>, now: Moment) -> QueryResult<()> {
    diesel::insert_into(verifications::table)
        .values((
            verifications::id.eq(new.id),
            verifications::user_id.eq(new.user_id),
            verifications::purpose.eq(new.purpose),
            verifications::address.eq(new.address),
            verifications::claim.eq(new.claim),
            verifications::code_digest.eq(new.code_digest),
            verifications::code_expires_at.eq(now.plus(new.lifetime)),
            verifications::tries.eq(0),
            verifications::next_path.eq(new.next_path),
            verifications::created_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
}

/// A flow and whose it is.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<(Verification, User)>> {
    with_user().filter(verifications::id.eq(id)).get_result(conn).optional()
}

/// The current sign-up for an address, in any spelling of case.
pub fn claiming(conn: &mut Connection, canonical: &str) -> QueryResult<Option<(Verification, User)>> {
    with_user().filter(verifications::claim.eq(canonical)).get_result(conn).optional()
}

/// The live flow of a person for a purpose, the newest if there are several.
pub fn pending(conn: &mut Connection, user: &Id, purpose: Purpose) -> QueryResult<Option<Verification>> {
    verifications::table
        .filter(verifications::user_id.eq(user))
        .filter(verifications::purpose.eq(purpose))
        .filter(verifications::ended_at.is_null())
        .order(verifications::id.desc())
        .select(Verification::as_select())
        .get_result(conn)
        .optional()
}

/// Tries a code, which may have been hashed with any of the keys. What was counted must be committed even when the code is wrong: the caller's transaction
/// returns the attempt as a value and refuses afterwards.
pub fn attempt(
    conn: &mut Connection,
    flow: &Verification,
    code: &Otp,
    keys: &[[u8; 32]],
    now: Moment,
) -> QueryResult<Attempt> {
    let row = verifications::table.find(&flow.id);
    let open = row
        .filter(verifications::tries.lt(TRIES))
        .filter(verifications::ended_at.is_null())
        .filter(verifications::code_expires_at.gt(now));
    let counted =
        diesel::update(open).set(verifications::tries.eq(verifications::tries + 1)).execute(conn)?;
    // Read anew: since the caller looked, the code may have been replaced.
    let Some(flow) = row.select(Verification::as_select()).get_result(conn).optional()? else {
        return Ok(Attempt::Refused(CodeState::Ended));
    };
    if counted == 0 {
        return Ok(Attempt::Refused(flow.state(now)));
    }
    let digest = flow.code_digest.as_ref();
    let fits =
        |key| digest.is_some_and(|digest| code.matches(digest, key, &flow.id, flow.purpose, &flow.address));
    if !keys.iter().any(fits) {
        return Ok(Attempt::Wrong { left: TRIES - flow.tries });
    }
    Ok(if end(conn, &flow.id, now)? { Attempt::Right } else { Attempt::Refused(CodeState::Ended) })
}

/// Another code for a flow: the old one is worth nothing from now on. Tells whether the flow still lives.
pub fn replace_code(
    conn: &mut Connection,
    flow: &Verification,
    digest: Option<&OtpDigest>,
    lifetime: Duration,
    now: Moment,
) -> QueryResult<bool> {
    let live = verifications::table.find(&flow.id).filter(verifications::ended_at.is_null());
    let rows = diesel::update(live)
        .set((
            verifications::code_digest.eq(digest),
            verifications::code_expires_at.eq(now.plus(lifetime)),
            verifications::tries.eq(0),
        ))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Another place to go to afterwards.
pub fn set_next(conn: &mut Connection, id: &Id, next: &str) -> QueryResult<()> {
    diesel::update(verifications::table.find(id))
        .set(verifications::next_path.eq(next))
        .execute(conn)
        .map(drop)
}

/// Ends one flow; tells whether it was this call that ended it.
pub fn end(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let live = verifications::table.find(id).filter(verifications::ended_at.is_null());
    let rows = diesel::update(live)
        .set((verifications::ended_at.eq(now), verifications::claim.eq(None::<String>)))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Ends every live flow of a person for a purpose.
pub fn end_all(conn: &mut Connection, user: &Id, purpose: Purpose, now: Moment) -> QueryResult<()> {
    let live = verifications::table
        .filter(verifications::user_id.eq(user))
        .filter(verifications::purpose.eq(purpose))
        .filter(verifications::ended_at.is_null());
    diesel::update(live)
        .set((verifications::ended_at.eq(now), verifications::claim.eq(None::<String>)))
        .execute(conn)
        .map(drop)
}

/// Whether somebody holds their username: the newest code of an unverified person's sign-up must still live for that.
pub fn holds_username(conn: &mut Connection, user: &User, now: Moment) -> QueryResult<bool> {
    let flow = pending(conn, &user.id, Purpose::SignUp)?;
    Ok(user.verified_at.is_some()
        || user.blocked_at.is_some()
        || flow.is_some_and(|flow| flow.code_expires_at > now))
}

/// The newest flows after a place, of everybody or of one person, with whose they are.
pub fn list(
    conn: &mut Connection,
    user: Option<&Id>,
    after: Option<&Point>,
    limit: i64,
) -> QueryResult<Vec<(Verification, User)>> {
    let mut query = with_user().into_boxed();
    if let Some(user) = user {
        query = query.filter(verifications::user_id.eq(user.clone()));
    }
    older_than!(query, after, verifications::created_at, verifications::id)
        .order((verifications::created_at.desc(), verifications::id.desc()))
        .limit(limit)
        .load(conn)
}

/// Makes the newest code of a flow worthless; another one can be asked for. Tells whose it was, if it worked.
pub fn cancel_code(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<Option<Id>> {
    let open = verifications::table
        .find(id)
        .filter(verifications::ended_at.is_null())
        .filter(verifications::code_expires_at.gt(now));
    match diesel::update(open).set(verifications::code_expires_at.eq(now)).execute(conn)? {
        1 => verifications::table.find(id).select(verifications::user_id).get_result(conn).optional(),
        _ => Ok(None),
    }
}

/// Whether a username is free for somebody, `own` being who they are already. A sign-up that no longer holds it makes way.
pub fn make_way(conn: &mut Connection, canonical: &str, own: Option<&Id>, now: Moment) -> QueryResult<bool> {
    let Some(holder) = users::by_username(conn, canonical)?.filter(|holder| own != Some(&holder.id)) else {
        return Ok(true);
    };
    Ok(!holds_username(conn, &holder, now)? && users::remove_unverified(conn, &holder.id)?)
}

/// Forgets flows that ended, or that nobody came back to.
pub fn sweep(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    let long_ago = now.minus(users::UNVERIFIED_LIFETIME);
    diesel::delete(verifications::table.filter(verifications::created_at.lt(long_ago))).execute(conn)
}

#[diesel::dsl::auto_type]
fn with_user() -> _ {
    let columns: (
        diesel::dsl::AsSelect<Verification, crate::db::Backend>,
        diesel::dsl::AsSelect<User, crate::db::Backend>,
    ) = (Verification::as_select(), User::as_select());
    verifications::table.inner_join(users_table::table).select(columns)
}
