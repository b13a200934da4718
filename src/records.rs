//! What is kept and shared. Each file owns one table: others call its functions with a connection that is
//! inside their own transaction, and never name its columns.

pub mod events;
pub mod links;
pub mod mail_budgets;
pub mod outbox;
pub mod pictures;
pub mod sign_ins;
pub mod users;
pub mod verifications;
