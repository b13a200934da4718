//! The audit trail: who did what, when and from where. Nothing in the program changes a row of it.

use std::time::Duration;

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::events;
use crate::identity::{Id, Moment};

/// How long events are kept.
const KEPT: Duration = Duration::from_secs(400 * 86_400);

/// Kinds of events, in the words of the OWASP Logging Vocabulary where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A new account that waits for its code.
    SignedUp,
    /// An account was confirmed.
    Verified,
    /// A wrong code.
    CodeWrong,
    /// Signed in.
    SignedIn,
    /// A wrong password, or an unknown name.
    SignInFailed,
    /// The right password of a blocked account.
    SignInBlocked,
    /// Signed out.
    SignedOut,
    /// The password was given again.
    PasswordConfirmed,
    /// A reset link was sent.
    ResetSent,
    /// A new password by reset link.
    PasswordReset,
    /// A new password by the person signed in.
    PasswordChanged,
    /// Another address was asked for.
    EmailChangeAsked,
    /// Another address was confirmed.
    EmailChanged,
    /// The old address was brought back.
    EmailRestored,
    /// Details were changed.
    DetailsChanged,
    /// The picture was changed or removed.
    PictureChanged,
    /// A mail ran out of time or was refused for good.
    MailGivenUp,
    /// An account was made from the command line.
    SuperuserCreated,
}

impl Kind {
    /// The word in the database and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedUp => "signed-up",
            Self::Verified => "verified",
            Self::CodeWrong => "code-wrong",
            Self::SignedIn => "signed-in",
            Self::SignInFailed => "sign-in-failed",
            Self::SignInBlocked => "sign-in-blocked",
            Self::SignedOut => "signed-out",
            Self::PasswordConfirmed => "password-confirmed",
            Self::ResetSent => "reset-sent",
            Self::PasswordReset => "password-reset",
            Self::PasswordChanged => "password-changed",
            Self::EmailChangeAsked => "email-change-asked",
            Self::EmailChanged => "email-changed",
            Self::EmailRestored => "email-restored",
            Self::DetailsChanged => "details-changed",
            Self::PictureChanged => "picture-changed",
            Self::MailGivenUp => "mail-given-up",
            Self::SuperuserCreated => "superuser-created",
        }
    }
}

/// Where something came from: the address of the browser, or `-` for the program itself.
#[derive(Clone, Debug)]
pub struct Origin(pub String);

/// Writes down that something happened. `detail` never holds a secret.
pub fn note(
    conn: &mut Connection,
    kind: Kind,
    user: Option<&Id>,
    origin: &Origin,
    detail: &str,
    now: Moment,
) -> QueryResult<()> {
    diesel::insert_into(events::table)
        .values((
            events::id.eq(Id::new()),
            events::at.eq(now),
            events::kind.eq(kind.as_str()),
            events::user_id.eq(user),
            events::address.eq(&origin.0),
            events::detail.eq(detail),
        ))
        .execute(conn)
        .map(drop)
}

/// Forgets events after 400 days.
pub fn sweep(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    diesel::delete(events::table.filter(events::at.lt(now.minus(KEPT)))).execute(conn)
}
