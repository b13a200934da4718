//! The second step of signing in: what turns it on, what counts as it, and what ends it.

use std::time::Duration;

use diesel::QueryResult;

use super::owner::{owner_of, queue_alarm};
use crate::config::Config;
use crate::db::Connection;
use crate::identity::{
    AuthenticatorKey, Email, FactorCode, Id, LinkPurpose, Moment, RecoveryCode, TokenDigest,
};
use crate::keys::{Keys, SealKey};
use crate::mail::{
    self, AuthenticatorAdded, Envelope, RecoveryCodeUsed, TwoFactorChange, TwoFactorChanged, TwoFactorEnding,
    TwoFactorOff, WhyEnding, WhyOff,
};
use crate::records::events::{self, Kind, Source};
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::two_factor::authenticators::{self, Authenticator};
use crate::records::two_factor::{recovery_codes, second_steps, trusted_devices};
use crate::records::users::{self, User};
use crate::records::{links, sessions};

/// So many recovery codes are made at a time.
const RECOVERY_CODES: usize = 10;
/// With so many left, their person is told.
const FEW_CODES: i64 = 3;
/// Clocks of several instances differ by no more.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// So many wrong codes in a row are worth an alarm.
const WRONG_CODES: usize = 5;
/// The most authenticators of one account.
pub const MAX_AUTHENTICATORS: usize = 10;

/// How whoever has lost the second step gets in again.
#[derive(Clone, Copy)]
pub struct RecoveryRules {
    /// How long they wait.
    pub wait: Duration,
    /// Seals what waits for its mail.
    pub seal: SealKey,
}

impl RecoveryRules {
    /// Takes the rules from the settings.
    pub fn new(config: &Config, keys: &Keys) -> Self {
        Self { wait: config.two_factor.recovery_wait, seal: keys.outbox }
    }
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    Right(Factor),
    Wrong,
    /// It is the right code of an authenticator, and was used before.
    Used,
}

/// What was given as the second step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    Authenticator,
    RecoveryCode,
}

/// Tries a code for an account. One that is right is used up: the caller does what it was for in the same transaction.
pub fn try_code(
    conn: &mut Connection,
    user: &User,
    code: &FactorCode,
    keys: &Keys,
    source: &Source,
    now: Moment,
) -> QueryResult<Tried> {
    match code {
        FactorCode::Authenticator(code) => {
            for authenticator in authenticators::all_of(conn, &user.id)? {
                let Some(key) = open(&authenticator, keys) else { continue };
                if let Some(step) = key.step_of(code, now) {
                    let newest = AuthenticatorKey::newest_step(now.plus(CLOCKS_APART));
                    let is_first = authenticators::use_step(conn, &authenticator.id, step, newest, now)?;
                    if !is_first {
                        return Ok(Tried::Used);
                    }
                    // Nobody who has the app has lost it.
                    if user.two_factor_ends_at.is_some() && stop_recovery(conn, user, now)? {
                        events::note(conn, Kind::TwoFactorRecoveryStopped, Some(&user.id), source, "", now)?;
                    }
                    return Ok(Tried::Right(Factor::Authenticator));
                }
            }
            Ok(Tried::Wrong)
        }
        FactorCode::Recovery(code) => {
            let digests: Vec<TokenDigest> =
                keys.all().map(|keys| code.digest(&keys.recovery_code, &user.id)).collect();
            if !recovery_codes::consume(conn, &user.id, &digests, now)? {
                return Ok(Tried::Wrong);
            }
            notify_of_code(conn, user, &keys.outbox, now)?;
            Ok(Tried::Right(Factor::RecoveryCode))
        }
    }
}

/// Opens the key of an authenticator, whichever of our keys sealed it.
fn open(authenticator: &Authenticator, keys: &Keys) -> Option<AuthenticatorKey> {
    let key = keys.all().find_map(|keys| keys.authenticator.open(&authenticator.sealed_key));
    if key.is_none() {
        log::error!(
            "the key of an authenticator can't be opened: SECRET_KEY must still list the key it was sealed with"
        );
    }
    AuthenticatorKey::parse(&key?)
}

