//! What superusers may do to mail in the outbox.

use super::{ActError, Actor, not_now};
use crate::db::Connection;
use crate::identity::{Id, Moment, t};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::outbox::{self, State};

/// Something that is done to a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailAct {
    /// Let the courier try it again, at once.
    Retry,
    /// Cancel it while it waits.
    Cancel,
}

impl MailAct {
    /// The word in paths.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }

    /// Reads the word of a path.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Retry, Self::Cancel].into_iter().find(|act| act.word() == word)
    }

    /// Does it, inside the caller's transaction.
    ///
    /// # Errors
    /// Why it did not happen; nothing was changed then.
    pub fn perform(
        self,
        conn: &mut Connection,
        mail: &Id,
        actor: &Actor,
        now: Moment,
    ) -> Result<(), ActError> {
        let known = outbox::by_id(conn, mail)?.ok_or(ActError::Gone)?;
        let (is_done, kind, became) = match self {
            Self::Retry => (outbox::retry(conn, mail, now)?, Kind::MailRetried, State::Waiting),
            Self::Cancel => (outbox::cancel(conn, mail, now)?, Kind::MailCancelled, State::Cancelled),
        };
        if !is_done {
            return Err(not_now(match self {
                Self::Retry => t("This email can't be sent again: its code or link has expired."),
                Self::Cancel => t(
                    "This email can't be cancelled: it has already been sent, or we've stopped trying to send it.",
                ),
            }));
        }
        let event = NewEvent {
            kind,
            user: known.user_id.as_ref(),
            actor: actor.id.as_ref(),
            source: &actor.source,
            detail: &known.kind,
            was: known.state.as_str(),
            became: became.as_str(),
        };
        events::insert(conn, &event, now)?;
        Ok(())
    }
}
