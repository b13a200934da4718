//! Mails about the second step of signing in.

use serde::{Deserialize, Serialize};

use super::security::not_you;
use super::{Letter, Write};
use crate::identity::{Message, Moment, t, tn};
use crate::mail::content::{Content, Enclosed, MailWriter};
use crate::paths::account::{RECOVERY_CODES, TWO_FACTOR};
use crate::paths::auth::KEEP_TWO_FACTOR;

/// What was added, by the name that its person gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewFactor {
    App(String),
    Passkey(String),
}

letter! {
    /// An authenticator or a passkey was added. Its secret is the token of the link that takes the account back, as in
    /// [`super::security::NewSignIn`].
    FactorAdded("factor-added", t("App or passkey added")) {
        name: String,
        at: Moment,
        zone: String,
        ip: String,
        what: NewFactor,
        is_first: bool,
        link: Option<String>,
    }
}

impl Write for FactorAdded {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let subject = match &self.what {
            NewFactor::Passkey(_) if self.is_first => t("Passkey added: two-step sign-in is on"),
            NewFactor::App(_) if self.is_first => t("Two-step sign-in is on"),
            NewFactor::App(_) => t("New authenticator app"),
            NewFactor::Passkey(_) => t("New passkey"),
        };
        let added: Message = match &self.what {
            NewFactor::App(name) if name.is_empty() => {
                t("An authenticator app was added to your account on {when}, from IP address {ip}.").into()
            }
            NewFactor::App(name) => t(
                "The authenticator app “{added}” was added to your account on {when}, from IP address {ip}.",
            )
            .with("added", name),
            NewFactor::Passkey(name) if name.is_empty() => {
                t("A passkey was added to your account on {when}, from IP address {ip}.").into()
            }
            NewFactor::Passkey(name) => {
                t("The passkey “{added}” was added to your account on {when}, from IP address {ip}.")
                    .with("added", name)
            }
        };
        let added = added.with("when", self.at).with("ip", &self.ip);
        let mut content = writer.content(&self.name, subject).in_zone(&self.zone).say(added);
        if let NewFactor::Passkey(_) = &self.what {
            content = content.say(t("Anyone who can use this passkey can sign in without your password."));
        }
        if self.is_first {
            content = content.say(match &self.what {
                NewFactor::App(_) => t("From now on, you'll need your password and a code from the app to sign in. Keep your recovery codes somewhere safe."),
                NewFactor::Passkey(_) => t("Your password alone isn't enough any more. Keep your recovery codes somewhere safe."),
            });
        }
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}

letter! {
    /// Somebody signed in with a recovery code.
    RecoveryCodeUsed("recovery-code-used", t("Recovery code used")) {
        name: String,
        at: Moment,
        zone: String,
        left: u32,
        are_few: bool,
        link: Option<String>,
    }
}

impl Write for RecoveryCodeUsed {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let left: Message = match self.left {
            0 => t("You have no recovery codes left.").into(),
            left => tn("You have 1 recovery code left.", "You have {count} recovery codes left.", left),
        };
        let content = writer
            .content(&self.name, t("A recovery code was used"))
            .in_zone(&self.zone)
            .say(
                t("One of your recovery codes was used on {when}. It no longer works.").with("when", self.at),
            )
            .say(left);
        let content = if self.are_few {
            content
                .say(t("Make new codes so that you can still sign in if you lose your phone:"))
                .say(Message::verbatim(writer.url(RECOVERY_CODES.path())))
        } else {
            content
        };
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TwoFactorChange {
    AppRemoved,
    PasskeyRemoved,
    /// New recovery codes replaced those before.
    CodesMade,
}

letter! {
    /// An authenticator or a passkey was removed, or recovery codes were replaced. Its secret is that of [`FactorAdded`].
    TwoFactorChanged("two-factor-changed", t("Two-step sign-in changed")) {
        name: String,
        at: Moment,
        zone: String,
        what: TwoFactorChange,
        link: Option<String>,
    }
}

impl Write for TwoFactorChanged {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let happened = match self.what {
            TwoFactorChange::AppRemoved => t("An authenticator app was removed from your account on {when}."),
            TwoFactorChange::PasskeyRemoved => t("A passkey was removed from your account on {when}."),
            TwoFactorChange::CodesMade => {
                t("New recovery codes were made for your account on {when}. The old ones no longer work.")
            }
        };
        let content = writer
            .content(&self.name, t("Two-step sign-in has been changed"))
            .in_zone(&self.zone)
            .say(happened.with("when", self.at));
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}

/// Why signing in takes no second step any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhyOff {
    /// Its person turned it off.
    Person,
    /// They said that they had lost it, and waited.
    Lost,
    /// Staff turned it off, for that reason.
    Staff(String),
}

