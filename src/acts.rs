//! What superusers may do to other people's accounts, one rule for each act: shared by the admin pages, by their bulk
//! acts and by the command line.
//!
//! Every act that happened leaves an event that says who did it, why, and what it was before and after. Nobody acts on
//! themselves here, and the last superuser who can sign in stays one.

pub mod mails;
mod step;

use std::time::Duration;

use diesel::result::Error;

use crate::config::Config;
use crate::db::{self, Connection};
use crate::identity::{About, FullName, Id, Message, Moment, Phone, Role, Username};
use crate::keys::Keys;
use crate::records::events::Origin;
use crate::records::users;
use step::Step;

/// The longest reason, in characters.
const MAX_REASON: usize = 200;

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
    /// Somebody has that username.
    NameTaken,
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

    /// The reason as typed, on one line; needed for what is against the person.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reason(&self, typed: &str) -> Result<String, Message> {
        let reason: String = typed.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if self.is_against() && reason.is_empty() {
            return Err("Give a reason. The person may be told, and it stands in the events.".into());
        }
        if reason.chars().count() > MAX_REASON {
            return Err("A reason has 200 characters at most.".into());
        }
        Ok(reason)
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
            return Err(not_now("This is your own account. You can change it on your profile page."));
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
