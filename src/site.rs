//! What people can do here, by who stands before the page.

mod account;
mod admin;
mod auth;
mod csv;
mod dev_mail;
mod listing;
mod service;
mod telling;

use actix_web::web::ServiceConfig;

use crate::config::Config;
pub use service::application_routes;
pub use service::health::routes as health_routes;

/// Registers all pages, in the order in which somebody meets them.
pub fn routes(routes: &mut ServiceConfig, config: &Config) {
    auth::routes(routes);
    account::routes(routes);
    service::privacy::routes(routes);
    service::whoami::routes(routes);
    admin::routes(routes);
    if config.debug {
        dev_mail::routes(routes);
    }
}
