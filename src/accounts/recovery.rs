//! "I forgot my password", answered outside the request.
//!
//! The page writes one row, whatever was typed; only here is it looked up. So neither the answer nor its time can show
//! whether there is such an account.

use diesel::QueryResult;

use super::codes::{self, CodeRules};
use super::passwords;
use super::passwords::LinkRules;
use crate::db::Connection;
use crate::identity::{AccountStatus, CodePurpose, KnownDevice, Login, Moment};
use crate::mail::RecoveryRequest;
use crate::records::events::{self, Kind, Source};
use crate::records::mail_budgets::Asker;
use crate::records::users::{self, User};
use crate::records::verifications::{self, Verification};

/// How long what is mailed here works, and how codes are made.
#[derive(Clone, Copy)]
pub struct RecoveryRules {
    pub codes: CodeRules,
    pub links: LinkRules,
}

/// Queues what helps the person who typed `typed`: a reset link, the code of an unfinished sign-up, or nothing.
pub fn answer(
    conn: &mut Connection,
    request: &RecoveryRequest,
    typed: &str,
    rules: &RecoveryRules,
    now: Moment,
) -> QueryResult<()> {
    let Ok(login) = Login::parse(typed) else { return Ok(()) };
    if !login.as_str().is_ascii() {
        return Ok(());
    }
    let user = match &login {
        Login::Username(name) => users::by_username(conn, name)?,
        Login::Email(address) => {
            // Whether or not the address has an owner, too: what the sign-up's page shows afterwards must not say so.
            if let Some((flow, claimant)) = verifications::by_claimed_email(conn, address)? {
                send_code(conn, &claimant, &flow, rules, &asker_of(request, &claimant), now)?;
            }
            users::by_confirmed_email(conn, address)?
        }
    };
    let Some(user) = user else { return Ok(()) };
    // As it is now, until the end of this transaction: a link must not go where the account has just moved from.
    let Some(user) = users::lock(conn, &user.id)? else { return Ok(()) };
    let asker = asker_of(request, &user);
    match user.status() {
        AccountStatus::Active | AccountStatus::Leaving => send_reset(conn, &user, rules, &asker, now),
        AccountStatus::Unverified => match verifications::pending(conn, &user.id, CodePurpose::SignUp)? {
            Some(flow) => send_code(conn, &user, &flow, rules, &asker, now),
            None => Ok(()),
        },
        // A reset must be no way around a block.
        AccountStatus::Blocked(_) => Ok(()),
    }
}

/// Who asks, as far as budgets go: a device on which this account signed in, or a network.
pub(super) fn asker(network: &str, lanes: &[String], user: Option<&User>) -> Asker {
    let is_known = |lane: &&String| {
        user.is_some_and(|user| KnownDevice::parse(lane).is_some_and(|device| user.knows(&device)))
    };
    match lanes.iter().find(is_known) {
        Some(lane) => Asker::KnownDevice(lane.clone()),
        None => Asker::Network(network.to_owned()),
    }
}

fn asker_of(request: &RecoveryRequest, user: &User) -> Asker {
    asker(&request.network, &request.lanes, Some(user))
}

fn send_reset(
    conn: &mut Connection,
    user: &User,
    rules: &RecoveryRules,
    asker: &Asker,
    now: Moment,
) -> QueryResult<()> {
    if user.email.is_some() && passwords::send_reset(conn, user, rules.links, asker, now)?.is_ok() {
        events::note(conn, Kind::ResetSent, Some(&user.id), &Source::Program, "", now)?;
    }
    Ok(())
}

fn send_code(
    conn: &mut Connection,
    user: &User,
    flow: &Verification,
    rules: &RecoveryRules,
    asker: &Asker,
    now: Moment,
) -> QueryResult<()> {
    if user.blocked_at.is_none()
        && let Err(wait) = codes::renew(conn, user, flow, &rules.codes, asker, now)?
    {
        log::debug!("no further code for {} seconds", wait.as_secs());
    }
    Ok(())
}
