//! One's own account.

mod profile;
