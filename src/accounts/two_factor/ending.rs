//! What ends the second step: its person, staff, or the wait of whoever has lost it.

use std::time::Duration;

use diesel::QueryResult;

use crate::accounts::owner::{owner_of, queue_alarm};
use crate::config::Config;
use crate::db::Connection;
use crate::identity::{Email, Id, LinkPurpose, Moment};
use crate::keys::{Keys, SealKey};
use crate::mail::{self, Envelope, TwoFactorEnding, TwoFactorOff, WhyEnding, WhyOff};
use crate::records::events::{self, Kind, Source};
use crate::records::links;
use crate::records::two_factor::{authenticators, passkeys, recovery_codes, second_steps, trusted_devices};
use crate::records::users::{self, User};

/// How whoever has lost the second step gets in again.
#[derive(Clone, Copy)]
pub struct WaitRules {
    /// How long they wait.
    pub wait: Duration,
    /// Seals what waits for its mail.
    pub seal: SealKey,
    /// Whether passkeys count.
    pub has_passkeys: bool,
}

impl WaitRules {
    /// Takes the rules from the settings.
    pub fn new(config: &Config, keys: &Keys) -> Self {
        Self {
            wait: config.two_factor.recovery_wait,
            seal: keys.outbox,
            has_passkeys: config.two_factor.passkeys,
        }
    }
}

/// Turns the second step off, whoever asks for that, and tells the person. What waits for a code waits in vain.
pub fn turn_off(
    conn: &mut Connection,
    user: &User,
    why: WhyOff,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<()> {
    remove_all(conn, &user.id, now)?;
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = |link| {
        TwoFactorOff {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            why,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}

/// Ends the second step, without a word.
fn remove_all(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<()> {
    authenticators::remove_all(conn, user)?;
    passkeys::remove_all(conn, user)?;
    recovery_codes::remove_all(conn, user)?;
    trusted_devices::remove_all(conn, user)?;
    second_steps::end_all(conn, user, now)?;
    links::revoke(conn, user, LinkPurpose::KeepTwoFactor, now)?;
    users::two_factor::set(conn, user, None)
}

/// Takes the second step back for the owner of a mailbox: what was added since then may be somebody else's, and goes if an older app
/// remains. Otherwise all of it ends after the usual wait and no sooner: a mailbox is not a second factor, and whoever turned the step
/// on an hour ago may well be the owner.
pub fn take_back(
    conn: &mut Connection,
    user: &User,
    since: Moment,
    rules: WaitRules,
    now: Moment,
) -> QueryResult<()> {
    let Some(on) = user.two_factor_since else { return Ok(()) };
    let has_older = authenticators::all_of(conn, &user.id)?.iter().any(|app| app.created_at < since)
        || (rules.has_passkeys
            && passkeys::all_of(conn, &user.id)?.iter().any(|passkey| passkey.created_at < since));
    if on >= since || !has_older {
        let why = WhyEnding::TakenBack;
        return begin_recovery(conn, user, why, rules, &Source::Program, now).map(drop);
    }
    authenticators::remove_since(conn, &user.id, since)?;
    passkeys::remove_since(conn, &user.id, since)?;
    recovery_codes::remove_since(conn, &user.id, since)?;
    stop_recovery(conn, user, now).map(drop)
}

/// Begins the days after which the second step ends because its person has lost it, and tells every mailbox that may be theirs, with a
/// link that stops it. Returns when it ends: as was said before, if somebody has begun it already (and not while a clock was ahead).
pub fn begin_recovery(
    conn: &mut Connection,
    user: &User,
    why: WhyEnding,
    rules: WaitRules,
    source: &Source,
    now: Moment,
) -> QueryResult<Moment> {
    let under_way = user.two_factor_recovery(now).filter(|at| !at.is_ahead_of(now.plus(rules.wait)));
    let ends_at = match (under_way, why) {
        (Some(ends_at), WhyEnding::Lost) => return Ok(ends_at),
        // Whoever was thrown out may hold the link that stops it: the owner gets the only one.
        (Some(ends_at), WhyEnding::TakenBack) => ends_at,
        (None, WhyEnding::Lost | WhyEnding::TakenBack) => now.plus(rules.wait),
    };
    links::revoke(conn, &user.id, LinkPurpose::KeepTwoFactor, now)?;
    users::two_factor::set_end(conn, &user.id, Some(ends_at))?;
    let owner = owner_of(conn, user, now)?.map(|(email, _)| email);
    let current = user.confirmed_email().cloned();
    let before_a_change = owner.filter(|owner| current.as_ref().is_none_or(|email| !email.is_same_as(owner)));
    for email in current.into_iter().chain(before_a_change) {
        notify_of_end(conn, user, &email, why, ends_at, &rules.seal, now)?;
    }
    events::note(conn, Kind::TwoFactorRecoveryBegun, Some(&user.id), source, "", now)?;
    Ok(ends_at)
}

fn notify_of_end(
    conn: &mut Connection,
    user: &User,
    email: &Email,
    why: WhyEnding,
    ends_at: Moment,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<()> {
    let lifetime = ends_at.since(now);
    let (link, token) = links::issue(conn, &user.id, LinkPurpose::KeepTwoFactor, email, lifetime, now)?;
    let mail = TwoFactorEnding {
        name: user.display_name().to_owned(),
        at: ends_at,
        zone: user.time_zone.clone(),
        why,
        link: link.as_str().to_owned(),
    };
    mail::queue(conn, mail, &Envelope::to(&user.id, email).with_secret(&token.expose(), lifetime, seal), now)
}

/// Stops that; returns whether it was under way.
pub fn stop_recovery(conn: &mut Connection, user: &User, now: Moment) -> QueryResult<bool> {
    links::revoke(conn, &user.id, LinkPurpose::KeepTwoFactor, now)?;
    users::two_factor::set_end(conn, &user.id, None)?;
    Ok(user.two_factor_recovery(now).is_some())
}

/// Ends the second step whose person has lost it, once they have waited; returns whether it has ended.
pub fn settle_recovery(conn: &mut Connection, user: &User, seal: &SealKey, now: Moment) -> QueryResult<bool> {
    if !user.has_waited_for_two_factor(now) {
        return Ok(false);
    }
    turn_off(conn, user, WhyOff::Lost, seal, now)?;
    Ok(true)
}
