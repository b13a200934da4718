//! What happens to an account, whoever asks: a person, a superuser, the command line or the courier.
//!
//! Plain functions inside the caller's transaction; none knows a page or a request. What one page alone needs stays in that
//! page's file: the second caller moves a rule here.

pub mod administration;
pub mod codes;
pub mod details;
pub mod dormancy;
pub mod email;
pub mod leaving;
pub mod new_user;
pub mod owner;
pub mod passwords;
pub mod recovery;
pub mod securing;
pub mod sign_in_codes;
pub mod sign_up;
pub mod two_factor;
pub mod usernames;
