//! What each act does, and the event that it leaves.

use std::time::Duration;

use super::{Actor, Details, Done, Refused, Rules, not_now};
use crate::db::Connection;
use crate::identity::{Id, Message, Moment, Purpose, Role, Standing};
use crate::mail::{self, Mail, Posting};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::users::{self, User};
use crate::records::{links, outbox, sign_ins, verifications};

/// One act on one person, whose row is locked.
pub(super) struct Step<'a> {
    pub conn: &'a mut Connection,
    pub user: &'a User,
    pub actor: &'a Actor,
    pub now: Moment,
}

impl Step<'_> {
    pub fn block(self) -> Result<Done, Refused> {
        if self.user.blocked_at.is_some() {
            return Err(not_now("This account is blocked already."));
        }
        let id = &self.user.id;
        users::set_blocked(self.conn, id, Some((self.now, &self.actor.reason)))?;
        sign_ins::end_all(self.conn, id, None, self.now)?;
        verifications::end_all(self.conn, id, Purpose::ChangeEmail, self.now)?;
        links::revoke(self.conn, id, Purpose::ResetPassword, self.now)?;
        let (username, reason) = (self.user.username.clone(), self.actor.reason.clone());
        let was = self.user.standing().as_str();
        self.tell(&Mail::AccountBlocked { username, reason })?.note(Kind::Blocked, was, "blocked")
    }

    pub fn unblock(self) -> Result<Done, Refused> {
        let Some(reason) = self.user.blocked_at.and(self.user.blocked_reason.clone()) else {
            return Err(not_now("This account is not blocked."));
        };
        users::set_blocked(self.conn, &self.user.id, None)?;
        let opened = User { blocked_at: None, ..self.user.clone() };
        let became = opened.standing().as_str();
        let mail = Mail::AccountUnblocked { username: self.user.username.clone() };
        self.tell(&mail)?.note(Kind::Unblocked, &format!("blocked: {reason}"), became)
    }

    pub fn verify(self) -> Result<Done, Refused> {
        if self.user.verified_at.is_some() {
            return Err(not_now("This address is confirmed already."));
        }
        if self.user.email.is_none() {
            return Err(not_now(
                "This address belongs to another account, so it cannot be confirmed for this one.",
            ));
        }
        users::set_verified(self.conn, &self.user.id, self.now)?;
        verifications::end_all(self.conn, &self.user.id, Purpose::SignUp, self.now)?;
        let confirmed = User { verified_at: Some(self.now), ..self.user.clone() };
        let was = self.user.standing();
        self.note(Kind::Verified, was.as_str(), confirmed.standing().as_str())
    }

    pub fn send_code(self, rules: Rules) -> Result<Done, Refused> {
        let flow = match self.user.standing() {
            Standing::Unverified => verifications::pending(self.conn, &self.user.id, Purpose::SignUp)?,
            _ => None,
        };
        let Some(flow) = flow else {
            return Err(not_now("There is no sign-up of this person that waits for a code."));
        };
        let sent =
            mail::renew_code(self.conn, (&flow, self.user), &rules.code_key, rules.otp_lifetime, self.now)?;
        sent.map_err(too_soon)?;
        self.note(Kind::CodeSent, "", &flow.address)
    }

    pub fn send_reset(self, rules: Rules) -> Result<Done, Refused> {
        if self.user.standing() != Standing::Active {
            return Err(not_now(
                "A link to choose a password is for accounts that are confirmed and not blocked.",
            ));
        }
        mail::send_reset(self.conn, self.user, rules.reset_lifetime, self.now)?.map_err(too_soon)?;
        let to = self.user.email.clone().unwrap_or_default();
        self.note(Kind::ResetSent, "", &to)
    }

    pub fn set_role(self, role: Role) -> Result<Done, Refused> {
        if self.user.role == role {
            return Err(not_now("This account has that role already."));
        }
        users::set_role(self.conn, &self.user.id, role)?;
        // How long a session lives depends on the role.
        sign_ins::end_all(self.conn, &self.user.id, None, self.now)?;
        let (username, was) = (self.user.username.clone(), self.user.role.as_str());
        let mail = Mail::RoleChanged { username, role: role.as_str().to_owned() };
        self.tell(&mail)?.note(Kind::RoleChanged, was, role.as_str())
    }

    pub fn end_sessions(self, one: Option<&Id>) -> Result<Done, Refused> {
        let ended = match one {
            Some(id) => usize::from(sign_ins::end_of(self.conn, &self.user.id, id, self.now)?),
            None => sign_ins::end_all(self.conn, &self.user.id, None, self.now)?,
        };
        if ended == 0 {
            return Err(not_now("This person is signed out already."));
        }
        self.note(Kind::SessionsEnded, &format!("{ended} signed in"), "signed out")
    }

    pub fn remove_picture(self) -> Result<Done, Refused> {
        if self.user.picture.is_none() {
            return Err(not_now("This person has no picture."));
        }
        let picture = users::set_picture(self.conn, &self.user.id, None)?;
        self.note(Kind::PictureChanged, "a picture", "none")?;
        Ok(Done { picture })
    }

    pub fn edit(self, new: &Details) -> Result<Done, Refused> {
        if !verifications::make_way(self.conn, &new.username.canonical(), Some(&self.user.id), self.now)? {
            return Err(Refused::NameTaken);
        }
        let fields = [
            ("username", self.user.username.as_str(), new.username.as_str()),
            ("name", self.user.full_name.as_str(), new.full_name.as_str()),
            ("phone", self.user.phone.as_str(), new.phone.as_str()),
            ("about", self.user.about.as_str(), new.about.as_str()),
        ];
        let changed: Vec<_> = fields.into_iter().filter(|(_, was, became)| was != became).collect();
        if changed.is_empty() {
            return Err(not_now("Nothing was changed."));
        }
        let details = (&new.full_name, &new.phone, &new.about);
        users::set_details(self.conn, &self.user.id, &new.username, details)?;
        let list =
            |pick: fn(&(&str, &str, &str)) -> String| changed.iter().map(pick).collect::<Vec<_>>().join("; ");
        let was = list(|(name, was, _)| format!("{name} “{was}”"));
        let became = list(|(name, _, became)| format!("{name} “{became}”"));
        self.note(Kind::DetailsChanged, &was, &became)
    }

    pub fn delete(self) -> Result<Done, Refused> {
        let User { username, email, role, picture, .. } = self.user.clone();
        outbox::cancel_of(self.conn, &self.user.id, self.now)?;
        let mail = Mail::AccountRemoved { username: username.clone(), reason: self.actor.reason.clone() };
        let step = self.tell(&mail)?;
        users::remove(step.conn, &step.user.id)?;
        let was = format!("{username}, {}, {}", email.unwrap_or_default(), role.as_str());
        step.note(Kind::AccountRemoved, &was, "")?;
        Ok(Done { picture })
    }

    /// A notice to the person; where their address was never confirmed, it may not be theirs.
    fn tell(self, mail: &Mail) -> Result<Self, Refused> {
        if let Some(address) = self.user.email.as_deref().filter(|_| self.user.verified_at.is_some()) {
            mail::queue(self.conn, mail, &Posting::to(&self.user.id, address), self.now)?;
        }
        Ok(self)
    }

    fn note(self, kind: Kind, was: &str, became: &str) -> Result<Done, Refused> {
        let event = NewEvent {
            kind,
            user: Some(&self.user.id),
            actor: self.actor.id.as_ref(),
            origin: &self.actor.origin,
            detail: &self.actor.reason,
            was,
            became,
        };
        events::insert(self.conn, &event, self.now)?;
        Ok(Done::default())
    }
}

fn too_soon(wait: Duration) -> Refused {
    let wait = wait.as_secs() + 1;
    not_now(
        Message::new("This address was mailed just now. The next mail can go in {seconds} seconds.")
            .with("seconds", wait),
    )
}
