//! Mails about what administrators did, and the test mail of an operator.

use super::{Letter, Write};
use crate::identity::{Role, t};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::auth::{RESET, SIGN_IN, SIGN_IN_ANY};

letter! {
    /// A superuser created an account; its secret is the token of the link to choose a password.
    Invitation("invitation", t("Invitation")) { username: String, inviter: String, link: String }
}

impl Write for Invitation {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let created = t(
            "{inviter} has created an account for you on {site}. Your username is {username}. Choose a password to get started:",
        );
        let created = created.with("inviter", &self.inviter).with("username", &self.username);
        let lifetime = t(
            "You can use the link once. It works for {lifetime}. After that, choose “Forgot your password?” on the sign-in page to get a new one.",
        );
        let content = writer
            .content(&self.username, t("Your new account"))
            .say(created.with("site", &writer.brand.name))
            .button(t("Choose a password"), writer.url(&RESET.to([&self.link, secret])))
            .note(lifetime.with("lifetime", left))
            .note(t(
                "Weren't expecting this? Ignore this email: nobody can use the account without the link.",
            ));
        Some(content)
    }
}

letter! {
    /// A superuser blocked the account.
    AccountBlocked("account-blocked", t("Account blocked")) { name: String, reason: String }
}

impl Write for AccountBlocked {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account has been blocked"))
            .say(t("An administrator has blocked your account."))
            .because(&self.reason)
            .say(t("You've been signed out everywhere and can't sign in."))
            .with_help();
        Some(content)
    }
}

letter! {
    /// A superuser unblocked the account.
    AccountUnblocked("account-unblocked", t("Account unblocked")) { name: String }
}

impl Write for AccountUnblocked {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account has been unblocked"))
            .say(t("An administrator has unblocked your account. You can sign in again."))
            .button(t("Sign in"), writer.url(SIGN_IN_ANY.path()));
        Some(content)
    }
}

letter! {
    /// A superuser changed the role of the account.
    RoleChanged("role-changed", t("Role changed")) { name: String, role: String, reason: String }
}

impl Write for RoleChanged {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let role = Role::parse(&self.role)?;
        let content = writer
            .content(&self.name, t("Your role has changed"))
            .say(t("Your role is now {role}. Please sign in again.").with("role", role.name()))
            .because(&self.reason)
            .button(t("Sign in"), writer.url(&SIGN_IN.to([role.as_str()])));
        Some(content)
    }
}

letter! {
    /// A superuser deleted the account.
    AccountDeleted("account-deleted", t("Account deleted")) { name: String, reason: String }
}

impl Write for AccountDeleted {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account has been deleted"))
            .say(t("An administrator has deleted your account."))
            .because(&self.reason)
            .with_help();
        Some(content)
    }
}

letter! {
    /// A mail of `latchkey send-test-mail`, which shows that mail works at all.
    TestMail("test", t("Test email")) { }
}

impl Write for TestMail {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer.content("", t("A test email from {site}").with("site", &writer.brand.name)).say(
            t("This email shows that {site} can send email with its current settings.")
                .with("site", &writer.brand.name),
        );
        Some(content)
    }
}
