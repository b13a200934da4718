//! Proving who you are.

mod limits;
mod lockout;
mod passkeys;
mod recovery;
mod second_step;
mod sessions;
mod sign_in;
mod sign_in_codes;
mod sign_up;
mod verification;
