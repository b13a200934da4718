//! An account created by somebody else: a superuser or the command line.

use super::administration::{ActError, Actor};
use super::email::free_email;
use super::usernames::free_username;
use crate::db::Connection;
use crate::identity::{Email, Moment, PasswordHash, Role, Username};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::users::{self, User};

/// An account to be created. Its address is taken as confirmed.
pub struct NewAccount {
    /// Must be free, or held by a sign-up that gives way.
    pub username: Username,
    /// Must be free, or wanted only by a sign-up that waits for its code.
    pub email: Email,
    /// What the account may do.
    pub role: Role,
    /// The hash of its first password.
    pub hash: PasswordHash,
}

/// Creates an account, and logs by whom.
///
/// # Errors
/// `UsernameTaken` or `EmailTaken`; the caller's transaction must end then.
pub fn create(
    conn: &mut Connection,
    new: &NewAccount,
    kind: Kind,
    actor: &Actor,
    now: Moment,
) -> Result<User, ActError> {
    if !free_username(conn, &new.username, None, now)? {
        return Err(ActError::UsernameTaken);
    }
    if !free_email(conn, &new.email, None)? {
        return Err(ActError::EmailTaken);
    }
    let user = User::new(new.username.clone(), Some(new.email.clone()), new.hash.clone(), new.role, now);
    let user = User { verified_at: Some(now), ..user };
    users::insert(conn, &user)?;
    let became = format!("{}, {}, {}", new.username, new.email, new.role.as_str());
    let event = NewEvent {
        kind,
        user: Some(&user.id),
        actor: actor.id.as_ref(),
        source: &actor.source,
        detail: &actor.reason,
        was: "",
        became: &became,
    };
    events::insert(conn, &event, now)?;
    Ok(user)
}
