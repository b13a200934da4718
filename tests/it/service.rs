//! What programs see.

mod connections;
mod forward_auth;
mod http;
mod racing;
mod unusual;
mod whoami;