fn notify_of_code(conn: &mut Connection, user: &User, seal: &SealKey, now: Moment) -> QueryResult<()> {
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let left = recovery_codes::count_left(conn, &user.id)?;
    let mail = |link| {
        RecoveryCodeUsed {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            left: u32::try_from(left).unwrap_or_default(),
            are_few: left <= FEW_CODES,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}

/// Tells the person that somebody who is signed in changed their second step.
pub fn notify_of_change(
    conn: &mut Connection,
    user: &User,
    what: TwoFactorChange,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<()> {
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = |link| {
        TwoFactorChanged {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            what,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}

/// An authenticator whose code was right.
pub struct NewAuthenticator {
    pub name: String,
    pub key: AuthenticatorKey,
    /// The step of its first code, which is used up by that.
    pub step: i64,
}

/// What adding an authenticator led to.
pub enum Enrolled {
    /// Signing in takes a second step from now on; these are the codes for whoever loses it.
    First {
        codes: Vec<RecoveryCode>,
        /// The epoch of known devices that has begun: the one in front of its person may be known again.
        device_epoch: i32,
    },
    Another,
    /// There are ten already.
    TooMany,
    /// This one was added before.
    Known,
}

/// Adds an authenticator. With the first one every other session ends: whoever has one gave no more than the password.
pub fn enrol(
    conn: &mut Connection,
    user: &User,
    new: &NewAuthenticator,
    session: &Id,
    keys: &Keys,
    source: &Source,
    now: Moment,
) -> QueryResult<Enrolled> {
    let before = authenticators::all_of(conn, &user.id)?;
    if before.len() >= MAX_AUTHENTICATORS {
        return Ok(Enrolled::TooMany);
    }
    if before.iter().any(|known| open(known, keys).as_ref() == Some(&new.key)) {
        return Ok(Enrolled::Known);
    }
    let authenticator = Authenticator {
        id: Id::new(),
        user_id: user.id.clone(),
        name: new.name.clone(),
        sealed_key: keys.authenticator.seal(&new.key.expose()),
        last_step: new.step,
        created_at: now,
        last_used_at: Some(now),
    };
    authenticators::insert(conn, &authenticator)?;
    let is_first = user.two_factor_since.is_none();
    notify_of_app(conn, user, &new.name, is_first, &keys.outbox, source, now)?;
    if !is_first {
        return Ok(Enrolled::Another);
    }
    users::two_factor::set(conn, &user.id, Some(now))?;
    sessions::end_all(conn, &user.id, Some(session), now)?;
    // Whoever gave the password alone may have made any number of devices known, each of which may guess.
    let device_epoch = users::forget_devices(conn, &user.id)?;
    Ok(Enrolled::First { codes: renew_recovery_codes(conn, user, keys, now)?, device_epoch })
}

fn notify_of_app(
    conn: &mut Connection,
    user: &User,
    authenticator: &str,
    is_first: bool,
    seal: &SealKey,
    source: &Source,
    now: Moment,
) -> QueryResult<()> {
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    let mail = |link| {
        AuthenticatorAdded {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            ip: source.stored(),
            authenticator: authenticator.to_owned(),
            is_first,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}

/// Makes new recovery codes, which replace those before.
pub fn renew_recovery_codes(
    conn: &mut Connection,
    user: &User,
    keys: &Keys,
    now: Moment,
) -> QueryResult<Vec<RecoveryCode>> {
    let codes: Vec<RecoveryCode> = (0..RECOVERY_CODES).map(|_| RecoveryCode::random()).collect();
    let digests: Vec<TokenDigest> =
        codes.iter().map(|code| code.digest(&keys.recovery_code, &user.id)).collect();
    recovery_codes::replace(conn, &user.id, &digests, now)?;
    Ok(codes)
}

/// What became of an authenticator that was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// That of this name.
    One(String),
    /// It is the last one: turning the second step off is another thing.
    IsLast,
    Gone,
}

/// Removes an authenticator, unless it is the last one.
pub fn remove(conn: &mut Connection, user: &User, id: &Id) -> QueryResult<Removed> {
    if authenticators::all_of(conn, &user.id)?.len() < 2 {
        return Ok(Removed::IsLast);
    }
    Ok(authenticators::remove(conn, &user.id, id)?.map_or(Removed::Gone, Removed::One))
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
    rules: RecoveryRules,
    now: Moment,
) -> QueryResult<()> {
    let Some(on) = user.two_factor_since else { return Ok(()) };
    let has_older = authenticators::all_of(conn, &user.id)?.iter().any(|app| app.created_at < since);
    if on >= since || !has_older {
        let why = WhyEnding::TakenBack;
        return begin_recovery(conn, user, why, rules, &Source::Program, now).map(drop);
    }
    authenticators::remove_since(conn, &user.id, since)?;
    recovery_codes::remove_since(conn, &user.id, since)?;
    stop_recovery(conn, user, now).map(drop)
}

/// Begins the days after which the second step ends because its person has lost it, and tells every mailbox that may be theirs, with a
/// link that stops it. Returns when it ends: as was said before, if somebody has begun it already (and not while a clock was ahead).
pub fn begin_recovery(
    conn: &mut Connection,
    user: &User,
    why: WhyEnding,
    rules: RecoveryRules,
    source: &Source,
    now: Moment,
) -> QueryResult<Moment> {
    let under_way = user.two_factor_recovery(now).filter(|at| !at.is_ahead_of(now.plus(rules.wait)));
    if let Some(ends_at) = under_way {
        return Ok(ends_at);
    }
    let ends_at = now.plus(rules.wait);
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

/// Notes a wrong code. After five in a row the owner is told that somebody has their password and guesses; at most once an hour, three
/// times a day.
pub fn note_wrong_code(
    conn: &mut Connection,
    user: &User,
    source: &Source,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<()> {
    events::note(conn, Kind::FactorWrong, Some(&user.id), source, "", now)?;
    if events::failures_before(conn, &user.id, Kind::FactorWrong, WRONG_CODES, now)? < WRONG_CODES {
        return Ok(());
    }
    let Some(email) = user.confirmed_email() else { return Ok(()) };
    if mail_budgets::take(conn, email, Budget::WrongCodes, &Asker::Anybody, now)?.is_err() {
        return Ok(());
    }
    let mail = |link| {
        mail::WrongCodes { name: user.display_name().to_owned(), at: now, zone: user.time_zone.clone(), link }
            .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}