letter! {
    /// Signing in takes no second step any more. Its secret is that of [`FactorAdded`].
    TwoFactorOff("two-factor-off", t("Two-step sign-in off")) {
        name: String,
        at: Moment,
        zone: String,
        why: WhyOff,
        link: Option<String>,
    }
}

impl Write for TwoFactorOff {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let content = writer.content(&self.name, t("Two-step sign-in is off")).in_zone(&self.zone);
        let content = match &self.why {
            WhyOff::Person => content.say(
                t("Someone signed in to your account turned off two-step sign-in on {when}.")
                    .with("when", self.at),
            ),
            WhyOff::Lost => content
                .say(t("Two-step sign-in was turned off on {when}, as requested.").with("when", self.at)),
            WhyOff::Staff(reason) => content
                .say(t("An administrator turned off two-step sign-in on {when}.").with("when", self.at))
                .say(t("Reason: {reason}").with("reason", reason.as_str())),
        };
        let content = content
            .say(t(
                "Your apps and passkeys no longer work: your password is enough to sign in. You can set up two-step sign-in again at any time:",
            ))
            .say(Message::verbatim(writer.url(TWO_FACTOR.path())));
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}

/// Why signing in will take no second step any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhyEnding {
    /// Somebody who has the password says that they have lost it.
    Lost,
    /// Whoever has the mailbox took the account back from who turned it on.
    TakenBack,
}

letter! {
    /// Somebody who has the password says that they have lost the second step. The secret is the token of the link that stops it.
    TwoFactorEnding("two-factor-ending", t("Two-step sign-in will be turned off")) {
        name: String,
        at: Moment,
        zone: String,
        why: WhyEnding,
        link: String,
    }
}

impl Write for TwoFactorEnding {
    fn write(&self, writer: &MailWriter, Enclosed { secret, .. }: Enclosed<'_>) -> Option<Content> {
        let (subject, happened, if_you, if_not) = match self.why {
            WhyEnding::Lost => (
                t("Did you ask to turn off two-step sign-in?"),
                t("Someone entered your password and said that they can't use their passkey or app."),
                t(
                    "If this was you, you don't need to do anything. From {when} you can sign in with just your password.",
                ),
                t("Not you? Keep two-step sign-in, then change your password. Someone else knows it."),
            ),
            WhyEnding::TakenBack => (
                t("Two-step sign-in will be turned off"),
                t(
                    "Someone chose “This wasn't me” in an email from us. Two-step sign-in had been turned on shortly before.",
                ),
                t(
                    "If you didn't turn it on, you don't need to do anything. From {when} you can sign in with just your new password.",
                ),
                t("Did you turn it on yourself? Keep it."),
            ),
        };
        let content = writer
            .content(&self.name, subject)
            .in_zone(&self.zone)
            .say(happened)
            .say(if_you.with("when", self.at))
            .say(if_not)
            .button(t("Keep two-step sign-in"), writer.url(&KEEP_TWO_FACTOR.to([&self.link, secret])));
        Some(content)
    }
}

letter! {
    /// Staff ask for a second step.
    TwoFactorDue("two-factor-due", t("Set up two-step sign-in")) { name: String }
}

impl Write for TwoFactorDue {
    fn write(&self, writer: &MailWriter, _: Enclosed<'_>) -> Option<Content> {
        let content = writer
            .content(&self.name, t("Set up two-step sign-in"))
            .say(t("An administrator has asked you to set up two-step sign-in. After your password, you'll enter a code from an app on your phone."))
            .say(t("It takes about 5 minutes."))
            .button(t("Set up two-step sign-in"), writer.url(TWO_FACTOR.path()));
        Some(content)
    }
}

letter! {
    /// Somebody took the first step of signing in, and then gave five wrong codes. Its secret is that of [`FactorAdded`].
    WrongCodes("wrong-codes", t("Wrong codes")) {
        name: String,
        at: Moment,
        zone: String,
        // Whether the first step was a code that was emailed, and not the password.
        by_email: bool,
        link: Option<String>,
    }
}

impl Write for WrongCodes {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content> {
        let (subject, happened) = if self.by_email {
            (
                t("Someone may be reading your email"),
                t(
                    "On {when}, someone entered a sign-in code that we emailed to you, and then several wrong two-step codes.",
                ),
            )
        } else {
            (
                t("Someone may know your password"),
                t("On {when}, someone entered your password and then several wrong codes."),
            )
        };
        let content =
            writer.content(&self.name, subject).in_zone(&self.zone).say(happened.with("when", self.at));
        Some(not_you(content, writer, self.link.as_deref(), enclosed))
    }
}
