//! "This wasn't me": the alarm that tells an owner of a sign-in, and taking the account back from whoever else has it in hand.

use std::net::IpAddr;

use diesel::QueryResult;

use super::email::free_email;
use super::owner::queue_alarm;
use super::passwords;
use super::two_factor::{self, WaitRules};
use crate::db::Connection;
use crate::identity::{Email, LinkPurpose, Moment, PasswordHash};
use crate::keys::SealKey;
use crate::mail::{self, EmailTakenAway, Envelope, NewSignIn};
use crate::records::events::{self, Kind};
use crate::records::links;
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::sessions;
use crate::records::users::{self, UNDO_LINK_LIFETIME, User, dormancy, leaving};

/// So many wrong passwords before the right one are worth an alarm (OWASP ASVS 5.0, 6.3.5).
const FAILURES: usize = 5;

/// A sign-in with the right password, as its owner is told of it.
pub struct SignIn<'a> {
    /// The browser's name for itself.
    pub agent: &'a str,
    pub ip: IpAddr,
    /// Where that is, roughly.
    pub place: Option<String>,
    /// The lane of the device, if the account signed in on it before.
    pub known_device: Option<String>,
}

/// Mails the owner of an account about a sign-in on a device that is not known, or after five wrong passwords: each at most once an
/// hour, three times a day. Asked before the sign-in is noted.
pub fn alarm(
    conn: &mut Connection,
    user: &User,
    sign_in: &SignIn<'_>,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<()> {
    let failures = events::failures_before(conn, &user.id, Kind::SignInFailed, FAILURES, now)?;
    let asker = match &sign_in.known_device {
        Some(_) if failures < FAILURES => return Ok(()),
        // Counts for itself: a stranger's guesses before the owner's sign-in must not silence the alarm about their own.
        Some(lane) => Asker::KnownDevice(lane.clone()),
        None => Asker::Anybody,
    };
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    if mail_budgets::take(conn, email, Budget::NewSignIn, &asker, now)?.is_err() {
        return Ok(());
    }
    let mail = |link| {
        NewSignIn {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            ip: sign_in.ip.to_string(),
            place: sign_in.place.clone(),
            agent: sign_in.agent.to_owned(),
            is_known_device: sign_in.known_device.is_some(),
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}

/// Takes an account back for the owner of a mailbox, against whoever else has it in hand: its address is `owner` again, every
/// session, pending change, known device and deletion ends, and so do the password and every link since `since`. A new password
/// comes by that mailbox. Returns whether the address was still free; nothing has changed otherwise.
pub fn secure(
    conn: &mut Connection,
    user: &User,
    owner: &Email,
    since: Moment,
    rules: WaitRules,
    now: Moment,
) -> QueryResult<bool> {
    if !free_email(conn, owner, Some(&user.id))? {
        return Ok(false);
    }
    let taken_away = user.confirmed_email().filter(|email| !email.is_same_as(owner));
    // What goes back to an owner is theirs for as long as it was.
    let owned_since = if taken_away.is_some() { now.minus(UNDO_LINK_LIFETIME) } else { user.email_since };
    users::set_email(conn, &user.id, owner, owned_since)?;
    users::set_password(conn, &user.id, &PasswordHash::unusable(), now)?;
    users::forget_devices(conn, &user.id)?;
    leaving::set(conn, &user.id, None)?;
    dormancy::end(conn, &user.id, now)?;
    // The next stranger is told of at once.
    mail_budgets::renew(conn, owner, Budget::NewSignIn)?;
    links::revoke_since(conn, &user.id, since, now)?;
    sessions::end_all(conn, &user.id, None, now)?;
    passwords::revoke_pending(conn, &user.id, now)?;
    if let Some(taken_away) = taken_away {
        links::revoke_to(conn, &user.id, LinkPurpose::KeepTwoFactor, taken_away, now)?;
        let mail = EmailTakenAway { name: user.display_name().to_owned(), new_email: owner.masked() };
        mail::queue(conn, mail, &Envelope::to(&user.id, taken_away), now)?;
    }
    // As it is now: what is mailed goes to the owner.
    let restored = User { email: Some(owner.clone()), email_since: owned_since, ..user.clone() };
    two_factor::take_back(conn, &restored, since, rules, now)?;
    Ok(true)
}
