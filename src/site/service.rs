//! For programs, and for whoever wants to know what is kept.

pub mod health;
pub mod privacy;
pub mod whoami;
