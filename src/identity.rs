//! What things are: values with one constructor each, whose error is the sentence shown to the person.
//!
//! Nothing here reads a clock, runs a query or knows a request. The `sql_type` attributes only name how a
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

mod details;
mod email;
mod message;
mod moment;
mod otp;
mod password;
mod role;
mod standing;
mod token;
mod username;

pub use details::{About, FullName, Phone};
pub use email::Email;
pub use message::{Message, fill};
pub use moment::Moment;
pub use otp::{Otp, OtpDigest, Purpose};
pub use password::{Password, PasswordHash, PasswordRules};
pub use role::Role;
pub use standing::Standing;
pub use token::{Id, LinkToken, TokenDigest, fingerprint, keyed_mac, random_name};
pub use username::Username;
