//! Leaving: days of grace in which the account waits and can be kept, and then nothing of it but a tombstone.

use std::time::Duration;

use diesel::QueryResult;

use super::passwords;
use crate::config::{Config, Privacy};
use crate::db::Connection;
use crate::identity::{Id, LinkPurpose, Moment};
use crate::keys::{Keys, SealKey};
use crate::mail::{self, AccountKept, AccountLeft, Envelope, Farewell, FarewellToOldAddress};
use crate::records::events::{self, Kind, NewEvent, Source};
use crate::records::links::{self, Link};
use crate::records::users::{self, UNDO_LINK_LIFETIME, UNVERIFIED_LIFETIME, User, dormancy, leaving};
use crate::records::{mail_budgets, sessions, verifications};

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

/// Who wants an account to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish<'a> {
    OfItsPerson,
    /// For that reason, which the person is told.
    OfStaff(&'a str),
}

/// An account that is gone.
#[derive(Debug)]
pub struct Removed {
    /// What the audit log calls it from now on.
    pub name: Id,
    /// The picture that no row names any more.
    pub picture: Option<String>,
}

/// Says when an account would be deleted if its person left now; `None` for at once. While a link works that takes it back it stays:
/// whoever signed in, or changed its address, must not be able to delete what its owner can still have again.
pub fn leaves_at(
    conn: &mut Connection,
    user: &User,
    rules: LeaveRules,
    now: Moment,
) -> QueryResult<Option<Moment>> {
    let mut ways_back = links::open(conn, &user.id, LinkPurpose::UndoEmail, now)?;
    ways_back.extend(links::open(conn, &user.id, LinkPurpose::SecureAccount, now)?);
    let taken_back_until = ways_back.iter().map(|link| link.expires_at).max();
    let at = taken_back_until.unwrap_or(now).max(now.plus(rules.grace));
    Ok((at > now).then_some(at))
}

/// Begins the days of grace of an account: every session and pending change ends, and its person is mailed the way back.
pub fn begin(
    conn: &mut Connection,
    user: &User,
    at: Moment,
    whose: Wish<'_>,
    rules: LeaveRules,
    now: Moment,
) -> QueryResult<()> {
    leaving::set(conn, &user.id, Some(at))?;
    sessions::end_all(conn, &user.id, None, now)?;
    passwords::revoke_pending(conn, &user.id, now)?;
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let lifetime = at.since(now);
    let (link, token) = links::issue(conn, &user.id, LinkPurpose::KeepAccount, email, lifetime, now)?;
    let mail = Farewell {
        name: user.display_name().to_owned(),
        at,
        zone: user.time_zone.clone(),
        reason: match whose {
            Wish::OfItsPerson => None,
            Wish::OfStaff(reason) => Some(reason.to_owned()),
        },
        link: link.as_str().to_owned(),
    };
    let envelope = Envelope::to(&user.id, email).with_secret(&token.expose(), lifetime, &rules.seal);
    mail::queue(conn, mail, &envelope, now)?;
    tell_old_address(conn, user, at, rules, now)
}

/// Tells the address that the account had before all changes that can still be undone, with a link that works for as long as the
/// account waits.
fn tell_old_address(
    conn: &mut Connection,
    user: &User,
    at: Moment,
    rules: LeaveRules,
    now: Moment,
) -> QueryResult<()> {
    let changes = links::open(conn, &user.id, LinkPurpose::UndoEmail, now)?;
    let Some(Link { email, .. }) = changes.into_iter().next() else { return Ok(()) };
    let lifetime = at.since(now);
    let (link, token) = links::issue(conn, &user.id, LinkPurpose::UndoEmail, &email, lifetime, now)?;
    let mail = FarewellToOldAddress {
        name: user.display_name().to_owned(),
        at,
        zone: user.time_zone.clone(),
        link: link.as_str().to_owned(),
    };
    let envelope = Envelope::to(&user.id, &email).with_secret(&token.expose(), lifetime, &rules.seal);
    mail::queue(conn, mail, &envelope, now)
}

/// Deletes an account at once, at its person's wish, and tells them.
pub fn leave_at_once(
    conn: &mut Connection,
    user: &User,
    rules: RemovalRules,
    now: Moment,
) -> QueryResult<Removed> {
    let removed = remove(conn, user, rules)?;
    bury(conn, user, rules, now)?;
    if let Some(email) = user.confirmed_email() {
        // Outlives the account until it is sent.
        let mail = AccountLeft { name: user.display_name().to_owned() };
        mail::queue(conn, mail, &Envelope::to(&user.id, email), now)?;
    }
    Ok(removed)
}

/// Keeps an account that was about to be deleted, and tells its person; returns whether it was. The link of the farewell mail goes on
/// working: its owner may have to take the account back from who asked for the deletion, and then kept it.
pub fn keep(conn: &mut Connection, user: &User, now: Moment) -> QueryResult<bool> {
    if user.leaves_at.is_none() {
        return Ok(false);
    }
    leaving::set(conn, &user.id, None)?;
    dormancy::end(conn, &user.id, now)?;
    for link in links::open(conn, &user.id, LinkPurpose::UndoEmail, now)? {
        // Was to work for as long as the account waited; of the change itself the old address has its own.
        if link.expires_at > link.created_at.plus(UNDO_LINK_LIFETIME) {
            links::cancel(conn, &link.id, LinkPurpose::UndoEmail, now)?;
        }
    }
    if let Some(email) = user.confirmed_email() {
        let mail = AccountKept { name: user.display_name().to_owned() };
        mail::queue(conn, mail, &Envelope::to(&user.id, email), now)?;
    }
    Ok(true)
}

/// With `PRIVACY=strict`, forgets whose some of the events of an account were whose days of grace are over; returns of how many. Done
/// before [`finish`], so that a long history is no long transaction.
pub fn forget_some(conn: &mut Connection, user: &Id, rules: RemovalRules, now: Moment) -> QueryResult<usize> {
    let is_over = users::by_id(conn, user)?.is_some_and(|user| user.leaves_at.is_some_and(|at| at <= now));
    if rules.privacy == Privacy::Usual || !is_over {
        return Ok(0);
    }
    events::forget_some(conn, user, &user.pseudonym(&rules.pseudonym))
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
    mail_budgets::forget_account(conn, &user.id, user.email.as_ref())?;
    if let Some(email) = &user.email {
        verifications::remove_sign_ins(conn, &email.canonical())?;
    }
    let name = match rules.privacy {
        Privacy::Usual => user.id.clone(),
        Privacy::Strict => {
            let pseudonym = user.id.pseudonym(&rules.pseudonym);
            while events::forget_some(conn, &user.id, &pseudonym)? > 0 {}
            pseudonym
        }
    };
    Ok(Removed { name, picture: user.picture.clone() })
}

/// With `PRIVACY=strict`, forgets whose the events of some sign-ups were that nobody confirmed and that are gone.
pub fn forget_sign_ups(
    conn: &mut Connection,
    rules: RemovalRules,
    limit: i64,
    now: Moment,
) -> QueryResult<()> {
    if rules.privacy == Privacy::Usual {
        return Ok(());
    }
    // Housekeeping comes by every ten minutes, or did not for a while.
    for user in events::sign_ups_gone(conn, now.minus(10 * UNVERIFIED_LIFETIME), now, limit)? {
        while events::forget_some(conn, &user, &user.pseudonym(&rules.pseudonym))? > 0 {}
    }
    Ok(())
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
