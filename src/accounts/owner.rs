//! Whose an account is, and how they are told of what somebody else does in their name.

use diesel::QueryResult;

use crate::db::Connection;
use crate::identity::{Email, LinkPurpose, Moment};
use crate::keys::SealKey;
use crate::mail::{self, Envelope, Mail};
use crate::records::links::{self, Link};
use crate::records::users::{self, UNDO_LINK_LIFETIME, User};

/// Queues a mail that tells of something done in an owner's name, with the link that takes the account back. An address that has been
/// the account's only for a short while gets none: it may be that of whoever has just taken it away.
pub fn queue_alarm(
    conn: &mut Connection,
    user: &User,
    email: &Email,
    seal: &SealKey,
    now: Moment,
    mail: impl FnOnce(Option<String>) -> Mail,
) -> QueryResult<()> {
    let envelope = Envelope::to(&user.id, email);
    if !user.has_established_email(now) {
        return mail::queue(conn, mail(None), &envelope, now);
    }
    let purpose = LinkPurpose::SecureAccount;
    let (link, token) = links::issue(conn, &user.id, purpose, email, UNDO_LINK_LIFETIME, now)?;
    let envelope = envelope.with_secret(&token.expose(), UNDO_LINK_LIFETIME, seal);
    mail::queue(conn, mail(Some(link.as_str().to_owned())), &envelope, now)
}

/// Whose an account is, as far as can be told from inside it: the address before all changes that can still be undone, and since
/// when they may be somebody else's.
pub fn owner_of(conn: &mut Connection, user: &User, now: Moment) -> QueryResult<Option<(Email, Moment)>> {
    let first_change = links::open(conn, &user.id, LinkPurpose::UndoEmail, now)?.into_iter().next();
    if let Some(Link { email, created_at, .. }) = first_change {
        let holder = users::by_confirmed_email(conn, &email.canonical())?;
        // Unless somebody else has confirmed it since.
        if holder.is_none_or(|holder| holder.id == user.id) {
            return Ok(Some((email, created_at)));
        }
    }
    Ok(user.confirmed_email().map(|current| (current.clone(), now)))
}
