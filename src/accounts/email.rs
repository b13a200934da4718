//! Who may take an email address, and what a change of it brings with it.

use std::time::Duration;

use diesel::QueryResult;

use super::codes::{self, CodeRules};
use crate::db::Connection;
use crate::identity::{CodePurpose, Email, Id, LinkPurpose, Moment, Otp};
use crate::mail::{self, AccountExists, EmailChanged, Envelope};
use crate::records::links;
use crate::records::mail_budgets::{self, Budget};
use crate::records::users::{self, User};
use crate::records::verifications::{self, Verification};

/// How long the old address can undo a change.
const UNDO_LINK_LIFETIME: Duration = Duration::from_secs(72 * 3600);

/// Makes an email address free for an account (`own`, where there is one already): a sign-up that waits for its code has no
/// claim on it and is removed. Returns whether it is free now.
pub fn free_email(conn: &mut Connection, email: &Email, own: Option<&Id>) -> QueryResult<bool> {
    match users::by_email(conn, &email.canonical())?.filter(|holder| own != Some(&holder.id)) {
        Some(holder) => users::remove_unverified(conn, &holder.id),
        None => Ok(true),
    }
}

/// Finds the account that has confirmed an address.
pub fn confirmed_owner(conn: &mut Connection, canonical: &str) -> QueryResult<Option<User>> {
    Ok(users::by_email(conn, canonical)?.filter(|owner| owner.verified_at.is_some()))
}

/// Tells the owner of an address by mail that somebody tried to use it, at most once an hour; returns whether a mail was
/// queued.
pub fn notify_owner(conn: &mut Connection, owner: &User, now: Moment) -> QueryResult<bool> {
    let Some(email) = owner.confirmed_email() else { return Ok(false) };
    if mail_budgets::take(conn, email, Budget::AccountExists, now)?.is_err() {
        return Ok(false);
    }
    let mail = AccountExists { username: owner.username.to_string() };
    mail::queue(conn, mail, &Envelope::to(&owner.id, email), now)?;
    Ok(true)
}

/// Begins a change of address: mails a code to the new one. An earlier change is cancelled. Where the new address already
/// has an account, its owner is notified instead, and no code ever fits.
pub fn begin_change(
    conn: &mut Connection,
    user: &User,
    email: &Email,
    rules: &CodeRules,
    now: Moment,
) -> QueryResult<()> {
    verifications::end_all(conn, &user.id, CodePurpose::ChangeEmail, now)?;
    let may_mail = mail_budgets::take(conn, email, Budget::Code, now)?.is_ok();
    let owner = confirmed_owner(conn, &email.canonical())?.filter(|owner| owner.id != user.id);
    let code = Otp::random();
    let flow = Id::new();
    let digest = code.digest(&rules.key, &flow, CodePurpose::ChangeEmail, email);
    // Over the budget nothing is mailed, and nothing can be guessed: the page offers another code.
    let lifetime = if may_mail { rules.lifetime } else { Duration::ZERO };
    let flow = Verification {
        id: flow,
        user_id: user.id.clone(),
        purpose: CodePurpose::ChangeEmail,
        email: email.clone(),
        claim: None,
        code_digest: owner.is_none().then_some(digest),
        code_expires_at: now.plus(lifetime),
        tries: 0,
        next_path: String::new(),
        created_at: now,
        ended_at: None,
    };
    verifications::insert(conn, &flow)?;
    let is_notified = match &owner {
        Some(owner) if may_mail => notify_owner(conn, owner, now)?,
        Some(_) | None => false,
    };
    if is_notified {
        return Ok(());
    }
    let code = Some(&code).filter(|_| owner.is_none() && may_mail);
    codes::queue(conn, user, &flow, code, rules.lifetime, now)
}

/// Changes the address of an account, for good but for a link to the old one that undoes it. Reset links to the old one
/// stop working. Returns whether the new address was still free; nothing has changed otherwise.
pub fn change(conn: &mut Connection, user: &User, email: &Email, now: Moment) -> QueryResult<bool> {
    if !free_email(conn, email, Some(&user.id))? {
        return Ok(false);
    }
    users::set_email(conn, &user.id, email)?;
    links::revoke(conn, &user.id, LinkPurpose::ResetPassword, now)?;
    if let Some(old) = &user.email {
        let (link, token) =
            links::issue(conn, &user.id, LinkPurpose::UndoEmail, old, UNDO_LINK_LIFETIME, now)?;
        let mail = EmailChanged {
            username: user.username.to_string(),
            new_email: email.masked(),
            link: link.as_str().to_owned(),
        };
        let token = token.expose();
        mail::queue(conn, mail, &Envelope::to(&user.id, old).with_secret(&token, UNDO_LINK_LIFETIME), now)?;
    }
    Ok(true)
}
