//! What events say to the person whose account they are about.

use super::{Event, Kind, PICTURE_REMOVED, UNDONE};
use crate::identity::{Id, Message, Moment, Role, Sentence, t};

/// An event as its person may have it: nothing of who else did it, nor from where.
#[derive(serde::Serialize)]
pub struct OwnEvent<'a> {
    id: &'a Id,
    at: Moment,
    kind: &'a str,
    source: Option<&'a str>,
    detail: &'a str,
    was: &'a str,
    became: &'a str,
}

/// What somebody did to somebody else, as they may have it: nothing of whom.
#[derive(serde::Serialize)]
pub struct OwnAct<'a> {
    id: &'a Id,
    at: Moment,
    kind: &'a str,
    source: &'a str,
    detail: &'a str,
}

impl Event {
    /// Describes it for a download of the person whose account it is about.
    pub fn for_owner(&self) -> OwnEvent<'_> {
        OwnEvent {
            id: &self.id,
            at: self.at,
            kind: &self.kind,
            source: self.actor_id.is_none().then_some(&self.source),
            detail: &self.detail,
            was: &self.was,
            became: &self.became,
        }
    }

    /// Describes it for a download of the person who did it.
    pub fn for_actor(&self) -> OwnAct<'_> {
        OwnAct { id: &self.id, at: self.at, kind: &self.kind, source: &self.source, detail: &self.detail }
    }

    /// Tells its person what happened to their account. Who of the staff did it is not for them to see; why, is.
    pub fn told_to_owner(&self) -> Message {
        let Some(kind) = self.kind() else { return Message::verbatim(self.kind.clone()) };
        let role = Role::parse(&self.became).filter(|_| kind == Kind::RoleChanged);
        match role {
            Some(role) => t("An administrator changed your role to {role}").with("role", role.name()),
            None if kind == Kind::PictureChanged && self.detail == PICTURE_REMOVED && !self.is_act() => {
                t("You removed your picture").into()
            }
            None if kind == Kind::PictureChanged && self.detail == UNDONE => {
                t("You put your picture back").into()
            }
            None if kind == Kind::DetailsChanged && self.detail == UNDONE => {
                t("You undid a change to your details").into()
            }
            None => yours(kind, self.is_act()).into(),
        }
    }
}

fn yours(kind: Kind, is_act: bool) -> Sentence {
    match (kind, is_act) {
        (Kind::SignedUp, _) => t("You signed up"),
        (Kind::Verified, false) => t("You confirmed your email address"),
        (Kind::Verified, true) => t("An administrator confirmed your email address"),
        (Kind::CodeWrong, _) => t("A wrong code was entered"),
        (Kind::SignedIn, _) => t("You signed in"),
        (Kind::SignInFailed, _) => t("Someone tried to sign in with a wrong password"),
        (Kind::SignInBlocked, _) => t("You tried to sign in while your account was blocked"),
        (Kind::SignedOut, _) => t("You signed out"),
        (Kind::DeviceSignedOut, _) => t("You signed out another device"),
        (Kind::DevicesSignedOut, _) => t("You signed out your devices"),
        (Kind::ApplicationOpened, _) => t("You opened an application"),
        (Kind::ApplicationLeft, _) => t("You signed out of an application"),
        (Kind::FactorWrong, _) => t("A wrong two-step code was entered"),
        (Kind::AuthenticatorAdded, _) => t("You added an authenticator app"),
        (Kind::AuthenticatorRemoved, _) => t("You removed an authenticator app"),
        (Kind::PasskeyAdded, _) => t("You added a passkey"),
        (Kind::PasskeyRemoved, _) => t("You removed a passkey"),
        (Kind::RecoveryCodesMade, _) => t("You made new recovery codes"),
        (Kind::RecoveryCodeUsed, _) => t("You used a recovery code"),
        (Kind::DeviceTrusted, _) => t("You trusted a device"),
        (Kind::DeviceDistrusted, _) => t("You stopped trusting a device"),
        (Kind::TwoFactorOff, false) => t("You turned off two-step sign-in"),
        (Kind::TwoFactorOff, true) => t("An administrator turned off two-step sign-in"),
        (Kind::TwoFactorRecoveryBegun, _) => t("Someone asked to turn off two-step sign-in"),
        (Kind::TwoFactorRecoveryStopped, _) => t("You kept two-step sign-in"),
        (Kind::TwoFactorLost, _) => t("Two-step sign-in ended because you couldn't get a code"),
        (Kind::TwoFactorDue, _) => t("An administrator asked you to set up two-step sign-in"),
        (Kind::PasswordConfirmed, _) => t("You confirmed who you are, with your password or a passkey"),
        (Kind::ResetSent, false) => t("Someone asked for a password link"),
        (Kind::ResetSent, true) => t("An administrator sent you a password link"),
        (Kind::PasswordReset, _) => t("You chose a new password using a password link"),
        (Kind::PasswordChanged, _) => t("You changed your password"),
        (Kind::EmailChangeAsked, _) => t("You asked to change your email address"),
        (Kind::EmailChanged, _) => t("You changed your email address"),
        (Kind::EmailRestored, _) => t("A change to your email address was undone"),
        (Kind::AccountSecured, _) => t("You chose “This wasn't me” and secured your account"),
        (Kind::DataDownloaded, _) => t("You downloaded a copy of your data"),
        (Kind::DeletionAsked, false) => t("You asked for your account to be deleted"),
        (Kind::DeletionAsked, true) => t("An administrator asked for your account to be deleted"),
        (Kind::DeletionCancelled, false) => t("You kept your account"),
        (Kind::DeletionCancelled, true) => t("An administrator cancelled the deletion of your account"),
        (Kind::AccountLeft, _) => t("Your account was deleted"),
        (Kind::DormancyTold, _) => t("We told you that your account is unused"),
        (Kind::DetailsChanged, false) => t("You changed your details"),
        (Kind::DetailsChanged, true) => t("An administrator changed your details"),
        (Kind::PictureChanged, false) => t("You changed your picture"),
        (Kind::PictureChanged, true) => t("An administrator removed your picture"),
        (Kind::MailGivenUp, _) => t("An email to you couldn't be delivered"),
        (Kind::SuperuserCreated | Kind::AccountAdded, _) => t("An administrator created your account"),
        (Kind::Blocked, false) => t("Your account was blocked because nobody used it"),
        (Kind::Blocked, true) => t("An administrator blocked your account"),
        (Kind::Unblocked, _) => t("An administrator unblocked your account"),
        (Kind::RoleChanged, _) => t("An administrator changed your role"),
        (Kind::AccountRemoved, _) => t("An administrator deleted your account"),
        (Kind::SessionsEnded, _) => t("An administrator signed you out"),
        (Kind::CodeSent, _) => t("An administrator sent you a code"),
        (Kind::CodeCancelled, _) => t("An administrator cancelled a code for you"),
        (Kind::ResetCancelled, _) => t("An administrator cancelled a password link for you"),
        (Kind::AccountsDownloaded, _) => t("You downloaded the list of accounts"),
        (Kind::MailRetried, _) => t("An administrator requeued an email to you"),
        (Kind::MailCancelled, _) => t("An administrator cancelled an email to you"),
    }
}
