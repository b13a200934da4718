//! Everything about HTTP and HTML: forms, errors, pages, sessions, headers. It knows no module of `site`.

pub mod assets;
pub mod carried;
pub mod client;
pub mod connections;
pub mod cookies;
pub mod device_cookie;
pub mod errors;
pub mod flow_cookie;
pub mod forms;
pub mod frame;
pub mod gate;
pub mod journal;
pub mod notice;
pub mod page;
pub mod passage;
mod policy;
pub mod preferences;
pub mod routes;
pub mod session;
pub mod sign_in_request;
pub mod signed_in;
pub mod view;
pub mod viewer;

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;
use actix_web::web::Data;

use crate::app::App;
use crate::language::Language;
use errors::HttpError;

/// Finds the program that serves a request.
///
/// # Errors
/// Never, in a server that `server::serve` built.
pub fn app_of(req: &HttpRequest) -> Result<Data<App>, HttpError> {
    req.app_data::<Data<App>>().cloned().ok_or_else(|| HttpError::Internal("no application".to_owned()))
}

/// Chooses the language that a request asks for.
pub fn language_of(req: &HttpRequest) -> Language {
    Language::of_header(req.headers().get(ACCEPT_LANGUAGE).and_then(|accept| accept.to_str().ok()))
}
