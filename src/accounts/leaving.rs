//! Leaving: days of grace in which the account waits and can be kept, and then nothing of it but a tombstone.

use std::time::Duration;

use diesel::QueryResult;

use super::passwords;
use crate::config::{Config, Privacy};
use crate::db::Connection;
use crate::identity::{Id, LinkPurpose, Moment};
use crate::keys::{Keys, SealKey};
use crate::mail::{self, AccountKept, AccountLeft, Envelope, Farewell};
use crate::records::events::{self, Kind, NewEvent, Source};
use crate::records::users::leaving;
use crate::records::users::{self, User};
use crate::records::{links, mail_budgets, outbox, sessions};

/// How accounts leave this site.
#[derive(Clone, Copy)]
pub struct LeaveRules {
    grace: Duration,
    /// Seals what waits for its mail.
    seal: SealKey,
    pub removal: RemovalRules,
}

/// What the audit log keeps of accounts that are gone.
#[derive(Clone, Copy)]
pub struct RemovalRules {
    privacy: Privacy,
    pseudonym: [u8; 32],
}

impl LeaveRules {
    /// Takes the rules from the settings.
    pub fn new(config: &Config, keys: &Keys) -> Self {
        let removal = RemovalRules { privacy: config.lifecycle.privacy, pseudonym: keys.pseudonym };
        Self { grace: config.lifecycle.grace, seal: keys.outbox, removal }
    }
}

/// What became of an account that somebody wants to leave.
pub enum Leave {
    /// It is deleted then, unless it is kept.
    At(Moment),
    Gone(Removed),
}

/// An account that is gone.
#[derive(Debug)]
pub struct Removed {
    /// What the audit log calls it from now on.
    pub name: Id,
    /// The picture that no row names any more.
    pub picture: Option<String>,
}

/// Says when an account would be deleted if its person left now; `None` for at once. While a change of its address can be undone
/// it stays: whoever changed the address must not be able to delete what its owner can still take back.
pub fn leaves_at(
    conn: &mut Connection,
    user: &User,
    rules: LeaveRules,
    now: Moment,
) -> QueryResult<Option<Moment>> {
    let undo_links = links::open(conn, &user.id, LinkPurpose::UndoEmail, now)?;
    let undone_until = undo_links.iter().map(|link| link.expires_at).max();
    let at = undone_until.unwrap_or(now).max(now.plus(rules.grace));
    Ok((at > now).then_some(at))
}

/// Begins the deletion of an account: every session and pending change ends, and its person is mailed the way back. Without days
/// of grace it is gone at once.
pub fn begin(
    conn: &mut Connection,
    user: &User,
    by_staff: bool,
    rules: LeaveRules,
    now: Moment,
) -> QueryResult<Leave> {
    let name = user.display_name().to_owned();
    let Some(at) = leaves_at(conn, user, rules, now)? else {
        let removed = remove(conn, user, rules.removal)?;
        bury(conn, user, rules.removal, now)?;
        if let Some(email) = user.confirmed_email() {
            // Outlives the account until it is sent.
            mail::queue(conn, AccountLeft { name }, &Envelope::to(&user.id, email), now)?;
        }
        return Ok(Leave::Gone(removed));
    };
    leaving::set(conn, &user.id, Some(at))?;
    sessions::end_all(conn, &user.id, None, now)?;
    passwords::revoke_pending(conn, &user.id, now)?;
    links::revoke(conn, &user.id, LinkPurpose::KeepAccount, now)?;
    if let Some(email) = user.confirmed_email() {
        let lifetime = at.since(now);
        let (link, token) = links::issue(conn, &user.id, LinkPurpose::KeepAccount, email, lifetime, now)?;
        let zone = user.time_zone.clone();
        let mail = Farewell { name, at, zone, by_staff, link: link.as_str().to_owned() };
        let envelope = Envelope::to(&user.id, email).with_secret(&token.expose(), lifetime, &rules.seal);
        mail::queue(conn, mail, &envelope, now)?;
    }
    Ok(Leave::At(at))
}

/// Keeps an account that was about to be deleted, and tells its person; returns whether it was.
pub fn keep(conn: &mut Connection, user: &User, now: Moment) -> QueryResult<bool> {
    if user.leaves_at.is_none() {
        return Ok(false);
    }
    leaving::set(conn, &user.id, None)?;
    links::revoke(conn, &user.id, LinkPurpose::KeepAccount, now)?;
    if let Some(email) = user.confirmed_email() {
        let mail = AccountKept { name: user.display_name().to_owned() };
        mail::queue(conn, mail, &Envelope::to(&user.id, email), now)?;
    }
    Ok(true)
}

/// Deletes an account whose days of grace are over; `None` when they are not, or when another instance was first.
pub fn finish(
    conn: &mut Connection,
    user: &Id,
    rules: RemovalRules,
    now: Moment,
) -> QueryResult<Option<Removed>> {
    let Some(user) = users::lock(conn, user)? else { return Ok(None) };
    if user.leaves_at.is_none_or(|at| at > now) {
        return Ok(None);
    }
    let removed = remove(conn, &user, rules)?;
    bury(conn, &user, rules, now)?;
    Ok(Some(removed))
}

/// Removes an account with everything that belongs to it. With `PRIVACY=strict` the audit log forgets whose its events were.
pub fn remove(conn: &mut Connection, user: &User, rules: RemovalRules) -> QueryResult<Removed> {
    users::remove(conn, &user.id)?;
    outbox::forget_all_of(conn, &user.id)?;
    mail_budgets::forget_account(conn, &user.id, user.email.as_ref())?;
    let name = match rules.privacy {
        Privacy::Usual => user.id.clone(),
        Privacy::Strict => {
            let pseudonym = user.id.pseudonym(&rules.pseudonym);
            events::forget_account(conn, &user.id, &pseudonym)?;
            pseudonym
        }
    };
    Ok(Removed { name, picture: user.picture.clone() })
}

/// Writes the tombstone of an account that its person left: it names nobody.
pub fn bury(conn: &mut Connection, user: &User, rules: RemovalRules, now: Moment) -> QueryResult<()> {
    let tombstone = NewEvent {
        kind: Kind::AccountLeft,
        user: Some(&user.id.pseudonym(&rules.pseudonym)),
        actor: None,
        source: &Source::Program,
        detail: "",
        was: "",
        became: "",
    };
    events::insert(conn, &tombstone, now).map(drop)
}
