//! What superusers may do to mail in the outbox.

use super::{Actor, Refused, not_now};
use crate::db::Connection;
use crate::identity::{Id, Moment};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::outbox::{self, State};

/// Something that is done to a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailAct {
    /// Let the courier try it again, at once.
    Retry,
    /// Stop it while it waits.
    Cancel,
}

impl MailAct {
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
    ) -> Result<(), Refused> {
        let known = outbox::by_id(conn, mail)?.ok_or(Refused::Gone)?;
        let (done, kind, became) = match self {
            Self::Retry => (outbox::retry(conn, mail, now)?, Kind::MailRetried, State::Waiting),
            Self::Cancel => (outbox::cancel(conn, mail, now)?, Kind::MailCancelled, State::Cancelled),
        };
        if !done {
            return Err(not_now("This mail has come to its end, and the code or link in it is gone."));
        }
        let event = NewEvent {
            kind,
            user: known.user_id.as_ref(),
            actor: actor.id.as_ref(),
            origin: &actor.origin,
            detail: &known.kind,
            was: known.state.as_str(),
            became: became.as_str(),
        };
        Ok(events::insert(conn, &event, now)?)
    }
}
