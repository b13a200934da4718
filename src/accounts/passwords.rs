//! What a new password ends, and the link that lets somebody choose one.

use std::time::Duration;

use diesel::QueryResult;

use crate::db::Connection;
use crate::identity::{CodePurpose, Email, Id, LinkPurpose, Moment, PasswordHash};
use crate::keys::SealKey;
use crate::mail::{self, Envelope, Mail, PasswordChanged, ResetPassword};
use crate::records::events::Source;
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::two_factor::second_steps;
use crate::records::users::{self, User};
use crate::records::{app_sessions, links, sessions, verifications};

/// Sets a new password. Every session but `keep` ends, and every one at an application, pending changes and links stop working, every known device is forgotten, and
/// the person is notified by mail. Returns the account in its new epoch of devices: the one in front of its person may be known again.
pub fn change(
    conn: &mut Connection,
    user: &User,
    hash: &PasswordHash,
    keep: Option<&Id>,
    source: &Source,
    now: Moment,
) -> QueryResult<User> {
    users::set_password(conn, &user.id, hash, now)?;
    users::dormancy::end(conn, &user.id, now)?;
    sessions::end_all(conn, &user.id, keep, now)?;
    // The session that stays has new pointers only; what was handed to applications is as old as its old ones.
    app_sessions::end_all(conn, &user.id, now)?;
    revoke_pending(conn, &user.id, now)?;
    let changed = User { device_epoch: users::forget_devices(conn, &user.id)?, ..user.clone() };
    let Some(email) = &user.email else { return Ok(changed) };
    let mail = PasswordChanged {
        name: user.display_name().to_owned(),
        at: now,
        zone: user.time_zone.clone(),
        ip: source.stored(),
    };
    mail::queue(conn, mail, &Envelope::to(&user.id, email), now)?;
    Ok(changed)
}

/// Revokes pending changes, links and sign-ins that wait for a code: somebody else may have begun them.
pub fn revoke_pending(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<()> {
    verifications::end_all(conn, user, CodePurpose::ChangeEmail, now)?;
    verifications::void_all(conn, user, CodePurpose::SignIn)?;
    second_steps::end_all(conn, user, now)?;
    links::revoke(conn, user, LinkPurpose::ResetPassword, now)
}

/// Queues a further link to choose a new password, or returns how long to wait until that may be. Those before keep working: a
/// stranger's request must not end the link in its owner's hand. All of them end with the first that is used.
pub fn send_reset(
    conn: &mut Connection,
    user: &User,
    rules: LinkRules,
    asker: &Asker,
    now: Moment,
) -> QueryResult<Result<(), Duration>> {
    // To the address that we know, never to one that was typed.
    let Some(email) = &user.email else { return Ok(Ok(())) };
    let budget = mail_budgets::take(conn, email, Budget::Reset, asker, now)?;
    if budget.is_ok() {
        let by_staff = matches!(asker, Asker::Staff);
        let mail = |link| ResetPassword { name: user.display_name().to_owned(), link, by_staff }.into();
        queue_link(conn, &user.id, email, rules, now, mail)?;
    }
    Ok(budget)
}

/// How links to choose a password are mailed.
#[derive(Clone, Copy)]
pub struct LinkRules {
    /// How long one works.
    pub lifetime: Duration,
    /// Seals what waits for its mail.
    pub seal: SealKey,
}

/// Queues a mail with a link to choose a password.
pub fn queue_link(
    conn: &mut Connection,
    user: &Id,
    email: &Email,
    rules: LinkRules,
    now: Moment,
    mail: impl FnOnce(String) -> Mail,
) -> QueryResult<()> {
    let LinkRules { lifetime, seal } = rules;
    let (link, token) = links::issue(conn, user, LinkPurpose::ResetPassword, email, lifetime, now)?;
    let token = token.expose();
    let envelope = Envelope::to(user, email).with_secret(&token, lifetime, &seal);
    mail::queue(conn, mail(link.as_str().to_owned()), &envelope, now)
}
