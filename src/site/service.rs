//! For programs.

pub mod health;
