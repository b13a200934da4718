//! What programs see.

mod connections;
mod http;
mod unusual;
mod whoami;
