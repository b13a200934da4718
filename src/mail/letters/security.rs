//! Mails that let an owner notice what somebody else does in their name.

use super::{Letter, Write};
use crate::identity::{Message, Moment, browser_name, t};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::auth::{FORGOT, RESET, SECURE};

letter! {
    /// Somebody signed in on a device that is not known, or after several wrong passwords. Its secret is the token of the link that
    /// takes the account back; there is none for an address that may not be the owner's.
    NewSignIn("new-sign-in", t("New sign-in")) {
        name: String,
        at: Moment,
        zone: String,
        ip: String,
        place: Option<String>,
        agent: String,
        is_known_device: bool,
        link: Option<String>,
    }
}

impl NewSignIn {
    fn happened(&self) -> Message {
        let sentence = if self.is_known_device {
            t("Someone signed in to your account on {when}, after several wrong passwords.")
        } else {
            t("Someone signed in to your account on {when}, from a device we don't recognise.")
        };
        sentence.with("when", self.at)
    }

    fn from(&self) -> Message {
        match &self.place {
            Some(place) => {
                t("It was {browser}, from IP address {ip}, near {place}.").with("place", place.as_str())
            }
            None => t("It was {browser}, from IP address {ip}.").into(),
        }
        .with("browser", browser_name(&self.agent))
        .with("ip", &self.ip)
    }
}

impl Write for NewSignIn {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("New sign-in to your account"))
            .in_zone(&self.zone)
            .say(self.happened())
            .say(self.from());
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}

/// What whoever it was not does now.
pub(super) fn not_you(
    content: Content,
    writer: &MailWriter,
    link: Option<&str>,
    Enclosed { secret, left }: Enclosed<'_>,
) -> Content {
    let content = content.say(t("If this was you, you don't need to do anything."));
    match link {
        Some(link) => content
            .say(t("Not you? Secure your account now. We'll sign out every device and ask you to choose a new password."))
            .button(t("This wasn't me"), writer.url(&SECURE.to([link, secret])))
            .note(t("The link works for {lifetime}.").with("lifetime", left)),
        None => content
            .say(t("Not you? Choose a new password now. This signs you out everywhere."))
            .button(t("Choose a new password"), writer.url(FORGOT.path())),
    }
}

letter! {
    /// The person took the account back from inside it; the secret is the token of the link to choose a password.
    AccountSecured("account-secured", t("Account secured")) { name: String, link: String }
}

impl Write for AccountSecured {
    fn write(&self, writer: &MailWriter, Enclosed { secret, left }: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Your account is now secure"))
            .say(t("Every device has been signed out, and the old password no longer works. Choose a new one to sign in again:"))
            .button(t("Choose a new password"), writer.url(&RESET.to([&self.link, secret])))
            .note(t("You can use the link once. It works for {lifetime}. After that, choose “Forgot your password?” on the sign-in page to get a new one.").with("lifetime", left));
        Some(content)
    }
}

letter! {
    /// Everything that is kept about the person has been downloaded. Its secret is the token of the link that takes the account back, as
    /// in [`NewSignIn`].
    DataDownloaded("data-downloaded", t("Data downloaded")) {
        name: String,
        at: Moment,
        zone: String,
        ip: String,
        link: Option<String>,
    }
}

impl Write for DataDownloaded {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let downloaded = t("A copy of your data was downloaded on {when}, from IP address {ip}.");
        let content = writer
            .content(&self.name, t("Your data has been downloaded"))
            .in_zone(&self.zone)
            .say(downloaded.with("when", self.at).with("ip", &self.ip));
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}
