//! What programs see.

mod connections;
mod examples;
mod forward_auth;
mod http;
mod proxies;
mod racing;
mod unusual;
mod whoami;
