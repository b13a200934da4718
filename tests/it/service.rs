//! What programs see.

mod http;
