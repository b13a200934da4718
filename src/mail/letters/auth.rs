//! Mails about proving who you are.

use super::{Letter, Write};
use crate::identity::{CodePurpose, Id, LinkToken, t};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::auth::{FORGOT, RESET, SIGN_IN_ANY, VERIFY};
use crate::paths::with_query;

letter! {
    /// The code that confirms the address of a new account; its secret is the code.
    VerifyEmail("verify-email", t("Sign-up code")) { flow: String }
}

impl Write for VerifyEmail {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let flow = Id::parse(&self.flow)?;
        let token = LinkToken::of_flow(&writer.keys.link, &flow, CodePurpose::SignUp).expose();
        let content = writer
            // Without the name: a stranger may have chosen it, for somebody else's mailbox.
            .content("", t("{code} is your {site} code").with("code", secret).with("site", &writer.brand.name))
            .say(t("Enter this code to confirm your email address and finish signing up:"))
            .code(secret)
            .button(t("Confirm email address"), with_query(&writer.url(&VERIFY.to([flow.as_str(), &token])), &[("code", secret)]))
            .note(t("The code works for {lifetime}. Only the newest code works.").with("lifetime", left))
            .note(t("Didn't sign up? You can ignore this email. Without the code, the account can't be used and will be deleted. Never share this code."));
        Some(content)
    }
}

letter! {
    /// Somebody tried to sign up with an address that already has an account.
    AccountExists("account-exists", t("Account already exists")) { name: String }
}

impl Write for AccountExists {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("You already have an account"))
            .say(t("Someone – maybe you – just tried to sign up with this email address. You already have an account, so nothing has changed."))
            .button(t("Sign in"), writer.url(SIGN_IN_ANY.path()))
            .note(t("Forgot your password? Choose a new one: {url}").with("url", writer.url(FORGOT.path())))
            .note(t("Not you? You don't need to do anything. They weren't told that you have an account."));
        Some(content)
    }
}

letter! {
    /// The way to a new password; its secret is the link's token.
    ResetPassword("reset-password", t("Password link")) {
        name: String,
        link: String,
        // Whether an administrator sent it.
        by_staff: bool,
    }
}

impl Write for ResetPassword {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Choose a new password"))
            .say(if self.by_staff {
                t("An administrator sent you this link to choose a new password:")
            } else {
                t("Someone asked to reset your password. If it was you, choose a new one:")
            })
            .button(t("Choose a new password"), writer.url(&RESET.to([&self.link, secret])))
            .note(t("You can use the link once. It works for {lifetime}.").with("lifetime", left))
            .note(if self.by_staff {
                t("Don't want to? Ignore this email: your password stays the same.")
            } else {
                t("Not you? Ignore this email: your password stays the same.")
            });
        Some(content)
    }
}

letter! {
    /// Somebody asked for a new password. No mail: the courier answers it with one, or with nothing, so that the page did the
    /// same work for everybody. Its secret is what was typed.
    RecoveryRequest("recovery-request", t("Password reset request")) { network: String, lanes: Vec<String> }
}

impl Write for RecoveryRequest {
    fn write(&self, _: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        None
    }
}

letter! {
    /// Somebody asked for a code to sign in with. No mail, as [`RecoveryRequest`]; its secret is the flow, whose row has the address.
    SignInCodeRequest("sign-in-code-request", t("Sign-in code request")) { network: String, lanes: Vec<String> }
}

impl Write for SignInCodeRequest {
    fn write(&self, _: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        None
    }
}

letter! {
    /// The code that signs somebody in; its secret is the code.
    SignInCode("sign-in-code", t("Sign-in code")) { name: String }
}

impl Write for SignInCode {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("{code} is your {site} sign-in code").with("code", secret).with("site", &writer.brand.name))
            .say(t("Enter this code in the browser where you asked for it:"))
            .code(secret)
            .note(t("The code works for {lifetime}. Only the newest code works.").with("lifetime", left))
            .note(t("Didn't ask for it? You can ignore this email. Never share this code: we never ask for it by phone or chat."));
        Some(content)
    }
}

letter! {
    /// Somebody asked for a code to sign in with, and the account takes none.
    NoSignInCode("no-sign-in-code", t("No sign-in code")) { name: String }
}

impl Write for NoSignInCode {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Sign in with your password"))
            .say(t("Someone – maybe you – asked for a sign-in code. Staff accounts can't sign in with a code from an email. Use your password instead."))
            .button(t("Sign in"), writer.url(SIGN_IN_ANY.path()))
            .note(t("Forgot your password? Choose a new one: {url}").with("url", writer.url(FORGOT.path())))
            .note(t("Not you? You don't need to do anything."));
        Some(content)
    }
}
