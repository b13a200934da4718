//! The one door to HTML and HTTP: pages, forms, faults, sessions, limits and headers. It knows no site module.

pub mod assets;
pub mod client;
pub mod fault;
pub mod flow_cookie;
pub mod forms;
pub mod frame;
pub mod gate;
mod gcra;
pub mod language;
pub mod limits;
pub mod page;
pub mod redis_link;
mod reseal;
pub mod routes;
pub mod session;
pub mod viewer;

pub use language::filters;
