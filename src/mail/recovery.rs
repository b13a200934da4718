//! "I forgot my password", answered outside the request.
//!
//! The page writes one row, whatever was typed; only here is it looked up. So neither the answer nor its time
//! can tell whether there is such an account.

use std::time::Duration;

use diesel::QueryResult;

use super::renew_code;
use crate::db::Connection;
use crate::identity::{Moment, Purpose, Standing};
use crate::keys::Keys;
use crate::records::events::{self, Kind, Origin};
use crate::records::users::{self, User};
use crate::records::verifications::{self, Verification};

/// How long what is mailed here is good.
#[derive(Clone, Copy)]
pub(super) struct Lifetimes {
    pub otp: Duration,
    pub reset: Duration,
}

/// Queues what helps the person who typed `login`: a reset link, the code of an unfinished sign-up, or nothing.
pub(super) fn answer(
    conn: &mut Connection,
    login: &str,
    keys: &Keys,
    lifetimes: Lifetimes,
    now: Moment,
) -> QueryResult<()> {
    let canonical = login.trim_matches(' ').to_ascii_lowercase();
    // Nobody's name or address, and more than some databases can compare with one.
    if !canonical.is_ascii() {
        return Ok(());
    }
    let user = if canonical.contains('@') {
        // Whether or not the address has an owner besides: what the sign-up's page shows afterwards must not tell.
        if let Some((flow, claimant)) = verifications::claiming(conn, &canonical)? {
            send_code(conn, (&flow, &claimant), keys, lifetimes, now)?;
        }
        users::by_email(conn, &canonical)?.filter(|owner| owner.verified_at.is_some())
    } else {
        users::by_username(conn, &canonical)?
    };
    let Some(user) = user else { return Ok(()) };
    // As it is now, until the end of this transaction: a link must not go where the account has just moved from.
    let Some(user) = users::lock(conn, &user.id)? else { return Ok(()) };
    match user.standing() {
        Standing::Active => send_reset(conn, &user, lifetimes, now),
        Standing::Unverified => match verifications::pending(conn, &user.id, Purpose::SignUp)? {
            Some(flow) => send_code(conn, (&flow, &user), keys, lifetimes, now),
            None => Ok(()),
        },
        // A reset must be no way around a block.
        Standing::Blocked(_) => Ok(()),
    }
}

fn send_reset(conn: &mut Connection, user: &User, lifetimes: Lifetimes, now: Moment) -> QueryResult<()> {
    if user.email.is_some() && super::send_reset(conn, user, lifetimes.reset, now)?.is_ok() {
        events::note(conn, Kind::ResetSent, Some(&user.id), &Origin("-".to_owned()), "", now)?;
    }
    Ok(())
}

fn send_code(
    conn: &mut Connection,
    (flow, user): (&Verification, &User),
    keys: &Keys,
    lifetimes: Lifetimes,
    now: Moment,
) -> QueryResult<()> {
    if user.blocked_at.is_none()
        && let Err(wait) = renew_code(conn, (flow, user), &keys.code, lifetimes.otp, now)?
    {
        log::debug!("no further code for {} seconds", wait.as_secs());
    }
    Ok(())
}
