//! For programs, and for whoever wants to know what is kept.

pub mod forward_auth;
pub mod health;
mod introspect;
pub mod privacy;
pub mod whoami;

use actix_web::web::ServiceConfig;

/// Registers what applications and their proxies ask, outside of sessions, hosts and limits by address.
pub fn application_routes(config: &mut ServiceConfig) {
    forward_auth::routes(config);
    introspect::routes(config);
}
