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
use crate::web::assets;
use crate::web::routes::Pages;
pub use service::application_routes;

/// Registers what is asked without a session: health checks and the files of the site.
pub fn public_routes(routes: &mut ServiceConfig) {
    let mut pages = Pages::default();
    service::health::routes(&mut pages);
    assets::routes(&mut pages);
    pages.register(routes);
}

/// Registers all pages, those that are asked most first.
pub fn routes(routes: &mut ServiceConfig, config: &Config) {
    let mut pages = Pages::default();
    account::routes(&mut pages);
    auth::routes(&mut pages);
    service::privacy::routes(&mut pages);
    service::whoami::routes(&mut pages);
    admin::routes(&mut pages);
    if config.debug {
        dev_mail::routes(&mut pages);
    }
    pages.register(routes);
}
