//! One-time codes: kept, counted and used up.
//!
//! A row is a flow: one address, one purpose, one page where its code is entered. A new code replaces the old
//! one in the same row. Every try is counted by one conditional UPDATE *before* the code is looked at, so that
//! of any number of parallel guesses five are evaluated, and one right code signs in once.

use std::time::Duration;

use diesel::prelude::*;

use super::users::User;
use super::{Cursor, older_than};
use crate::db::Connection;
use crate::db::schema::{users as users_table, verifications};
use crate::identity::{CodePurpose, Email, Id, Moment, Otp, OtpDigest};

/// How many codes may be tried before a new one must be requested.
pub const MAX_TRIES: i32 = 5;

/// A flow: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = verifications, treat_none_as_default_value = false)]
pub struct Verification {
    /// The `{uid}` of its page.
    pub id: Id,
    /// None while nobody is known whose address it is.
    pub user_id: Option<Id>,
    /// What its code is for.
    pub purpose: CodePurpose,
    /// Where its code goes, as typed.
    pub email: Email,
    /// The email, in lower case, for which it is *the* current sign-up.
    pub claim: Option<String>,
    /// None when no code ever fits, because the address already has an account.
    #[serde(skip)]
    pub code_digest: Option<OtpDigest>,
    /// Until when the newest code works.
    pub code_expires_at: Moment,
    /// How often the newest code was tried.
    pub tries: i32,
    /// Where to go afterwards: a path, or a form that waits, sealed; empty for the usual place.
    #[serde(skip)]
    pub next_path: String,
    pub created_at: Moment,
    /// When it was used or cancelled.
    pub ended_at: Option<Moment>,
}

/// Whether the newest code of a flow can be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeState {
    Open,
    /// All tries are used up.
    Spent,
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
    NotTried(CodeState),
}

/// The longest that a code may be set to work.
pub const MAX_CODE_LIFETIME: Duration = Duration::from_secs(3600);

/// Whether a code of that end still works. One that would work for longer than any was dated by a clock that was ahead: it would
/// keep a username from everybody.
fn is_alive(expires_at: Moment, now: Moment) -> bool {
    expires_at > now && !expires_at.is_ahead_of(now.plus(MAX_CODE_LIFETIME))
}

impl Verification {
    /// Says whether its code can be entered.
    pub fn state(&self, now: Moment) -> CodeState {
        if self.ended_at.is_some() {
            CodeState::Ended
        } else if self.tries >= MAX_TRIES {
            CodeState::Spent
        } else if !is_alive(self.code_expires_at, now) {
            CodeState::Expired
        } else {
            CodeState::Open
        }
    }

    /// Whether the newest code has not expired, tried out or not.
    pub fn has_living_code(&self, now: Moment) -> bool {
        is_alive(self.code_expires_at, now)
    }

    /// Makes a new code for it, and what to store of it; none for a flow that no code ever fits.
    pub fn new_code(&self, key: &[u8; 32]) -> Option<(Otp, OtpDigest)> {
        self.code_digest.as_ref()?;
        Some(self.fresh_code(key))
    }

    /// Makes a code for it, and what to store of that.
    pub fn fresh_code(&self, key: &[u8; 32]) -> (Otp, OtpDigest) {
        let code = Otp::random();
        let digest = code.digest(key, &self.id, self.purpose, &self.email);
        (code, digest)
    }
}

/// Begins a flow.
pub fn insert(conn: &mut Connection, flow: &Verification) -> QueryResult<()> {
    diesel::insert_into(verifications::table).values(flow).execute(conn).map(drop)
}

/// Finds a flow, and whose it is.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<(Verification, User)>> {
    with_user().filter(verifications::id.eq(id)).get_result(conn).optional()
}

/// Takes the claim of a sign-up away: a newer one for the same address has it. Its code still works.
pub fn give_up_claim(conn: &mut Connection, id: &Id) -> QueryResult<()> {
    let claim = verifications::claim.eq(None::<String>);
    diesel::update(verifications::table.find(id)).set(claim).execute(conn).map(drop)
}

/// Finds the current sign-up for an email address in lower case.
pub fn by_claimed_email(conn: &mut Connection, canonical: &str) -> QueryResult<Option<(Verification, User)>> {
    with_user().filter(verifications::claim.eq(canonical)).get_result(conn).optional()
}

/// Finds the open flow of an account for a purpose, the newest if there are several.
pub fn pending(conn: &mut Connection, user: &Id, purpose: CodePurpose) -> QueryResult<Option<Verification>> {
    verifications::table
        .filter(verifications::user_id.eq(user))
        .filter(verifications::purpose.eq(purpose))
        .filter(verifications::ended_at.is_null())
        .order((verifications::created_at.desc(), verifications::id.desc()))
        .select(Verification::as_select())
        .get_result(conn)
        .optional()
}

/// Tries a code, which may have been hashed with any of the keys. What was counted must be committed even when the code
/// is wrong: the caller's transaction returns the attempt as a value and refuses afterwards.
pub fn attempt(
    conn: &mut Connection,
    flow: &Verification,
    code: &Otp,
    keys: &[[u8; 32]],
    now: Moment,
) -> QueryResult<Attempt> {
    let row = verifications::table.find(&flow.id);
    let open = row
        .filter(verifications::tries.lt(MAX_TRIES))
        .filter(verifications::ended_at.is_null())
        .filter(verifications::code_expires_at.gt(now));
    let counted =
        diesel::update(open).set(verifications::tries.eq(verifications::tries + 1)).execute(conn)?;
    // Read again: since the caller looked, the code may have been replaced.
    let Some(flow) = row.select(Verification::as_select()).get_result(conn).optional()? else {
        return Ok(Attempt::NotTried(CodeState::Ended));
    };
    if counted == 0 {
        return Ok(Attempt::NotTried(flow.state(now)));
    }
    let digest = flow.code_digest.as_ref();
    let fits =
        |key| digest.is_some_and(|digest| code.matches(digest, key, &flow.id, flow.purpose, &flow.email));
    if !keys.iter().any(fits) {
        return Ok(Attempt::Wrong { left: MAX_TRIES - flow.tries });
    }
    Ok(if end(conn, &flow.id, now)? { Attempt::Right } else { Attempt::NotTried(CodeState::Ended) })
}

