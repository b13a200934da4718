//! Mails about one's own account.

use super::{Letter, Write};
use crate::identity::{Moment, t};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::account::CHANGE_EMAIL;
use crate::paths::auth::{FORGOT, UNDO_EMAIL};

letter! {
    /// The password has been changed. Its link only leads to where a new one is asked for.
    PasswordChanged("password-changed", t("Password changed")) {
        name: String,
        at: Moment,
        zone: String,
        ip: String,
    }
}

impl Write for PasswordChanged {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let changed = t("Your password was changed on {when}, from IP address {ip}.");
        let content = writer
            .content(&self.name, t("Your password has been changed"))
            .in_zone(&self.zone)
            .say(changed.with("when", self.at).with("ip", &self.ip))
            .say(t("If this was you, you don't need to do anything."))
            .say(t("Not you? Choose a new password now. This signs you out everywhere."))
            .button(t("Choose a new password"), writer.url(FORGOT.path()));
        Some(content)
    }
}

letter! {
    /// The code that confirms another address of an account; its secret is the code.
    ConfirmNewEmail("confirm-new-email", t("Email change code")) { }
}

impl Write for ConfirmNewEmail {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            // Without the name: the address may be a stranger's.
            .content("", t("{code} is your {site} code").with("code", secret).with("site", &writer.brand.name))
            .say(t("Enter this code to confirm your new email address:"))
            .code(secret)
            .button(t("Enter the code"), writer.url(CHANGE_EMAIL.path()))
            .note(t("The code works for {lifetime}. Only the newest code works.").with("lifetime", left))
            .note(t("Not you? You can ignore this email. Nothing changes without the code. Never share this code."));
        Some(content)
    }
}

letter! {
    /// An address is not the account's any more, and has no way back: it was only for a short while, or its change was undone.
    EmailTakenAway("email-taken-away", t("Old email address removed")) { name: String, new_email: String }
}

impl Write for EmailTakenAway {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let changed = t("Your account now uses {email} instead of this email address.");
        let content = writer
            .content(&self.name, t("Your email address has been changed"))
            .say(changed.with("email", &self.new_email))
            .say(t("If this was you, you don't need to do anything."))
            .with_help();
        Some(content)
    }
}

letter! {
    /// The address has been changed: the notice to the old one. Its secret is the token of the link that undoes it.
    EmailChanged("email-changed", t("Email address changed")) { name: String, new_email: String, link: String }
}

impl Write for EmailChanged {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let changed =
            t("The email address for your account is now {email}. From now on, we'll send emails there.");
        let content = writer
            .content(&self.name, t("Your email address has been changed"))
            .say(changed.with("email", &self.new_email))
            .say(t("If this was you, you don't need to do anything."))
            .say(t("Not you? Restore this address now. This signs you out everywhere, and you'll need to choose a new password."))
            .button(t("Restore this address"), writer.url(&UNDO_EMAIL.to([&self.link, secret])))
            .note(t("The link works for {lifetime}.").with("lifetime", left));
        Some(content)
    }
}
