//! What superusers may do to other people's accounts, one rule for each act: shared by the admin pages, by their bulk
//! acts and by the command line.
//!
//! Every act that happened leaves an event that says who did it, why, and what it was before and after. Nobody acts on
//! themselves here, and the last superuser who can sign in stays one.

mod kinds;
pub mod mails;
mod perform;

use diesel::result::Error;

pub use kinds::ActKind;
use perform::ActContext;

use super::codes::CodeRules;
use crate::accounts::leaving::LeaveRules;
use crate::accounts::passwords::LinkRules;
use crate::config::Config;
use crate::db::{self, Connection};
use crate::identity::{Details, Id, Message, Moment, Role, t, visible_line};
use crate::keys::Keys;
use crate::records::events::Source;
use crate::records::users;

/// The longest reason, in characters.
const MAX_REASON: usize = 200;

/// Something that is done to an account.
#[derive(Clone, Debug)]
pub enum Act {
    /// Block it; the person is shown the reason.
    Block,
    Unblock,
    /// Treat its email address as confirmed.
    Verify,
    /// Mail another code for its sign-up.
    SendCode,
    /// Mail a link to choose a new password.
    SendReset,
    /// Turn the second step of signing in off, for whoever has lost it.
    ResetTwoFactor,
    /// Mail a request to set it up.
    RemindTwoFactor,
    SetRole(Role),
    /// End all of its sessions.
    EndSessions,
    EndSession(Id),
    RemovePicture,
    Edit(Details),
    /// Delete it after the days of grace; the person is mailed the way back.
    BeginDeletion,
    /// Keep it after all.
    Keep,
    /// Remove it at once, with everything that belongs to it.
    Delete,
}

/// Who acts, from where and why.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The superuser; none on the command line.
    pub id: Option<Id>,
    pub source: Source,
    /// The reason that was given; may be empty for acts that are not against the person.
    pub reason: String,
}

/// What acts need to know of the site.
#[derive(Clone, Copy)]
pub struct Rules {
    codes: CodeRules,
    links: LinkRules,
    leave: LeaveRules,
}

impl Rules {
    /// Takes the rules from the settings.
    pub fn new(config: &Config, keys: &Keys) -> Self {
        Self {
            codes: CodeRules::new(config, keys),
            links: LinkRules { lifetime: config.reset_lifetime, seal: keys.outbox },
            leave: LeaveRules::new(config, keys),
        }
    }
}

/// Why an act did not happen. Nothing was changed then.
#[derive(Debug)]
pub enum ActError {
    /// There is no such account or mail any more.
    Gone,
    UsernameTaken,
    /// An account has that email address.
    EmailTaken,
    /// It makes no sense for this account, as the message says.
    NotNow(Message),
    Database(db::Error),
}

impl From<Error> for ActError {
    fn from(error: Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<db::Error> for ActError {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl db::TransactionError for ActError {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Gone | Self::UsernameTaken | Self::EmailTaken | Self::NotNow(_) => None,
        }
    }
}

/// An act that happened.
#[derive(Debug, Default)]
pub struct Done {
    /// The picture that no row names any more.
    pub picture: Option<String>,
}

impl ActKind {
    /// Reads the reason as typed, on one line; required for what is against the person.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reason(self, typed: &str) -> Result<String, Message> {
        let spaced: String = typed.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let reason = visible_line(&spaced).trim().to_owned();
        if self.is_against_person() && reason.is_empty() {
            return Err(t("Enter a reason. It's recorded in Events, and the person may see it.").into());
        }
        if reason.chars().count() > MAX_REASON {
            return Err(t("Reason must be {limit} characters or fewer.").with("limit", MAX_REASON));
        }
        Ok(reason)
    }
}

impl Act {
    /// Says of which kind it is.
    pub fn kind(&self) -> ActKind {
        match self {
            Self::Block => ActKind::Block,
            Self::Unblock => ActKind::Unblock,
            Self::Verify => ActKind::Verify,
            Self::SendCode => ActKind::SendCode,
            Self::SendReset => ActKind::SendReset,
            Self::ResetTwoFactor => ActKind::ResetTwoFactor,
            Self::RemindTwoFactor => ActKind::RemindTwoFactor,
            Self::SetRole(_) => ActKind::SetRole,
            Self::EndSessions | Self::EndSession(_) => ActKind::EndSessions,
            Self::RemovePicture => ActKind::RemovePicture,
            Self::Edit(_) => ActKind::Edit,
            Self::BeginDeletion => ActKind::BeginDeletion,
            Self::Keep => ActKind::Keep,
            Self::Delete => ActKind::Delete,
        }
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
    ) -> Result<Done, ActError> {
        if actor.id.as_ref() == Some(user) {
            return Err(not_now(t("This is your own account. You can change it on your profile page.")));
        }
        // Before anything else is locked, so that of two who act at once neither waits for the other indefinitely, and whoever it is:
        // they may just be becoming one.
        let other_superusers = match self {
            Self::Block | Self::SetRole(_) | Self::BeginDeletion | Self::Delete => {
                Some(users::lock_superusers_and_count_others(conn, user)?)
            }
            Self::Unblock
            | Self::Verify
            | Self::SendCode
            | Self::SendReset
            | Self::ResetTwoFactor
            | Self::RemindTwoFactor
            | Self::EndSessions
            | Self::EndSession(_)
            | Self::RemovePicture
            | Self::Edit(_)
            | Self::Keep => None,
        };
        let user = users::lock(conn, user)?.ok_or(ActError::Gone)?;
        if user.role == Role::Superuser && other_superusers == Some(0) {
            return Err(not_now(t(
                "This is the last superuser who can sign in. Add another superuser first.",
            )));
        }
        let context = ActContext { conn, user: &user, actor, now };
        match self {
            Self::Block => context.block(),
            Self::Unblock => context.unblock(),
            Self::Verify => context.verify(),
            Self::SendCode => context.send_code(rules.codes),
            Self::SendReset => context.send_reset(rules.links),
            Self::ResetTwoFactor => context.reset_two_factor(&rules.links.seal),
            Self::RemindTwoFactor => context.remind_two_factor(),
            Self::SetRole(role) => context.set_role(*role),
            Self::EndSessions => context.end_sessions(None),
            Self::EndSession(id) => context.end_sessions(Some(id)),
            Self::RemovePicture => context.remove_picture(),
            Self::Edit(details) => context.edit(details),
            Self::BeginDeletion => context.begin_deletion(rules.leave),
            Self::Keep => context.keep(),
            Self::Delete => context.delete(rules.leave.removal),
        }
    }
}

fn not_now(message: impl Into<Message>) -> ActError {
    ActError::NotNow(message.into())
}
