//! Mails about accounts on their way out: at their people's wish, or because nobody uses them.

use super::{Letter, Write};
use crate::identity::{Moment, t};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::auth::{KEEP, SIGN_IN_ANY, UNDO_EMAIL};

letter! {
    /// The account is going to be deleted. Its secret is the token of the link that keeps it.
    Farewell("farewell", t("Account deletion")) {
        name: String,
        at: Moment,
        zone: String,
        // Of whoever of the staff wants it.
        reason: Option<String>,
        link: String,
    }
}

impl Write for Farewell {
    fn write(&self, writer: &MailWriter, Enclosed { secret, .. }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account will be deleted"))
            .in_zone(&self.zone)
            .say(match &self.reason {
                Some(_) => t("An administrator has scheduled your account for deletion."),
                None => t("We've had a request to delete your account."),
            })
            .say(
                t("It will be deleted on {when}. Until then, you can choose to keep it.")
                    .with("when", self.at),
            )
            .because(self.reason.as_deref().unwrap_or_default())
            .button(t("Keep my account"), writer.url(&KEEP.to([&self.link, secret])));
        Some(match self.reason {
            Some(_) => content,
            None => content.note(t("Didn't ask for this? Open the link and choose “This wasn't me”.")),
        })
    }
}

letter! {
    /// The account is going to be deleted, as its address before the last changes is told. Its secret is the token of the link that
    /// restores that.
    FarewellToOldAddress("farewell-old-address", t("Account deletion, to the old address")) {
        name: String,
        at: Moment,
        zone: String,
        link: String,
    }
}

impl Write for FarewellToOldAddress {
    fn write(&self, writer: &MailWriter, Enclosed { secret, .. }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account will be deleted"))
            .in_zone(&self.zone)
            .say(t("Your account, which used this email address until recently, will be deleted on {when}.").with("when", self.at))
            .say(t("If this was you, you don't need to do anything."))
            .say(t("Not you? Restore this address now. This keeps your account, signs out every device, and you'll need to choose a new password."))
            .button(t("Restore this address"), writer.url(&UNDO_EMAIL.to([&self.link, secret])));
        Some(content)
    }
}

letter! {
    /// The account is not going to be deleted after all.
    AccountKept("account-kept", t("Account kept")) { name: String }
}

impl Write for AccountKept {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account won't be deleted"))
            .say(t("The deletion of your account has been cancelled. You can sign in as before."))
            .button(t("Sign in"), writer.url(SIGN_IN_ANY.path()));
        Some(content)
    }
}

letter! {
    /// The account has been deleted at its person's wish, without days of grace.
    AccountLeft("account-left", t("Account deleted")) { name: String }
}

impl Write for AccountLeft {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account has been deleted"))
            .say(t("You asked us to delete your account, and we have. This is our last email to you."));
        Some(content)
    }
}

letter! {
    /// Nobody has used the account for a long time.
    UnusedAccount("unused-account", t("Unused account")) { name: String, at: Moment, zone: String, deletes: bool }
}

impl Write for UnusedAccount {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let (subject, happens) = if self.deletes {
            (
                t("Your unused account will be deleted"),
                t(
                    "You haven't signed in for a long time. To keep your account, sign in before {when}. Otherwise it will be deleted then, with everything in it.",
                ),
            )
        } else {
            (
                t("Your unused account will be blocked"),
                t(
                    "You haven't signed in for a long time. To keep using your account, sign in before {when}. Otherwise it will be blocked then.",
                ),
            )
        };
        let content = writer
            .content(&self.name, subject)
            .in_zone(&self.zone)
            .say(happens.with("when", self.at))
            .button(t("Sign in"), writer.url(SIGN_IN_ANY.path()));
        Some(content)
    }
}
