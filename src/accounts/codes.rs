//! One-time codes: made, budgeted and mailed.

use std::time::Duration;

use diesel::QueryResult;

use crate::config::Config;
use crate::db::Connection;
use crate::identity::{CodePurpose, Moment, Otp};
use crate::keys::{Keys, SealKey};
use crate::mail::{self, ConfirmNewEmail, Envelope, Mail, SignInCode, VerifyEmail};
use crate::records::mail_budgets::{self, Asker, Budget};
use crate::records::users::User;
use crate::records::verifications::{self, Verification};

/// What making a code needs to know of the site.
#[derive(Clone, Copy)]
pub struct CodeRules {
    /// The key of the stored hashes.
    pub key: [u8; 32],
    /// Seals a code that waits for its mail.
    pub seal: SealKey,
    /// How long a code works.
    pub lifetime: Duration,
}

impl CodeRules {
    /// Takes the rules from the settings.
    pub fn new(config: &Config, keys: &Keys) -> Self {
        Self { key: keys.code, seal: keys.outbox, lifetime: config.otp_lifetime }
    }
}

/// Queues the code of a flow. Without one the same work is done, and nothing will ever be sent.
pub fn queue(
    conn: &mut Connection,
    user: &User,
    flow: &Verification,
    code: Option<&Otp>,
    rules: &CodeRules,
    now: Moment,
) -> QueryResult<()> {
    let mail: Mail = match flow.purpose {
        CodePurpose::SignUp => VerifyEmail { flow: flow.id.as_str().to_owned() }.into(),
        CodePurpose::ChangeEmail => ConfirmNewEmail {}.into(),
        CodePurpose::SignIn => SignInCode { name: user.display_name().to_owned() }.into(),
    };
    // Whoever signs in is mailed where their account says: another spelling may be another mailbox.
    let to = user.confirmed_email().filter(|_| flow.purpose == CodePurpose::SignIn).unwrap_or(&flow.email);
    let envelope = Envelope::to(&user.id, to);
    let envelope = match code {
        Some(code) => envelope.with_secret(code.expose(), rules.lifetime, &rules.seal),
        None => envelope.withheld(rules.lifetime),
    };
    mail::queue(conn, mail, &envelope, now)
}

/// Replaces the code of a flow and queues the new one, or returns how long to wait until that may be. For a flow that no code
/// ever fits, it is the same work.
pub fn renew(
    conn: &mut Connection,
    user: &User,
    flow: &Verification,
    rules: &CodeRules,
    asker: &Asker,
    now: Moment,
) -> QueryResult<Result<(), Duration>> {
    let budget = mail_budgets::take(conn, &flow.email, Budget::Code, asker, now)?;
    if budget.is_ok() {
        replace(conn, user, flow, rules, now)?;
    }
    Ok(budget)
}

/// Replaces the code of a flow, if that is open, and queues the new one, of which the caller knows that it may be mailed.
pub fn replace(
    conn: &mut Connection,
    user: &User,
    flow: &Verification,
    rules: &CodeRules,
    now: Moment,
) -> QueryResult<()> {
    let (code, digest) = flow.new_code(&rules.key).unzip();
    if verifications::replace_code(conn, flow, digest.as_ref(), rules.lifetime, now)? {
        queue(conn, user, flow, code.as_ref(), rules, now)?;
    }
    Ok(())
}
