//! One's own account.

mod activity;
mod devices;
mod profile;
