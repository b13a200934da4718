//! One struct for each mail: what it needs to know, and what it says.

/// Declares a mail: what it is called in the outbox and on a page, and what it needs to know.
macro_rules! letter {
    ($(#[$about:meta])* $mail:ident($kind:literal, $name:expr) { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, serde::Serialize, serde::Deserialize)]
        pub struct $mail { $(pub $field: $type),* }

        impl Letter for $mail {
            const KIND: &str = $kind;
            const NAME: crate::identity::Sentence = $name;
        }
    };
}

pub(super) mod account;
pub(super) mod admin;
pub(super) mod auth;
pub(super) mod leaving;
pub(super) mod security;
pub(super) mod two_factor;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::content::{Content, Enclosed, MailWriter};
use crate::identity::Sentence;

/// How a mail is kept and listed.
pub(super) trait Letter: Write + Serialize + DeserializeOwned {
    /// The word in the outbox.
    const KIND: &str;
    /// The name on a page.
    const NAME: Sentence;
}

/// What a mail says; `None` when it is answered by the courier instead.
pub(super) trait Write {
    fn write(&self, writer: &MailWriter, enclosed: Enclosed<'_>) -> Option<Content>;
}
