//! What mails say, and how they are queued.
//!
//! A mail is queued in the same transaction as what it reports ([`queue`]); the courier writes and sends it later, so
//! that no page waits for a mail server and no mail is lost with it. Each mail is a struct of its own in `letters`.

mod content;
mod letters;

use std::time::Duration;

use diesel::QueryResult;

pub use content::{Content, LOGO, MASK, MailWriter};
use letters::Letter;
pub use letters::{account::*, admin::*, auth::*, leaving::*, security::*, two_factor::*};

use crate::db::Connection;
use crate::identity::{Email, Id, Message, Moment};
use crate::keys::SealKey;
use crate::records::outbox::{self, NewMail, State};

/// The list of all mails: a new one is one line here.
macro_rules! mails {
    ($($mail:ident),+ $(,)?) => {
        /// A mail, with all that it says but its secret.
        pub enum Mail {
            $(#[doc = concat!("[`", stringify!($mail), "`]")] $mail($mail)),+
        }

        impl Mail {
            /// Reads a mail back from the outbox; `None` when this version does not know it.
            pub fn read(kind: &str, fields: &str) -> Option<Self> {
                match kind {
                    $(<$mail as Letter>::KIND => serde_json::from_str(fields).ok().map(Self::$mail),)+
                    _ => None,
                }
            }

            /// Names a kind of mail on a page.
            pub fn kind_name(kind: &str) -> Message {
                match kind {
                    $(<$mail as Letter>::KIND => <$mail as Letter>::NAME.into(),)+
                    newer => Message::verbatim(newer),
                }
            }

            fn stored(&self) -> (&'static str, serde_json::Result<String>) {
                match self { $(Self::$mail(mail) => (<$mail as Letter>::KIND, serde_json::to_string(mail))),+ }
            }

            fn letter(&self) -> &dyn letters::Write {
                match self { $(Self::$mail(mail) => mail),+ }
            }
        }

        $(impl From<$mail> for Mail {
            fn from(mail: $mail) -> Self {
                Self::$mail(mail)
            }
        })+
    };
}

mails! {
    VerifyEmail,
    AccountExists,
    ResetPassword,
    RecoveryRequest,
    SignInCodeRequest,
    SignInCode,
    NoSignInCode,
    PasswordChanged,
    ConfirmNewEmail,
    EmailChanged,
    EmailTakenAway,
    NewSignIn,
    AccountSecured,
    DataDownloaded,
    FactorAdded,
    RecoveryCodeUsed,
    TwoFactorOff,
    TwoFactorEnding,
    TwoFactorDue,
    TwoFactorChanged,
    WrongCodes,
    Farewell,
    FarewellToOldAddress,
    AccountKept,
    AccountLeft,
    UnusedAccount,
    Invitation,
    AccountBlocked,
    AccountUnblocked,
    RoleChanged,
    AccountDeleted,
    TestMail,
}

/// The kind that goes to an address that somebody wants. Whether one was sent would tell them whether it is somebody else's.
pub const TO_WANTED_ADDRESS: &str = <ConfirmNewEmail as Letter>::KIND;

/// Where a mail goes, and for how long it makes sense to send it.
pub struct Envelope<'a> {
    user: Option<&'a Id>,
    to: Option<&'a Email>,
    /// Sealed.
    secret: Option<String>,
    lifetime: Option<Duration>,
    state: State,
}

impl<'a> Envelope<'a> {
    /// Addresses a notice to an account, worth sending whenever it can be.
    pub fn to(user: &'a Id, email: &'a Email) -> Self {
        Self { user: Some(user), to: Some(email), secret: None, lifetime: None, state: State::Waiting }
    }

    /// Addresses a request to the courier itself.
    pub fn to_courier() -> Self {
        Self { user: None, to: None, secret: None, lifetime: None, state: State::Waiting }
    }

    /// Encloses a secret that works for so long, sealed.
    #[must_use]
    pub fn with_secret(self, secret: &str, lifetime: Duration, seal: &SealKey) -> Self {
        Self { secret: Some(seal.seal(secret)), lifetime: Some(lifetime), ..self }
    }

    /// Keeps the mail from ever being sent: it is only written for the sake of equal work.
    #[must_use]
    pub fn withheld(self, lifetime: Duration) -> Self {
        Self { secret: None, lifetime: Some(lifetime), state: State::Withheld, ..self }
    }
}

/// Queues a mail.
pub fn queue(
    conn: &mut Connection,
    mail: impl Into<Mail>,
    envelope: &Envelope<'_>,
    now: Moment,
) -> QueryResult<()> {
    let (kind, fields) = mail.into().stored();
    let fields = fields.map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    let new = NewMail {
        kind,
        user: envelope.user,
        recipient: envelope.to.map_or("", Email::as_str),
        fields,
        secret: envelope.secret.as_deref(),
        expires_at: envelope.lifetime.map(|lifetime| now.plus(lifetime)),
        state: envelope.state,
    };
    outbox::insert(conn, &new, now)
}
