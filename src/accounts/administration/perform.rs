//! What each act does, and the event that it leaves.

use std::time::Duration;

use super::{ActError, Actor, Done, not_now};
use crate::accounts::codes::{self, CodeRules};
use crate::accounts::details;
use crate::accounts::email;
use crate::accounts::leaving::{self, LeaveRules, RemovalRules, Wish};
use crate::accounts::passwords::{self, LinkRules};
use crate::accounts::two_factor;
use crate::accounts::usernames::free_username;
use crate::db::Connection;
use crate::identity::{AccountStatus, CodePurpose, Details, Email, Id, Moment, Role, t};
use crate::keys::SealKey;
use crate::mail::{
    self, AccountBlocked, AccountDeleted, AccountUnblocked, Envelope, Mail, RoleChanged, TwoFactorDue, WhyOff,
};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::mail_budgets::Asker;
use crate::records::two_factor::trusted_devices;
use crate::records::users::{self, User};
use crate::records::{sessions, verifications};

/// An act on an account whose row is locked.
pub(super) struct ActContext<'a> {
    pub conn: &'a mut Connection,
    pub user: &'a User,
    pub actor: &'a Actor,
    pub now: Moment,
}

impl ActContext<'_> {
    pub fn block(self) -> Result<Done, ActError> {
        if self.user.blocked_at.is_some() {
            return Err(not_now(t("This account is already blocked.")));
        }
        let id = &self.user.id;
        users::set_blocked(self.conn, id, Some((self.now, &self.actor.reason)))?;
        if self.user.verified_at.is_none() {
            // Nobody has shown that the address is theirs: it is free for whoever does.
            users::release_email(self.conn, id)?;
            verifications::end_all(self.conn, id, CodePurpose::SignUp, self.now)?;
        }
        sessions::end_all(self.conn, id, None, self.now)?;
        // Whoever is blocked can neither keep it nor get around the block by leaving.
        users::leaving::set(self.conn, id, None)?;
        passwords::revoke_pending(self.conn, id, self.now)?;
        let mail =
            AccountBlocked { name: self.user.display_name().to_owned(), reason: self.actor.reason.clone() };
        let was = self.user.status().as_str();
        self.notify(mail)?.note(Kind::Blocked, was, "blocked")
    }

    pub fn unblock(self) -> Result<Done, ActError> {
        let Some(reason) = self.user.blocked_at.and(self.user.blocked_reason.clone()) else {
            return Err(not_now(t("This account isn't blocked.")));
        };
        users::set_blocked(self.conn, &self.user.id, None)?;
        users::dormancy::end(self.conn, &self.user.id, self.now)?;
        if self.user.verified_at.is_none() {
            // The block ended it: the person could neither get another code nor sign up again under this name.
            verifications::reopen(self.conn, &self.user.id, CodePurpose::SignUp)?;
        }
        let opened = User { blocked_at: None, ..self.user.clone() };
        let became = opened.status().as_str();
        let mail = AccountUnblocked { name: self.user.display_name().to_owned() };
        self.notify(mail)?.note(Kind::Unblocked, &format!("blocked: {reason}"), became)
    }

    pub fn verify(self) -> Result<Done, ActError> {
        if self.user.verified_at.is_some() {
            return Err(not_now(t("This email address is already confirmed.")));
        }
        let email = match &self.user.email {
            Some(email) => Some(email.clone()),
            // Of several who wait for a code at one address, one holds it; what only looks like a sign-up has no code.
            None => verifications::pending(self.conn, &self.user.id, CodePurpose::SignUp)?
                .filter(|flow| flow.code_digest.is_some())
                .map(|flow| flow.email),
        };
        let is_confirmed = match email {
            Some(email) => email::confirm(self.conn, self.user, &email, self.now)?,
            None => false,
        };
        if !is_confirmed {
            return Err(not_now(t(
                "This email address belongs to another account, so it can't be confirmed for this one.",
            )));
        }
        verifications::end_all(self.conn, &self.user.id, CodePurpose::SignUp, self.now)?;
        let confirmed = User { verified_at: Some(self.now), ..self.user.clone() };
        let was = self.user.status();
        self.note(Kind::Verified, was.as_str(), confirmed.status().as_str())
    }

    pub fn send_code(self, rules: CodeRules) -> Result<Done, ActError> {
        let flow = match self.user.status() {
            AccountStatus::Unverified => {
                verifications::pending(self.conn, &self.user.id, CodePurpose::SignUp)?
            }
            AccountStatus::Active | AccountStatus::Leaving | AccountStatus::Blocked(_) => None,
        };
        let Some(flow) = flow else {
            return Err(not_now(t("This person isn't waiting for a sign-up code.")));
        };
        let sent = codes::renew(self.conn, self.user, &flow, &rules, &Asker::Staff, self.now)?;
        sent.map_err(too_soon)?;
        self.note(Kind::CodeSent, "", &flow.email.masked())
    }

    pub fn send_reset(self, rules: LinkRules) -> Result<Done, ActError> {
        if !matches!(self.user.status(), AccountStatus::Active | AccountStatus::Leaving) {
            return Err(not_now(t(
                "Password links are only for accounts that are confirmed and not blocked.",
            )));
        }
        passwords::send_reset(self.conn, self.user, rules, &Asker::Staff, self.now)?.map_err(too_soon)?;
        let to = self.user.email.as_ref().map(Email::masked).unwrap_or_default();
        self.note(Kind::ResetSent, "", &to)
    }

    pub fn reset_two_factor(self, seal: &SealKey) -> Result<Done, ActError> {
        if !self.user.has_two_factor() {
            return Err(not_now(t("This person hasn't set up two-step sign-in.")));
        }
        let why = WhyOff::Staff(self.actor.reason.clone());
        two_factor::turn_off(self.conn, self.user, why, seal, self.now)?;
        // Whoever has a session may be why this is asked for.
        sessions::end_all(self.conn, &self.user.id, None, self.now)?;
        self.note(Kind::TwoFactorOff, "", "")
    }

    pub fn remind_two_factor(self) -> Result<Done, ActError> {
        if self.user.has_two_factor() {
            return Err(not_now(t("This person has already set up two-step sign-in.")));
        }
        if self.user.status() != AccountStatus::Active {
            return Err(not_now(t("Only people with an active account can set up two-step sign-in.")));
        }
        let mail = TwoFactorDue { name: self.user.display_name().to_owned() };
        self.notify(mail)?.note(Kind::TwoFactorDue, "", "")
    }

    pub fn set_role(self, role: Role) -> Result<Done, ActError> {
        if self.user.role == role {
            return Err(not_now(t("This account already has that role.")));
        }
        users::set_role(self.conn, &self.user.id, role)?;
        trusted_devices::remove_all(self.conn, &self.user.id)?;
        // How long a session lives depends on the role.
        sessions::end_all(self.conn, &self.user.id, None, self.now)?;
        let mail = RoleChanged {
            name: self.user.display_name().to_owned(),
            role: role.as_str().to_owned(),
            reason: self.actor.reason.clone(),
        };
        let was = self.user.role.as_str();
        self.notify(mail)?.note(Kind::RoleChanged, was, role.as_str())
    }

    pub fn end_sessions(self, one: Option<&Id>) -> Result<Done, ActError> {
        let ended = match one {
            Some(id) => usize::from(sessions::end_of(self.conn, &self.user.id, id, self.now)?),
            None => sessions::end_all(self.conn, &self.user.id, None, self.now)?,
        };
        if ended == 0 {
            return Err(not_now(match one {
                Some(_) => t("That session has already ended."),
                None => t("This person is already signed out."),
            }));
        }
        self.note(Kind::SessionsEnded, &format!("sessions: {ended}"), "signed out")
    }

    pub fn remove_picture(self) -> Result<Done, ActError> {
        if self.user.picture.is_none() {
            return Err(not_now(t("This person has no picture.")));
        }
        let picture = users::set_picture(self.conn, &self.user.id, None)?;
        self.note(Kind::PictureChanged, "picture", "none")?;
        Ok(Done { picture })
    }

    pub fn edit(self, new: &Details) -> Result<Done, ActError> {
        if !free_username(self.conn, &new.username, Some(&self.user.id), self.now)? {
            return Err(ActError::UsernameTaken);
        }
        let Some((was, became)) = details::changed(self.user, new) else {
            return Err(not_now(t("You haven't changed anything.")));
        };
        users::set_details(self.conn, &self.user.id, new)?;
        self.note(Kind::DetailsChanged, &was, &became)
    }

    pub fn begin_deletion(self, rules: LeaveRules) -> Result<Done, ActError> {
        match self.user.status() {
            AccountStatus::Active => {}
            // Its person could not keep it without getting around the block.
            AccountStatus::Blocked(_) => {
                return Err(not_now(t(
                    "This account is blocked. Unblock it first, or delete it straight away.",
                )));
            }
            AccountStatus::Leaving => return Err(not_now(t("This account is already going to be deleted."))),
            // Nobody could keep it.
            AccountStatus::Unverified => return self.delete(rules.removal),
        }
        let wish = Wish::OfStaff(&self.actor.reason);
        match leaving::leaves_at(self.conn, self.user, rules, self.now)? {
            Some(at) => leaving::begin(self.conn, self.user, at, wish, rules, self.now)?,
            None => return self.delete(rules.removal),
        }
        let was = self.user.status();
        self.note(Kind::DeletionAsked, was.as_str(), AccountStatus::Leaving.as_str())
    }

    pub fn keep(self) -> Result<Done, ActError> {
        if !leaving::keep(self.conn, self.user, self.now)? {
            return Err(not_now(t("This account isn't going to be deleted.")));
        }
        let kept = User { leaves_at: None, ..self.user.clone() };
        let was = self.user.status();
        self.note(Kind::DeletionCancelled, was.as_str(), kept.status().as_str())
    }

    pub fn delete(self, rules: RemovalRules) -> Result<Done, ActError> {
        let removed = leaving::remove(self.conn, self.user, rules)?;
        let mail =
            AccountDeleted { name: self.user.display_name().to_owned(), reason: self.actor.reason.clone() };
        // Outlives the account until it is sent.
        let context = self.notify(mail)?;
        let User { username, email, role, .. } = context.user;
        let email = email.as_ref().map_or("", Email::as_str);
        let is_named = removed.name == context.user.id;
        let role = role.as_str();
        let was = if is_named { format!("{username}, {email}, {role}") } else { role.to_owned() };
        context.note_about(&removed.name, Kind::AccountRemoved, &was, "")?;
        Ok(Done { picture: removed.picture })
    }

    /// Mails a notice to the person; an address that was never confirmed may not be theirs.
    fn notify(self, mail: impl Into<Mail>) -> Result<Self, ActError> {
        if let Some(email) = self.user.confirmed_email() {
            mail::queue(self.conn, mail, &Envelope::to(&self.user.id, email), self.now)?;
        }
        Ok(self)
    }

    fn note(self, kind: Kind, was: &str, became: &str) -> Result<Done, ActError> {
        let user = &self.user.id;
        self.note_about(user, kind, was, became)
    }

    fn note_about(self, user: &Id, kind: Kind, was: &str, became: &str) -> Result<Done, ActError> {
        let event = NewEvent {
            kind,
            user: Some(user),
            actor: self.actor.id.as_ref(),
            source: &self.actor.source,
            detail: &self.actor.reason,
            was,
            became,
        };
        events::insert(self.conn, &event, self.now)?;
        Ok(Done::default())
    }
}

fn too_soon(wait: Duration) -> ActError {
    not_now(t("We emailed this address a moment ago. Try again in {wait}.").with("wait", wait))
}
