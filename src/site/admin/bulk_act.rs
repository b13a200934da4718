//! The acts that can be done to several accounts at once, and what is said before they are.

use crate::accounts::administration::{Act, ActKind};
use crate::identity::{AccountStatus, Id, Message, Sentence, t, tn};
use crate::records::users::Listed;
use crate::records::users::two_factor::TwoFactor;
use crate::web::notice::Notice;

/// Each with the question, the button that answers it, what is said once it is done, and what it will do.
macro_rules! bulk_acts {
    ($($act:ident: $ask_one:literal, $ask_other:literal, $do_one:literal, $do_other:literal,
        $done_one:literal, $done_other:literal, $effect:literal;)+) => {
        /// An act on several accounts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum BulkAct { $($act),+ }

        impl BulkAct {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$act),+];

            /// What the list of accounts may say.
            pub const NOTICES: &[&Notice] = &[$(Self::$act.notice()),+];

            /// The same act on one account.
            pub fn act(self) -> Act {
                match self { $(Self::$act => Act::$act),+ }
            }

            /// Asks before it is done.
            pub fn question(self, count: usize) -> Message {
                match self { $(Self::$act => tn($ask_one, $ask_other, count)),+ }
            }

            /// Names the button that does it.
            pub fn button(self, count: usize) -> Message {
                match self { $(Self::$act => tn($do_one, $do_other, count)),+ }
            }

            /// What is said of how often it happened.
            pub const fn notice(self) -> &'static Notice {
                match self {
                    $(Self::$act => {
                        const NOTICE: Notice =
                            Notice::counted(concat!("bulk-", stringify!($act)), $done_one, $done_other);
                        &NOTICE
                    })+
                }
            }

            /// Says what it will do.
            pub fn effect(self) -> Sentence {
                match self { $(Self::$act => t($effect)),+ }
            }
        }
    };
}

bulk_acts! {
    Block:
        "Block 1 account?", "Block {count} accounts?",
        "Block 1 account", "Block {count} accounts",
        "1 account blocked. Details are in Events.", "{count} accounts blocked. Details are in Events.",
        "They're signed out everywhere straight away and can't sign in. We'll email the reason to people with a confirmed address.";
    Unblock:
        "Unblock 1 account?", "Unblock {count} accounts?",
        "Unblock 1 account", "Unblock {count} accounts",
        "1 account unblocked. Details are in Events.", "{count} accounts unblocked. Details are in Events.",
        "They can sign in again. We'll email people with a confirmed address.";
    Verify:
        "Confirm 1 email address?", "Confirm {count} email addresses?",
        "Confirm 1 email address", "Confirm {count} email addresses",
        "1 email address confirmed. Details are in Events.", "{count} email addresses confirmed. Details are in Events.",
        "People who are waiting for a code can sign in without it.";
    SendCode:
        "Send 1 new code?", "Send {count} new codes?",
        "Send 1 new code", "Send {count} new codes",
        "1 new code is on its way.", "{count} new codes are on their way.",
        "People who are waiting for a code get a new one. Older codes stop working.";
    RemindTwoFactor:
        "Ask 1 person to set up two-step sign-in?", "Ask {count} people to set up two-step sign-in?",
        "Email 1 person", "Email {count} people",
        "1 email is on its way.", "{count} emails are on their way.",
        "We'll email people with an active account who haven't set it up yet.";
    EndSessions:
        "Sign out 1 account?", "Sign out {count} accounts?",
        "Sign out 1 account", "Sign out {count} accounts",
        "1 account signed out. Details are in Events.", "{count} accounts signed out. Details are in Events.",
        "They're signed out everywhere. They can sign in again.";
    Delete:
        "Delete 1 account?", "Delete {count} accounts?",
        "Delete 1 account", "Delete {count} accounts",
        "1 account deleted. Details are in Events.", "{count} accounts deleted. Details are in Events.",
        "This permanently deletes the accounts, their pictures and their sessions. Their events are kept. We'll email the reason to people with a confirmed address.";
}

impl BulkAct {
    /// Reads its word in the form.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|act| act.kind().word() == word)
    }

    /// Whether it changes anything about an account, for who acts.
    pub fn applies_to(self, user: &Listed, actor: &Id) -> bool {
        user.id != *actor
            && match self {
                Self::Block => user.blocked_at.is_none(),
                Self::Unblock => user.blocked_at.is_some(),
                Self::Verify => user.verified_at.is_none(),
                Self::SendCode => user.status() == AccountStatus::Unverified,
                Self::RemindTwoFactor => {
                    user.two_factor(&[]) == TwoFactor::Off && user.status() == AccountStatus::Active
                }
                Self::EndSessions | Self::Delete => true,
            }
    }

    /// The kind of act.
    pub fn kind(self) -> ActKind {
        self.act().kind()
    }
}
