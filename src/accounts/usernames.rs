//! Who holds a username, and for how long.

use diesel::QueryResult;

use crate::db::Connection;
use crate::identity::{CodePurpose, Id, Moment, Sentence, Username, t};
use crate::records::users::{self, User};
use crate::records::verifications;

/// The message for a username that is not free.
pub const TAKEN: Sentence = t("That username is taken. Choose another.");

/// Makes a username free for an account (`own`, where there is one already): a sign-up that no longer holds it is removed.
/// Returns whether it is free now.
pub fn free_username(
    conn: &mut Connection,
    username: &Username,
    own: Option<&Id>,
    now: Moment,
) -> QueryResult<bool> {
    Ok(holder(conn, username, own, now)?.is_none())
}

/// Finds who else holds a username. A sign-up that no longer holds it is removed on the way.
pub fn holder(
    conn: &mut Connection,
    username: &Username,
    own: Option<&Id>,
    now: Moment,
) -> QueryResult<Option<User>> {
    let holder = users::by_username(conn, &username.canonical())?.filter(|holder| own != Some(&holder.id));
    let Some(holder) = holder else { return Ok(None) };
    let is_free = !holds_username(conn, &holder, now)? && users::remove_unverified(conn, &holder.id)?;
    Ok((!is_free).then_some(holder))
}

/// An unverified account holds its name while the newest code of its sign-up works, every other one for good.
fn holds_username(conn: &mut Connection, user: &User, now: Moment) -> QueryResult<bool> {
    if user.verified_at.is_some() || user.blocked_at.is_some() {
        return Ok(true);
    }
    let flow = verifications::pending(conn, &user.id, CodePurpose::SignUp)?;
    Ok(flow.is_some_and(|flow| flow.has_living_code(now)))
}
