//! Proving who you are.

mod limits;
mod lockout;
mod recovery;
mod second_step;
mod sessions;
mod sign_in;
mod sign_up;
mod verification;
