//! Mails: what they say, how they are queued, and how they leave.
//!
//! A mail is queued in the same transaction as what it tells ([`queue`]); the [`courier`] renders and sends it
//! later, so that no page waits for a mail server and no mail is lost with it.

pub mod courier;
mod letter;
pub mod mailbox;
mod recovery;
pub mod transport;

use std::time::Duration;

use diesel::QueryResult;
use serde::{Deserialize, Serialize};

pub use letter::{Letter, Stationery, masked};

use crate::db::Connection;
use crate::identity::{Id, Message, Moment, Otp, Purpose};
use crate::records::links;
use crate::records::mail_budgets::{self, Budget};
use crate::records::outbox::{self, NewMail};
use crate::records::users::User;
use crate::records::verifications::{self, Verification};

/// Every mail that there is, with what it says. The secret it carries is kept apart, to be erased.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "kebab-case")]
pub enum Mail {
    /// The code that confirms the address of a new account; its secret is the code.
    VerifyAddress {
        /// Whom it greets.
        username: String,
        /// The flow whose page takes the code.
        flow: String,
    },
    /// Somebody tried to sign up with an address that has an account.
    AccountExists {
        /// Whom it greets.
        username: String,
    },
    /// The way to a new password; its secret is the link's token.
    ResetPassword {
        /// Whom it greets.
        username: String,
        /// The link.
        link: String,
    },
    /// The password was changed. Carries no link that does anything.
    PasswordChanged {
        /// Whom it greets.
        username: String,
        /// When.
        at: String,
        /// From which address.
        from: String,
    },
    /// The code that confirms another address of an account; its secret is the code.
    ConfirmNewAddress {
        /// Whom it greets.
        username: String,
    },
    /// The address was changed, told to the old one; its secret is the token of the link that undoes it.
    AddressChanged {
        /// Whom it greets.
        username: String,
        /// The new address, as far as the old one's reader may see it.
        new_address: String,
        /// The link.
        link: String,
    },
    /// A superuser made an account; its secret is the token of the link to choose a password.
    Invitation {
        /// Whom it greets.
        username: String,
        /// The link.
        link: String,
    },
    /// A superuser blocked the account.
    AccountBlocked {
        /// Whom it greets.
        username: String,
        /// Why.
        reason: String,
    },
    /// A superuser lifted the block.
    AccountUnblocked {
        /// Whom it greets.
        username: String,
    },
    /// A superuser gave the account another role.
    RoleChanged {
        /// Whom it greets.
        username: String,
        /// The role, in its word.
        role: String,
    },
    /// A superuser deleted the account.
    AccountRemoved {
        /// Whom it greets.
        username: String,
        /// Why.
        reason: String,
    },
    /// Somebody asked for a new password. No mail: the courier answers it with one, or with nothing, so that
    /// the page that asked did the same work for everybody. Its secret is what was typed.
    RecoveryAsked,
    /// That mail works at all, for `latchkey send-test-mail`.
    Test,
}

impl Mail {
    fn kind(&self) -> &'static str {
        match self {
            Self::VerifyAddress { .. } => "verify-address",
            Self::AccountExists { .. } => "account-exists",
            Self::ResetPassword { .. } => "reset-password",
            Self::PasswordChanged { .. } => "password-changed",
            Self::ConfirmNewAddress { .. } => "confirm-new-address",
            Self::AddressChanged { .. } => "address-changed",
            Self::Invitation { .. } => "invitation",
            Self::AccountBlocked { .. } => "account-blocked",
            Self::AccountUnblocked { .. } => "account-unblocked",
            Self::RoleChanged { .. } => "role-changed",
            Self::AccountRemoved { .. } => "account-removed",
            Self::RecoveryAsked => "recovery-asked",
            Self::Test => "test",
        }
    }
}

/// What a kind of mail is called on a page.
pub fn kind_name(kind: &str) -> Message {
    match kind {
        "verify-address" => "Code for a sign-up".into(),
        "account-exists" => "There is an account already".into(),
        "reset-password" => "Link to choose a new password".into(),
        "password-changed" => "Password changed".into(),
        "confirm-new-address" => "Code for another address".into(),
        "address-changed" => "Address changed".into(),
        "invitation" => "Invitation".into(),
        "account-blocked" => "Account blocked".into(),
        "account-unblocked" => "Account open again".into(),
        "role-changed" => "Another role".into(),
        "account-removed" => "Account deleted".into(),
        // Written to the outbox, answered by the courier, never sent.
        "recovery-asked" => "A forgotten password, to be looked up".into(),
        other => Message::new(other.to_owned()),
    }
}

