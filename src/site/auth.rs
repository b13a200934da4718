//! Proving who you are.

mod arrival;
mod blocked;
pub(super) mod confirm;
mod enter;
mod home;
pub(super) mod keep_account;
mod keep_two_factor;
mod links;
mod lost_factor;
pub(super) mod passkey_check;
mod passkey_sign_in;
pub(super) mod password_check;
mod preferences;
mod recovery;
pub(super) mod refresh;
mod second_step;
mod secure_account;
mod sign_in;
mod sign_in_code;
pub(super) mod sign_out;
mod sign_up;
pub(super) mod typing;
pub(super) mod verification;

use crate::web::routes::Pages;

pub(super) fn routes(pages: &mut Pages) {
    home::routes(pages);
    sign_up::routes(pages);
    verification::routes(pages);
    sign_in::routes(pages);
    passkey_sign_in::routes(pages);
    sign_in_code::routes(pages);
    second_step::routes(pages);
    lost_factor::routes(pages);
    keep_two_factor::routes(pages);
    sign_out::routes(pages);
    enter::routes(pages);
    recovery::routes(pages);
    secure_account::routes(pages);
    keep_account::routes(pages);
    refresh::routes(pages);
    confirm::routes(pages);
    preferences::routes(pages);
}
