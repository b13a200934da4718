//! Who may take an email address, and what a change of it brings with it.

use std::time::Duration;

use diesel::QueryResult;

use super::codes::{self, CodeRules};
use crate::db::Connection;
use crate::identity::{CodePurpose, Email, Id, LinkPurpose, Moment, Otp};
use crate::keys::SealKey;
use crate::mail::{self, AccountExists, EmailChanged, EmailTakenAway, Envelope};
use crate::records::links;
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::users::{self, UNDO_LINK_LIFETIME, User};
use crate::records::verifications::{self, Verification};

/// Makes an email address free for an account (`own`, where there is one already): a sign-up that waits for its code has no
/// claim on it and is removed. Returns whether it is free now.
pub fn free_email(conn: &mut Connection, email: &Email, own: Option<&Id>) -> QueryResult<bool> {
    match users::by_email(conn, &email.canonical())?.filter(|holder| own != Some(&holder.id)) {
        Some(holder) => users::remove_unverified(conn, &holder.id),
        None => Ok(true),
    }
}

/// Confirms the address of a sign-up, whoever else waits for a code there; returns whether it was still free. Nothing has changed
/// otherwise.
pub fn confirm(conn: &mut Connection, user: &User, email: &Email, now: Moment) -> QueryResult<bool> {
    let is_free = free_email(conn, email, Some(&user.id))?;
    if is_free {
        users::confirm(conn, user, email, now)?;
    }
    Ok(is_free)
}

/// Tells the owner of an address by mail that somebody tried to use it, at most once an hour; returns whether a mail was
/// queued.
pub fn notify_owner(conn: &mut Connection, owner: &User, now: Moment) -> QueryResult<bool> {
    let Some(email) = owner.confirmed_email() else { return Ok(false) };
    if mail_budgets::take(conn, email, Budget::AccountExists, &Asker::Anybody, now)?.is_err() {
        return Ok(false);
    }
    let mail = AccountExists { name: owner.display_name().to_owned() };
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
    asker: &Asker,
    now: Moment,
) -> QueryResult<()> {
    verifications::end_all(conn, &user.id, CodePurpose::ChangeEmail, now)?;
    let may_mail = mail_budgets::take(conn, email, Budget::Code, asker, now)?.is_ok();
    let owner = users::by_confirmed_email(conn, &email.canonical())?.filter(|owner| owner.id != user.id);
    let code = Otp::random();
    let flow = Id::new();
    let digest = code.digest(&rules.key, &flow, CodePurpose::ChangeEmail, email);
    // Over the budget nothing is mailed, and nothing can be guessed: the page offers another code.
    let lifetime = if may_mail { rules.lifetime } else { Duration::ZERO };
    let flow = Verification {
        id: flow,
        user_id: Some(user.id.clone()),
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
    codes::queue(conn, user, &flow, code, rules, now)
}

/// Changes the address of an account. Password links to the old one stop working. The old one is told, with a link that undoes
/// the change, provided that it was the account's for a while: somebody who had an account in hand for an hour must get no way
/// back. Changing back to an address that holds such a link uses it up. Returns whether the new address was still free; nothing
/// has changed otherwise.
pub fn change(
    conn: &mut Connection,
    user: &User,
    email: &Email,
    seal: &SealKey,
    now: Moment,
) -> QueryResult<bool> {
    if !free_email(conn, email, Some(&user.id))? {
        return Ok(false);
    }
    let undo_links = links::open(conn, &user.id, LinkPurpose::UndoEmail, now)?;
    let goes_back = match undo_links.iter().find(|link| link.email.is_same_as(email)) {
        Some(link) => {
            links::consume(conn, &link.id, now)?;
            links::revoke_since(conn, &user.id, link.created_at, now)?;
            true
        }
        None => false,
    };
    // What goes back to an owner is theirs for as long as it was: whoever takes it away again must leave them a way back.
    let since = if goes_back { now.minus(UNDO_LINK_LIFETIME) } else { now };
    users::set_email(conn, &user.id, email, since)?;
    links::revoke(conn, &user.id, LinkPurpose::ResetPassword, now)?;
    let Some(old) = &user.email else { return Ok(true) };
    let name = user.display_name().to_owned();
    if goes_back || !user.has_established_email(now) {
        let mail = EmailTakenAway { name, new_email: email.masked() };
        mail::queue(conn, mail, &Envelope::to(&user.id, old), now)?;
        return Ok(true);
    }
    let (link, token) = links::issue(conn, &user.id, LinkPurpose::UndoEmail, old, UNDO_LINK_LIFETIME, now)?;
    let mail = EmailChanged { name, new_email: email.masked(), link: link.as_str().to_owned() };
    let token = token.expose();
    let envelope = Envelope::to(&user.id, old).with_secret(&token, UNDO_LINK_LIFETIME, seal);
    mail::queue(conn, mail, &envelope, now)?;
    Ok(true)
}
