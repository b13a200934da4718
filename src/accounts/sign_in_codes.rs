//! "Email me a sign-in code", answered outside the request, as [`super::recovery`] is.
//!
//! The page begins a flow for whatever address was typed; only here is it looked up. What the page shows of a flow is the same
//! for everybody: its code expires and is renewed alike, whether or not there is one.

use diesel::QueryResult;

use super::codes::{self, CodeRules};
use super::recovery::asker;
use crate::db::Connection;
use crate::identity::{AccountStatus, CodePurpose, Email, Id, Moment};
use crate::mail::{self, Envelope, NoSignInCode, SignInCodeRequest};
use crate::records::mail_budgets::{self, Budget};
use crate::records::users::{self, User};
use crate::records::verifications::{self, Verification};

/// Begins a flow for an address, whoever has it, in the one spelling that all its spellings have.
pub fn begin(
    conn: &mut Connection,
    email: &Email,
    next: &str,
    rules: &CodeRules,
    now: Moment,
) -> QueryResult<Verification> {
    let flow = Verification {
        id: Id::new(),
        user_id: None,
        purpose: CodePurpose::SignIn,
        email: email.in_lower_case(),
        claim: None,
        code_digest: None,
        code_expires_at: now.plus(rules.lifetime),
        tries: 0,
        next_path: next.to_owned(),
        created_at: now,
        ended_at: None,
    };
    verifications::insert(conn, &flow)?;
    Ok(flow)
}

/// Renews the code of a flow, as often as its address bears, and queues it, or what helps its person otherwise, or nothing.
pub fn answer(
    conn: &mut Connection,
    request: &SignInCodeRequest,
    flow: &Id,
    rules: &CodeRules,
    now: Moment,
) -> QueryResult<()> {
    let Some(flow) = verifications::flow(conn, flow, CodePurpose::SignIn)? else { return Ok(()) };
    let found = users::by_confirmed_email(conn, &flow.email.canonical())?;
    // As it is now, until the end of this transaction.
    let owner = match found {
        Some(found) => users::lock(conn, &found.id)?,
        None => None,
    };
    if let Some(owner) = &owner {
        // It goes with its account, whatever becomes of the code.
        verifications::set_user(conn, &flow.id, &owner.id)?;
    }
    let asker = asker(&request.network, &request.lanes, owner.as_ref());
    if mail_budgets::take(conn, &flow.email, Budget::Code, &asker, now)?.is_err() {
        return Ok(());
    }
    let (code, digest) = match owner.as_ref().filter(|owner| may(owner)) {
        Some(_) => Some(flow.fresh_code(&rules.key)).unzip(),
        None => (None, None),
    };
    if !verifications::replace_code(conn, &flow, digest.as_ref(), rules.lifetime, now)? {
        return Ok(());
    }
    // Whether or not the address has an owner, too: what the sign-up's page shows afterwards must not say so.
    remind_of_sign_up(conn, &flow.email, rules, now)?;
    match owner {
        Some(owner) if code.is_some() => codes::queue(conn, &owner, &flow, code.as_ref(), rules, now),
        Some(owner) => explain(conn, &owner, now),
        None => Ok(()),
    }
}

/// Tells those who see the admin pages to use their password. Whoever is blocked is told nothing.
fn explain(conn: &mut Connection, owner: &User, now: Moment) -> QueryResult<()> {
    let Some(email) = owner.confirmed_email().filter(|_| owner.blocked_at.is_none()) else { return Ok(()) };
    let mail = NoSignInCode { name: owner.display_name().to_owned() };
    mail::queue(conn, mail, &Envelope::to(&owner.id, email), now)
}

/// Sends the code of a sign-up that waits for it.
fn remind_of_sign_up(
    conn: &mut Connection,
    email: &Email,
    rules: &CodeRules,
    now: Moment,
) -> QueryResult<()> {
    match verifications::by_claimed_email(conn, &email.canonical())? {
        Some((flow, claimant)) if claimant.blocked_at.is_none() => {
            codes::replace(conn, &claimant, &flow, rules, now)
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether somebody may sign in with a code that is emailed: never those who see the admin pages.
pub fn may(user: &User) -> bool {
    let has_status = match user.status() {
        AccountStatus::Active | AccountStatus::Leaving => true,
        AccountStatus::Unverified | AccountStatus::Blocked(_) => false,
    };
    has_status && !user.role.sees_admin()
}
