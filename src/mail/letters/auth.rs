//! Mails about proving who you are.

use serde::{Deserialize, Serialize};

use super::{Letter, Write};
use crate::identity::{CodePurpose, Id, LinkToken, Role, Sentence, t};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::auth::{RESET, SIGN_IN, VERIFY};

/// The code that confirms the address of a new account; its secret is the code.
#[derive(Serialize, Deserialize)]
pub struct VerifyEmail {
    /// The name in the greeting.
    pub username: String,
    /// The flow whose page takes the code.
    pub flow: String,
}

impl Letter for VerifyEmail {
    const KIND: &str = "verify-email";
    const NAME: Sentence = t("Sign-up code");
}

impl Write for VerifyEmail {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let flow = Id::parse(&self.flow)?;
        let token = LinkToken::of_flow(&writer.keys.link, &flow, CodePurpose::SignUp).expose();
        let content = writer
            .content(&self.username, t("{code} is your code for Latchkey").with("code", secret))
            .say(t("Enter this code to confirm your email address and finish signing up:"))
            .code(secret)
            .button(t("Enter the code"), writer.url(&VERIFY.to([flow.as_str(), &token])))
            .note(t("The code works for {lifetime}. Only the newest code works.").with("lifetime", left))
            .note(t("Didn't sign up? Ignore this email: without the code nothing happens and the account is removed. Never share this code."));
        Some(content)
    }
}

/// Somebody tried to sign up with an address that already has an account.
#[derive(Serialize, Deserialize)]
pub struct AccountExists {
    /// The name in the greeting.
    pub username: String,
}

impl Letter for AccountExists {
    const KIND: &str = "account-exists";
    const NAME: Sentence = t("Account already exists");
}

impl Write for AccountExists {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.username, t("You already have an account"))
            .say(t("Someone – maybe you – just tried to sign up with this email address. You already have an account, so nothing has changed."))
            .button(t("Sign in"), writer.url(&SIGN_IN.to([Role::User.as_str()])))
            .note(t("If you've forgotten your password, choose “Forgot your password?” on the sign-in page."))
            .note(t("Not you? You don't need to do anything. They weren't told that you have an account."));
        Some(content)
    }
}

/// The way to a new password; its secret is the link's token.
#[derive(Serialize, Deserialize)]
pub struct ResetPassword {
    /// The name in the greeting.
    pub username: String,
    /// The link.
    pub link: String,
}

impl Letter for ResetPassword {
    const KIND: &str = "reset-password";
    const NAME: Sentence = t("Password link");
}

impl Write for ResetPassword {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.username, t("Choose a new password"))
            .say(t("Someone asked to reset your password. If it was you, choose a new one:"))
            .button(t("Choose a new password"), writer.url(&RESET.to([&self.link, secret])))
            .note(t("The link works once, for {lifetime}.").with("lifetime", left))
            .note(t("Not you? Ignore this email: your password stays the same."));
        Some(content)
    }
}

/// Somebody asked for a new password. No mail: the courier answers it with one, or with nothing, so that the page did the
/// same work for everybody. Its secret is what was typed.
#[derive(Serialize, Deserialize)]
pub struct RecoveryRequest {}

impl Letter for RecoveryRequest {
    const KIND: &str = "recovery-request";
    const NAME: Sentence = t("Password reset request");
}

impl Write for RecoveryRequest {
    fn write(&self, _: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        None
    }
}
