//! The second step of signing in: what an account has for it, and the sign-ins that wait for it.

pub mod authenticators;
pub mod passkeys;
pub mod recovery_codes;
pub mod second_steps;
pub mod trusted_devices;