/// To whom a mail goes, and for how long it makes sense to send it.
pub struct Posting<'a> {
    /// Whom it is about.
    pub user: Option<&'a Id>,
    /// The address.
    pub to: &'a str,
    /// The code or token that it carries.
    pub secret: Option<&'a str>,
    /// For how long it is worth sending.
    pub lifetime: Option<Duration>,
    /// Whether it is only written for the sake of equal work.
    pub withheld: bool,
}

impl<'a> Posting<'a> {
    /// A notice to a person, worth sending whenever it can be.
    pub fn to(user: &'a Id, address: &'a str) -> Self {
        Self { user: Some(user), to: address, secret: None, lifetime: None, withheld: false }
    }

    /// The same with a secret that is good for so long.
    #[must_use]
    pub fn with_secret(self, secret: &'a str, lifetime: Duration) -> Self {
        Self { secret: Some(secret), lifetime: Some(lifetime), ..self }
    }
}

/// Queues a mail.
pub fn queue(conn: &mut Connection, mail: &Mail, posting: &Posting<'_>, now: Moment) -> QueryResult<()> {
    let fields = serde_json::to_string(mail)
        .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    let new = NewMail {
        kind: mail.kind(),
        user: posting.user,
        recipient: posting.to,
        fields,
        secret: posting.secret,
        expires_at: posting.lifetime.map(|lifetime| now.plus(lifetime)),
        withheld: posting.withheld,
    };
    outbox::insert(conn, &new, now)
}

/// A code on its way to an address.
pub struct CodeMail<'a> {
    /// Whose it is.
    pub user: &'a Id,
    /// Whom it greets.
    pub username: &'a str,
    /// The flow whose page takes it.
    pub flow: &'a Id,
    /// What it is good for.
    pub purpose: Purpose,
    /// Where it goes.
    pub address: &'a str,
    /// `None` queues nothing that will ever be sent, with the same work.
    pub code: Option<&'a Otp>,
    /// How long it is good.
    pub lifetime: Duration,
}

/// Queues a code.
pub fn queue_code(conn: &mut Connection, new: &CodeMail<'_>, now: Moment) -> QueryResult<()> {
    let username = new.username.to_owned();
    let mail = match new.purpose {
        Purpose::ChangeEmail => Mail::ConfirmNewAddress { username },
        _ => Mail::VerifyAddress { username, flow: new.flow.as_str().to_owned() },
    };
    let posting = Posting {
        withheld: new.code.is_none(),
        ..Posting::to(new.user, new.address).with_secret(new.code.map_or("", Otp::expose), new.lifetime)
    };
    queue(conn, &mail, &posting, now)
}

/// Replaces the code of a flow and queues the new one, or tells how long to wait until that may be. For a flow that no
/// code ever fits, it is the same work.
pub fn renew_code(
    conn: &mut Connection,
    (flow, user): (&Verification, &User),
    key: &[u8; 32],
    lifetime: Duration,
    now: Moment,
) -> QueryResult<Result<(), Duration>> {
    let budget = mail_budgets::take(conn, &flow.address.to_ascii_lowercase(), Budget::Code, now)?;
    let (code, digest) = flow.new_code(key).unzip();
    if budget.is_ok() && verifications::replace_code(conn, flow, digest.as_ref(), lifetime, now)? {
        let new = CodeMail {
            user: &user.id,
            username: &user.username,
            flow: &flow.id,
            purpose: flow.purpose,
            address: &flow.address,
            code: code.as_ref(),
            lifetime,
        };
        queue_code(conn, &new, now)?;
    }
    Ok(budget)
}

/// Queues a link to choose a new password, or tells how long to wait until that may be. Older links stop working.
pub fn send_reset(
    conn: &mut Connection,
    user: &User,
    lifetime: Duration,
    now: Moment,
) -> QueryResult<Result<(), Duration>> {
    // To the address that we know, never to one that was typed.
    let Some(address) = user.email.as_deref() else { return Ok(Ok(())) };
    let budget = mail_budgets::take(conn, &address.to_ascii_lowercase(), Budget::Reset, now)?;
    if budget.is_ok() {
        let mail = |link| Mail::ResetPassword { username: user.username.clone(), link };
        queue_password_link(conn, (&user.id, address), mail, lifetime, now)?;
    }
    Ok(budget)
}

/// Queues a mail with the one link of a person to choose a password.
pub fn queue_password_link(
    conn: &mut Connection,
    (user, address): (&Id, &str),
    mail: impl FnOnce(String) -> Mail,
    lifetime: Duration,
    now: Moment,
) -> QueryResult<()> {
    // One live link for a person: the newest.
    links::revoke(conn, user, Purpose::ResetPassword, now)?;
    let (link, token) = links::issue(conn, user, Purpose::ResetPassword, address, lifetime, now)?;
    let mail = mail(link.as_str().to_owned());
    queue(conn, &mail, &Posting::to(user, address).with_secret(&token.expose(), lifetime), now)
}
