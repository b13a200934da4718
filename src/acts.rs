//! What superusers may do to other people's accounts, one rule for each act: shared by the admin pages, by their bulk
//! acts and by the command line.
//!
//! Every act that happened leaves an event that says who did it, why, and what it was before and after. Nobody acts on
//! themselves here, and the last superuser who can sign in stays one.

use std::time::Duration;

use diesel::result::Error;

use crate::config::Config;
use crate::db::{self, Connection};
use crate::identity::{About, FullName, Id, Message, Moment, Phone, Purpose, Role, Standing, Username};
use crate::keys::Keys;
use crate::mail::{self, Mail, Posting};
use crate::records::events::{self, Kind, NewEvent, Origin};
use crate::records::users::{self, User};
use crate::records::{links, outbox, sign_ins, verifications};

/// Something that is done to an account.
#[derive(Clone, Debug)]
pub enum Act {
    /// Shut it; the person is told the reason.
    Block,
    /// Open it again.
    Unblock,
    /// Take its address as confirmed.
    Verify,
    /// Mail another code for its sign-up.
    SendCode,
    /// Mail a link to choose a new password.
    SendReset,
    /// Give it another role.
    SetRole(Role),
    /// Sign out all of its browsers.
    EndSessions,
    /// Sign out one of them.
    EndSession(Id),
    /// Take its picture away.
    RemovePicture,
    /// Change its details.
    Edit(Details),
    /// Remove it, with all that hangs on it.
    Delete,
}

/// The details that can be changed.
#[derive(Clone, Debug)]
pub struct Details {
    /// Must be free.
    pub username: Username,
    /// May be empty.
    pub full_name: FullName,
    /// May be empty.
    pub phone: Phone,
    /// May be empty.
    pub about: About,
}

/// Who acts, from where and why.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The superuser; none on the command line.
    pub id: Option<Id>,
    /// From where.
    pub origin: Origin,
    /// The reason that was given; may be empty for acts that are not against the person.
    pub reason: String,
}

/// What acts need to know of the site.
#[derive(Clone, Copy)]
pub struct Rules {
    code_key: [u8; 32],
    otp_lifetime: Duration,
    reset_lifetime: Duration,
}

impl Rules {
    /// The rules that the settings make.
    pub fn new(config: &Config, keys: &Keys) -> Self {
        Self { code_key: keys.code, otp_lifetime: config.otp_lifetime, reset_lifetime: config.reset_lifetime }
    }
}

