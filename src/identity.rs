//! What things are: values with one constructor each, whose error is the sentence shown to the person.
//!
//! Nothing here runs a query or knows a request. The `sql_type` attributes only name how a
//! value is stored; `db::columns` does the storing.

/// `Debug` that tells the type and never the value: for secrets and what is made of them.
macro_rules! hide_in_debug {
    ($($type:ident),+) => {
        $(impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(hidden)"))
            }
        })+
    };
}

/// Writes a value in a download as the database has it.
macro_rules! serialize_as_text {
    ($($type:ty),+) => {
        $(impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        })+
    };
}
pub(crate) use serialize_as_text;

mod authenticator;
mod browser;
mod details;
mod email;
mod known_device;
mod login;
mod message;
mod moment;
mod otp;
mod password;
mod purpose;
mod recovery_code;
mod role;
mod status;
mod taste;
mod token;
mod username;
mod visible;

pub use authenticator::{AppEntry, AuthenticatorKey};
pub use browser::browser_name;
pub use details::{About, Details, FullName, Phone};
pub use email::Email;
pub use known_device::KnownDevice;
pub use login::Login;
pub(crate) use message::Text;
pub use message::{Argument, Message, Sentence, t, tn};
pub use moment::Moment;
pub use otp::{Otp, OtpDigest};
pub use password::{Password, PasswordHash, PasswordRules, passphrase};
pub use purpose::{CodePurpose, LinkPurpose};
pub use recovery_code::{FactorCode, RecoveryCode};
pub use role::Role;
pub use status::AccountStatus;
pub use taste::{Local, Theme, Zone};
pub use token::{Id, LinkToken, TokenDigest, fingerprint, keyed_mac, random_name};
pub use username::Username;
pub use visible::visible_line;
