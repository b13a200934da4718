//! What people can do here, one module each.

mod admin;
mod confirm;
mod dev_mail;
pub mod health;
mod home;
mod profile;
mod recovery;
mod refresh;
mod sign_in;
mod sign_out;
mod sign_up;
mod verification;

use actix_web::web::ServiceConfig;

pub use admin::Snapshots;

use crate::config::Config;

/// All pages, in the order in which somebody meets them.
pub fn routes(routes: &mut ServiceConfig, config: &Config) {
    home::routes(routes);
    sign_up::routes(routes);
    verification::routes(routes);
    sign_in::routes(routes);
    sign_out::routes(routes);
    recovery::routes(routes);
    refresh::routes(routes);
    confirm::routes(routes);
    profile::routes(routes);
    admin::routes(routes);
    if config.debug {
        dev_mail::routes(routes);
    }
}