/// Why an act did not happen. Nothing was changed then.
#[derive(Debug)]
pub enum Refused {
    /// There is no such person any more.
    Gone,
    /// It makes no sense for this person, as the message says.
    NotNow(Message),
    /// The database's.
    Database(db::Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<db::Error> for Refused {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl db::Failure for Refused {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// An act that happened.
#[derive(Debug, Default)]
pub struct Done {
    /// The picture that no row names any more.
    pub picture: Option<String>,
}

impl Act {
    /// Whether it is against the person: then it needs a reason, and the superuser's password of late.
    pub fn is_against(&self) -> bool {
        matches!(
            self,
            Self::Block
                | Self::SetRole(_)
                | Self::EndSessions
                | Self::EndSession(_)
                | Self::RemovePicture
                | Self::Delete
        )
    }

    /// Does it, inside the caller's transaction.
    ///
    /// # Errors
    /// Why it did not happen; the caller's transaction must end then.
    pub fn perform(
        &self,
        conn: &mut Connection,
        user: &Id,
        actor: &Actor,
        rules: Rules,
        now: Moment,
    ) -> Result<Done, Refused> {
        if actor.id.as_ref() == Some(user) {
            return Err(not_now(
                "This is your own account. Nobody acts on themselves here: use your profile.",
            ));
        }
        let seen = users::by_id(conn, user)?.ok_or(Refused::Gone)?;
        // Before anything is locked, so that of two who act at once none waits for the other for ever.
        if seen.role == Role::Superuser
            && matches!(self, Self::Block | Self::SetRole(_) | Self::Delete)
            && !users::another_superuser_can_act(conn, user)?
        {
            return Err(not_now("This is the last superuser who can sign in. Make another one first."));
        }
        let user = users::lock(conn, user)?.ok_or(Refused::Gone)?;
        let step = Step { conn, user: &user, actor, now };
        match self {
            Self::Block => step.block(),
            Self::Unblock => step.unblock(),
            Self::Verify => step.verify(),
            Self::SendCode => step.send_code(rules),
            Self::SendReset => step.send_reset(rules),
            Self::SetRole(role) => step.set_role(*role),
            Self::EndSessions => step.end_sessions(None),
            Self::EndSession(id) => step.end_sessions(Some(id)),
            Self::RemovePicture => step.remove_picture(),
            Self::Edit(details) => step.edit(details),
            Self::Delete => step.delete(),
        }
    }
}

fn not_now(message: impl Into<Message>) -> Refused {
    Refused::NotNow(message.into())
}

/// One act on one person, whose row is locked.
struct Step<'a> {
    conn: &'a mut Connection,
    user: &'a User,
    actor: &'a Actor,
    now: Moment,
}

impl Step<'_> {
    fn block(self) -> Result<Done, Refused> {
        if self.user.blocked_at.is_some() {
            return Err(not_now("This account is blocked already."));
        }
        let id = &self.user.id;
        users::set_blocked(self.conn, id, Some((self.now, &self.actor.reason)))?;
        sign_ins::end_all(self.conn, id, None, self.now)?;
        verifications::end_all(self.conn, id, Purpose::ChangeEmail, self.now)?;
        links::revoke(self.conn, id, Purpose::ResetPassword, self.now)?;
        let (username, reason) = (self.user.username.clone(), self.actor.reason.clone());
        let was = standing_word(&self.user.standing());
        self.tell(&Mail::AccountBlocked { username, reason })?.note(Kind::Blocked, was, "blocked")
    }

    fn unblock(self) -> Result<Done, Refused> {
        let Some(reason) = self.user.blocked_at.and(self.user.blocked_reason.clone()) else {
            return Err(not_now("This account is not blocked."));
        };
        users::set_blocked(self.conn, &self.user.id, None)?;
        let opened = User { blocked_at: None, ..self.user.clone() };
        let became = standing_word(&opened.standing());
        let mail = Mail::AccountUnblocked { username: self.user.username.clone() };
        self.tell(&mail)?.note(Kind::Unblocked, &format!("blocked: {reason}"), became)
    }

    fn verify(self) -> Result<Done, Refused> {
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
        self.note(Kind::Verified, "unverified", "active")
    }

    fn send_code(self, rules: Rules) -> Result<Done, Refused> {
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

    fn send_reset(self, rules: Rules) -> Result<Done, Refused> {
        if self.user.standing() != Standing::Active {
            return Err(not_now(
                "A link to choose a password is for accounts that are confirmed and not blocked.",
            ));
        }
        mail::send_reset(self.conn, self.user, rules.reset_lifetime, self.now)?.map_err(too_soon)?;
        let to = self.user.email.clone().unwrap_or_default();
        self.note(Kind::ResetSent, "", &to)
    }

    fn set_role(self, role: Role) -> Result<Done, Refused> {
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

    fn end_sessions(self, one: Option<&Id>) -> Result<Done, Refused> {
        let ended = match one {
            Some(id) => usize::from(sign_ins::end_of(self.conn, &self.user.id, id, self.now)?),
            None => sign_ins::end_all(self.conn, &self.user.id, None, self.now)?,
        };
        if ended == 0 {
            return Err(not_now("This person is signed out already."));
        }
        self.note(Kind::SessionsEnded, &format!("{ended} signed in"), "signed out")
    }

    fn remove_picture(self) -> Result<Done, Refused> {
        if self.user.picture.is_none() {
            return Err(not_now("This person has no picture."));
        }
        let picture = users::set_picture(self.conn, &self.user.id, None)?;
        self.note(Kind::PictureChanged, "a picture", "none")?;
        Ok(Done { picture })
    }

    fn edit(self, new: &Details) -> Result<Done, Refused> {
        if !verifications::make_way(self.conn, &new.username.canonical(), Some(&self.user.id), self.now)? {
            return Err(not_now("This username is taken. Please choose another one."));
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

    fn delete(self) -> Result<Done, Refused> {
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

/// The word of a standing, as the trail and addresses have it.
pub fn standing_word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::Unverified => "unverified",
        Standing::Blocked(_) => "blocked",
    }
}
