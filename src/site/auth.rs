//! Proving who you are.

mod blocked;
pub(super) mod confirm;
mod enter;
mod home;
pub(super) mod keep_account;
mod links;
pub(super) mod password_check;
mod preferences;
mod recovery;
pub(super) mod refresh;
mod secure_account;
mod sign_in;
pub(super) mod sign_out;
mod sign_up;
pub(super) mod typing;
pub(super) mod verification;

use actix_web::web::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    home::routes(config);
    sign_up::routes(config);
    verification::routes(config);
    sign_in::routes(config);
    sign_out::routes(config);
    enter::routes(config);
    recovery::routes(config);
    secure_account::routes(config);
    keep_account::routes(config);
    refresh::routes(config);
    confirm::routes(config);
    preferences::routes(config);
}
