//! One's own account.

mod devices;
mod profile;
