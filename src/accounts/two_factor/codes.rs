//! What counts as the second step, and what becomes of guesses.

use std::time::Duration;

use diesel::QueryResult;

use super::ending::stop_recovery;
use crate::accounts::owner::queue_alarm;
use crate::db::Connection;
use crate::identity::{AuthenticatorKey, FactorCode, Moment, TokenDigest};
use crate::keys::{Keys, SealKey};
use crate::mail::{RecoveryCodeUsed, WrongCodes};
use crate::records::events::{self, Kind, Source};
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::two_factor::authenticators::{self, Authenticator};
use crate::records::two_factor::recovery_codes;
use crate::records::two_factor::second_steps::FirstStep;
use crate::records::users::User;

/// With so many left, their person is told.
const FEW_CODES: i64 = 3;
/// Clocks of several instances differ by no more.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// So many wrong codes in a row are worth an alarm.
const WRONG_CODES: usize = 5;

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
    /// Used up by [`super::use_passkey`].
    Passkey,
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
                    let newest = AuthenticatorKey::newest_step(clocks_apart(now));
                    let is_first = authenticators::use_step(conn, &authenticator.id, step, newest, now)?;
                    if !is_first {
                        return Ok(Tried::Used);
                    }
                    has_it(conn, user, source, now)?;
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

/// The latest time that the clock of another instance may show now.
pub(super) fn clocks_apart(now: Moment) -> Moment {
    now.plus(CLOCKS_APART)
}

/// Stops the wait of whoever says that they have lost the second step: nobody has who takes it.
pub(super) fn has_it(conn: &mut Connection, user: &User, source: &Source, now: Moment) -> QueryResult<()> {
    if user.two_factor_ends_at.is_some() && stop_recovery(conn, user, now)? {
        events::note(conn, Kind::TwoFactorRecoveryStopped, Some(&user.id), source, "", now)?;
    }
    Ok(())
}

/// Opens the key of an authenticator, whichever of our keys sealed it.
pub(super) fn open(authenticator: &Authenticator, keys: &Keys) -> Option<AuthenticatorKey> {
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

/// Notes a wrong code. After five in a row the owner is told that somebody has taken the first step and guesses; at most once an hour,
/// three times a day.
pub fn note_wrong_code(
    conn: &mut Connection,
    user: &User,
    first: FirstStep,
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
        WrongCodes {
            name: user.display_name().to_owned(),
            at: now,
            zone: user.time_zone.clone(),
            by_email: first == FirstStep::EmailedCode,
            link,
        }
        .into()
    };
    queue_alarm(conn, user, email, seal, now, mail)
}
