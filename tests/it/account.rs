//! One's own account.

mod activity;
mod devices;
mod dormancy;
mod downloading;
mod leaving;
mod profile;
mod taking_back;
mod undoing;
