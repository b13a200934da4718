//! The list of acts on accounts: their words in paths and forms, and their names on buttons.

use crate::identity::{Sentence, t};

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident: $word:literal, $name:expr, $whom:ident;)+) => {
        /// A kind of act.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ActKind { $($(#[$about])* $kind),+ }

        impl ActKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word in paths and forms.
            pub fn word(self) -> &'static str {
                match self { $(Self::$kind => $word),+ }
            }

            /// The name on a button.
            pub fn name(self) -> Sentence {
                match self { $(Self::$kind => $name),+ }
            }

            fn effect(self) -> Effect {
                match self { $(Self::$kind => Effect::$whom),+ }
            }
        }
    };
}

#[derive(PartialEq, Eq)]
enum Effect {
    Helps,
    Against,
}

kinds! {
    /// See [`super::Act::Block`].
    Block: "block", t("Block"), Against;
    /// See [`super::Act::Unblock`].
    Unblock: "unblock", t("Unblock"), Helps;
    /// See [`super::Act::Verify`].
    Verify: "verify", t("Confirm the email address"), Helps;
    /// See [`super::Act::SendCode`].
    SendCode: "send-code", t("Send a new code"), Helps;
    /// See [`super::Act::SendReset`].
    SendReset: "send-reset", t("Send a password link"), Helps;
    /// See [`super::Act::ResetTwoFactor`].
    ResetTwoFactor: "reset-two-factor", t("Turn off two-step sign-in"), Against;
    /// See [`super::Act::RemindTwoFactor`].
    RemindTwoFactor: "remind-two-factor", t("Ask to set up two-step sign-in"), Helps;
    /// See [`super::Act::SetRole`].
    SetRole: "role", t("Change role"), Against;
    /// See [`super::Act::EndSessions`].
    EndSessions: "end-sessions", t("Sign out everywhere"), Against;
    /// See [`super::Act::RemovePicture`].
    RemovePicture: "remove-picture", t("Remove the picture"), Against;
    /// See [`super::Act::Edit`].
    Edit: "edit", t("Save details"), Helps;
    /// See [`super::Act::BeginDeletion`].
    BeginDeletion: "begin-deletion", t("Delete later"), Against;
    /// See [`super::Act::Keep`].
    Keep: "keep", t("Cancel the deletion"), Helps;
    /// See [`super::Act::Delete`].
    Delete: "delete", t("Delete"), Against;
}

impl ActKind {
    /// Reads the word of a path or a form.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }

    /// Whether it is against the person: then it needs a reason, and the superuser's password of the last ten minutes.
    pub fn is_against_person(self) -> bool {
        self.effect() == Effect::Against
    }
}