/// Replaces the code of a flow: the old one stops working. Returns whether the flow is still open.
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

/// Finds a flow for a purpose, whether or not anybody is known whose it is.
pub fn flow(conn: &mut Connection, id: &Id, purpose: CodePurpose) -> QueryResult<Option<Verification>> {
    verifications::table
        .find(id)
        .filter(verifications::purpose.eq(purpose))
        .select(Verification::as_select())
        .get_result(conn)
        .optional()
}

/// Sets whose a flow is.
pub fn set_user(conn: &mut Connection, id: &Id, user: &Id) -> QueryResult<()> {
    diesel::update(verifications::table.find(id)).set(verifications::user_id.eq(user)).execute(conn).map(drop)
}

/// Sets where to go afterwards.
pub fn set_next(conn: &mut Connection, id: &Id, next: &str) -> QueryResult<()> {
    diesel::update(verifications::table.find(id))
        .set(verifications::next_path.eq(next))
        .execute(conn)
        .map(drop)
}

/// Ends one flow; returns whether it was this call that ended it.
pub fn end(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let live = verifications::table.find(id).filter(verifications::ended_at.is_null());
    let rows = diesel::update(live)
        .set((verifications::ended_at.eq(now), verifications::claim.eq(None::<String>)))
        .execute(conn)?;
    Ok(rows == 1)
}

/// Ends every open flow of an account for a purpose.
pub fn end_all(conn: &mut Connection, user: &Id, purpose: CodePurpose, now: Moment) -> QueryResult<()> {
    let live = verifications::table
        .filter(verifications::user_id.eq(user))
        .filter(verifications::purpose.eq(purpose))
        .filter(verifications::ended_at.is_null());
    diesel::update(live)
        .set((verifications::ended_at.eq(now), verifications::claim.eq(None::<String>)))
        .execute(conn)
        .map(drop)
}

/// Makes the codes of an account for a purpose fit no more. Whoever waits for one sees no change: a page that anybody may open must not
/// tell what happens to an account.
pub fn void_all(conn: &mut Connection, user: &Id, purpose: CodePurpose) -> QueryResult<()> {
    let of_user = verifications::table
        .filter(verifications::user_id.eq(user))
        .filter(verifications::purpose.eq(purpose));
    diesel::update(of_user).set(verifications::code_digest.eq(None::<OtpDigest>)).execute(conn).map(drop)
}

/// Removes the sign-ins that wait for a code at an address, whether or not it is known whose they are.
pub fn remove_sign_ins(conn: &mut Connection, canonical: &str) -> QueryResult<()> {
    let at_address = verifications::table
        .filter(verifications::purpose.eq(CodePurpose::SignIn))
        .filter(verifications::email.eq(canonical));
    diesel::delete(at_address).execute(conn).map(drop)
}

/// Opens the newest flow of an account for a purpose again, without a claim: a new code can be sent for it.
pub fn reopen(conn: &mut Connection, user: &Id, purpose: CodePurpose) -> QueryResult<()> {
    let newest: Option<Id> = verifications::table
        .filter(verifications::user_id.eq(user))
        .filter(verifications::purpose.eq(purpose))
        .filter(verifications::code_digest.is_not_null())
        .order((verifications::created_at.desc(), verifications::id.desc()))
        .select(verifications::id)
        .first(conn)
        .optional()?;
    let Some(newest) = newest else { return Ok(()) };
    let none: Option<Moment> = None;
    diesel::update(verifications::table.find(newest))
        .set(verifications::ended_at.eq(none))
        .execute(conn)
        .map(drop)
}

/// Lists the newest flows after a cursor, of everybody or of one account, with whose they are.
pub fn list(
    conn: &mut Connection,
    user: Option<&Id>,
    after: Option<&Cursor>,
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

/// Cancels the newest code of a flow; another one can be requested. Returns whose it was, if it worked.
pub fn cancel_code(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<Option<Id>> {
    let open = verifications::table
        .find(id)
        .filter(verifications::ended_at.is_null())
        .filter(verifications::code_expires_at.gt(now))
        .filter(verifications::user_id.is_not_null());
    match diesel::update(open).set(verifications::code_expires_at.eq(now)).execute(conn)? {
        1 => {
            let whose = verifications::table.find(id).select(verifications::user_id);
            Ok(whose.get_result(conn).optional()?.flatten())
        }
        _ => Ok(None),
    }
}

/// Lists all flows of an account, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<Verification>> {
    verifications::table
        .filter(verifications::user_id.eq(user))
        .order((verifications::created_at, verifications::id))
        .select(Verification::as_select())
        .load(conn)
}

/// Forgets flows from before then: those that ended, and those that nobody came back to.
pub(super) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(verifications::table.filter(verifications::created_at.lt(before))).execute(conn)
}

#[diesel::dsl::auto_type]
fn with_user() -> _ {
    let columns: (
        diesel::dsl::AsSelect<Verification, crate::db::AnyBackend>,
        diesel::dsl::AsSelect<User, crate::db::AnyBackend>,
    ) = (Verification::as_select(), User::as_select());
    verifications::table.inner_join(users_table::table).select(columns)
}
