//! The kinds of events, and what each is called and tells.

use crate::identity::{Sentence, t};

/// Each kind of event: its word in the database and in the log, in the words of the OWASP Logging Vocabulary where it has
/// them; what a page calls it; and the sentence that tells one, and another for what somebody did to somebody else.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident: $word:literal, $name:expr, $told:expr $(, $acted:expr)?;)+) => {
        /// Kinds of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($(#[$about])* $kind),+ }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word in the database and in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),+ }
            }

            /// What it is called on a page.
            pub fn name(self) -> Sentence {
                match self { $(Self::$kind => $name),+ }
            }

            /// Tells of one, with `{user}` and `{actor}` as the people in it.
            pub(super) fn told(self) -> Sentence {
                match self { $(Self::$kind => $told),+ }
            }

            /// Tells of one that `{actor}` did to `{user}`, where there is such a kind.
            pub(super) fn acted(self) -> Option<Sentence> {
                match self { $(Self::$kind => None$(.or(Some($acted)))?),+ }
            }
        }
    };
}

kinds! {
    /// A new account that waits for its code.
    SignedUp: "signed-up", t("Signed up"), t("{user} signed up");
    /// An account was confirmed.
    Verified: "verified", t("Email address confirmed"), t("{user} confirmed their email address"), t("{actor} confirmed {user}'s email address");
    /// A wrong code.
    CodeWrong: "code-wrong", t("Wrong code"), t("{user} entered a wrong code");
    /// Signed in.
    SignedIn: "signed-in", t("Signed in"), t("{user} signed in");
    /// A wrong password, or an unknown name.
    SignInFailed: "sign-in-failed", t("Sign-in failed"), t("A sign-in as {user} failed");
    /// The right password of a blocked account.
    SignInBlocked: "sign-in-blocked", t("Sign-in refused (blocked)"), t("{user} tried to sign in while blocked");
    /// Signed out.
    SignedOut: "signed-out", t("Signed out"), t("{user} signed out");
    /// Another device was signed out by its own person.
    DeviceSignedOut: "device-signed-out", t("Device signed out"), t("{user} signed out another device");
    /// All other devices, or all of them, were.
    DevicesSignedOut: "devices-signed-out", t("Devices signed out"), t("{user} signed out their devices");
    /// An application was opened, with a session there.
    ApplicationOpened: "application-opened", t("Application opened"), t("{user} opened an application");
    /// The sessions at an application were ended by their own person.
    ApplicationLeft: "application-signed-out", t("Signed out of an application"), t("{user} signed out of an application");
    /// A wrong code of an authenticator, or a wrong recovery code, after the right password.
    FactorWrong: "factor-wrong", t("Wrong two-step code"), t("A wrong two-step code was entered for {user}");
    /// An authenticator was added.
    AuthenticatorAdded: "authenticator-added", t("Authenticator app added"), t("{user} added an authenticator app");
    /// An authenticator was removed.
    AuthenticatorRemoved: "authenticator-removed", t("Authenticator app removed"), t("{user} removed an authenticator app");
    /// A passkey was added.
    PasskeyAdded: "passkey-added", t("Passkey added"), t("{user} added a passkey");
    /// A passkey was removed.
    PasskeyRemoved: "passkey-removed", t("Passkey removed"), t("{user} removed a passkey");
    /// New recovery codes were made.
    RecoveryCodesMade: "recovery-codes-made", t("Recovery codes made"), t("{user} made new recovery codes");
    /// A recovery code was used.
    RecoveryCodeUsed: "recovery-code-used", t("Recovery code used"), t("{user} used a recovery code");
    /// A device is trusted: the password is enough there.
    DeviceTrusted: "device-trusted", t("Device trusted"), t("{user} trusted a device");
    /// One is trusted no more.
    DeviceDistrusted: "device-distrusted", t("Device no longer trusted"), t("{user} stopped trusting a device");
    /// Signing in takes no second step any more.
    TwoFactorOff: "two-factor-off", t("Two-step sign-in turned off"), t("{user} turned off two-step sign-in"), t("{actor} turned off two-step sign-in for {user}");
    /// Somebody with the password says that they have lost the second step.
    TwoFactorRecoveryBegun: "two-factor-recovery-begun", t("Asked to turn off two-step sign-in"), t("Someone asked to turn off two-step sign-in for {user}");
    /// That was stopped.
    TwoFactorRecoveryStopped: "two-factor-recovery-stopped", t("Two-step sign-in kept"), t("{user} kept two-step sign-in");
    /// They waited, and it ended.
    TwoFactorLost: "two-factor-lost", t("Two-step sign-in ended after the wait"), t("Two-step sign-in for {user} ended because they couldn't get a code");
    /// The person was asked to set it up.
    TwoFactorDue: "two-factor-due", t("Asked to set up two-step sign-in"), t("{user} was asked to set up two-step sign-in"), t("{actor} asked {user} to set up two-step sign-in");
    /// Somebody signed in proved again who they are.
    PasswordConfirmed: "password-confirmed", t("Confirmed who they are"), t("{user} confirmed who they are, with their password or a passkey");
    /// A reset link was sent.
    ResetSent: "reset-sent", t("Password link sent"), t("A password link was sent to {user}"), t("{actor} sent a password link to {user}");
    /// A new password by reset link.
    PasswordReset: "password-reset", t("Password reset"), t("{user} chose a new password using a password link");
    /// A new password by the person signed in.
    PasswordChanged: "password-changed", t("Password changed"), t("{user} changed their password");
    /// A change of email was requested.
    EmailChangeAsked: "email-change-asked", t("Email change requested"), t("{user} asked to change their email address");
    /// A new email address was confirmed.
    EmailChanged: "email-changed", t("Email changed"), t("{user} changed their email address");
    /// A change of email was undone.
    EmailRestored: "email-restored", t("Email change undone"), t("{user} undid a change to their email address");
    /// The account was taken back from whoever else had it in hand.
    AccountSecured: "account-secured", t("Account secured (“This wasn't me”)"), t("{user} chose “This wasn't me” and secured the account");
    /// Details were changed.
    DetailsChanged: "details-changed", t("Details changed"), t("{user} changed their details"), t("{actor} changed {user}'s details");
    /// The picture was changed or removed.
    PictureChanged: "picture-changed", t("Picture changed"), t("{user} changed their picture"), t("{actor} removed {user}'s picture");
    /// Everything that is kept about the person was downloaded.
    DataDownloaded: "data-downloaded", t("Data downloaded"), t("{user} downloaded a copy of their data");
    /// The days of grace before a deletion began.
    DeletionAsked: "deletion-asked", t("Deletion requested"), t("{user} asked for their account to be deleted"), t("{actor} asked for the account {user} to be deleted");
    /// They ended, and the account stays.
    DeletionCancelled: "deletion-cancelled", t("Deletion cancelled"), t("{user} kept their account"), t("{actor} cancelled the deletion of {user}'s account");
    /// They are over: the tombstone of an account.
    AccountLeft: "account-left", t("Account deleted for good"), t("An account was deleted for good");
    /// Its person was told that nobody uses the account.
    DormancyTold: "dormancy-told", t("Told that the account is unused"), t("{user} was told that their account is unused");
    /// A mail expired or was refused for good.
    MailGivenUp: "mail-given-up", t("Email undeliverable"), t("An email to {user} couldn't be delivered");
    /// An account was made from the command line.
    SuperuserCreated: "superuser-created", t("Superuser created"), t("The superuser {user} was created"), t("{actor} created the superuser {user}");
    /// An account was blocked.
    Blocked: "blocked", t("Account blocked"), t("{user} was blocked"), t("{actor} blocked {user}");
    /// An account was unblocked.
    Unblocked: "unblocked", t("Account unblocked"), t("{user} was unblocked"), t("{actor} unblocked {user}");
    /// A role was changed.
    RoleChanged: "role-changed", t("Role changed"), t("{user}'s role was changed"), t("{actor} changed {user}'s role");
    /// An account was added by a superuser.
    AccountAdded: "account-added", t("Account created"), t("The account {user} was created"), t("{actor} created the account {user}");
    /// An account was deleted.
    AccountRemoved: "account-removed", t("Account deleted"), t("The account {user} was deleted"), t("{actor} deleted the account {user}");
    /// Sessions were ended by somebody else.
    SessionsEnded: "sessions-ended", t("Signed out by an administrator"), t("{user} was signed out"), t("{actor} signed {user} out");
    /// A code was sent by a superuser.
    CodeSent: "code-sent", t("Code sent"), t("A code was sent to {user}"), t("{actor} sent a code to {user}");
    /// A code was cancelled by a superuser.
    CodeCancelled: "code-cancelled", t("Code cancelled"), t("A code for {user} was cancelled"), t("{actor} cancelled a code for {user}");
    /// A password link was cancelled by a superuser.
    ResetCancelled: "reset-cancelled", t("Password link cancelled"), t("A password link for {user} was cancelled"), t("{actor} cancelled a password link for {user}");
    /// The list of accounts was saved as a file.
    AccountsDownloaded: "accounts-downloaded", t("Accounts downloaded"), t("The list of accounts was downloaded"), t("{actor} downloaded the list of accounts");
    /// A mail was sent to the courier again.
    MailRetried: "mail-retried", t("Email queued again"), t("An email to {user} was requeued"), t("{actor} requeued an email to {user}");
    /// A mail was cancelled.
    MailCancelled: "mail-cancelled", t("Email cancelled"), t("An email to {user} was cancelled"), t("{actor} cancelled an email to {user}");
}

impl Kind {
    /// Reads a word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}
