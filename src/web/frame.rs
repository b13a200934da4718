//! Around everything: the gate, the page of each error, the headers of each answer, and the last resort for a panic.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError, web};
use askama::Template;
use futures_util::FutureExt;

use super::connections::{self, Connection, Pieces};
use super::errors::{ErrorPage, HttpError};
use super::journal::Entry;
use super::view::{Bare, View, filters};
use super::{cookies, gate, page, policy};
use crate::app::App;

#[derive(Template)]
#[template(path = "error.html")]
struct Page {
    error: ErrorPage,
    /// On errors of ours, for a person to quote.
    request_id: Option<String>,
}

/// Asks the gate, draws the pages of errors and sets headers.
///
/// # Errors
/// With the finished answer inside, where the request is lost to us.
pub async fn draw<B: MessageBody + 'static>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let around = Around::begin(&req);
    // For the page of whoever is refused before anybody knows them.
    let bare = Bare::of(req.request())?;
    let answered = async {
        gate::keep(&mut req)?;
        next.call(req).await
    };
    let answered = AssertUnwindSafe(answered).catch_unwind().await;
    let answered =
        answered.unwrap_or_else(|_| Err(HttpError::Internal("a handler panicked".to_owned()).into()));
    match answered {
        Ok(answer) => {
            let mut answer = if let Some(error) = answer.response().error().map(meaning_of) {
                let kept = answer.headers().get_all(header::SET_COOKIE).cloned().collect::<Vec<_>>();
                let view = View::of(answer.request(), &[])?;
                let mut page = error_page(&error, &around.entry, &view);
                for cookie in kept {
                    page.headers_mut().append(header::SET_COOKIE, cookie);
                }
                answer.into_response(page)
            } else {
                around.entry.note_form(answer.status());
                answer.map_into_boxed_body()
            };
            cookies::forget_read(&mut answer);
            around.finish(answer.response_mut());
            Ok(answer)
        }
        // A middleware refused: the request is gone, but the error may carry the finished answer.
        Err(error) => {
            let mut page = error_page(&meaning_of(&error), &around.entry, &bare.view());
            around.finish(&mut page);
            Err(InternalError::from_response("", page).into())
        }
    }
}

/// What every request has, whatever becomes of it.
struct Around {
    app: Option<web::Data<App>>,
    entry: Entry,
    connection: Option<Connection>,
    /// How long its body is, if it may have one.
    body: Option<u64>,
}

impl Around {
    fn begin(req: &ServiceRequest) -> Self {
        let length = req.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse().ok()).unwrap_or_default();
        Self {
            app: req.app_data::<web::Data<App>>().cloned(),
            entry: Entry::begin(req),
            connection: connections::begin(req.request()),
            body: Some(length).filter(|_| !matches!(*req.method(), Method::GET | Method::HEAD)),
        }
    }

    fn finish(&self, answer: &mut HttpResponse) {
        set_headers(answer.headers_mut(), self.app.as_ref());
        cookies::put_path_first(answer.headers_mut());
        self.entry.sign(answer.headers_mut());
        // A body that was refused was perhaps not read, and may be as long and as slow as somebody likes.
        if self.body.is_some() && (answer.status().is_client_error() || answer.status().is_server_error()) {
            answer.head_mut().set_connection_type(ConnectionType::Close);
        }
        if let Some(connection) = &self.connection {
            match (answer.body().size(), self.body) {
                (BodySize::Sized(bytes), Some(length)) => connection.end_form(bytes, length),
                (BodySize::None, Some(length)) => connection.end_form(0, length),
                (BodySize::Sized(bytes), None) => connection.end(bytes),
                (BodySize::None, None) => connection.end(0),
                (BodySize::Stream, _) => {
                    let streaming = std::mem::replace(answer, HttpResponse::new(StatusCode::OK));
                    let watched = |body| BoxBody::new(Pieces::of(body, connection.clone()));
                    *answer = streaming.map_body(|_, body| watched(body));
                }
            }
        }
        self.entry.end(answer.status());
    }
}

/// Our own error, or what one of actix means.
fn meaning_of(error: &Error) -> HttpError {
    if let Some(ours) = error.as_error::<HttpError>() {
        return ours.clone();
    }
    match error.as_response_error().status_code() {
        StatusCode::NOT_FOUND => HttpError::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => HttpError::TooLarge,
        status if status.is_client_error() => HttpError::BadRequest,
        _ => HttpError::Internal(error.to_string()),
    }
}

fn error_page(error: &HttpError, entry: &Entry, view: &View) -> HttpResponse {
    let bare = error.error_response();
    let Some(page) = error.page() else { return bare };
    entry.refused(error);
    let status = page.status;
    let request_id = Some(entry.id.clone()).filter(|_| error.is_ours());
    let page = Page { error: page, request_id };
    let mut answer = page::render(status, &page, view);
    for (name, value) in bare.headers() {
        answer.headers_mut().insert(name.clone(), value.clone());
    }
    answer
}

/// Set on every answer, unless its page set its own.
const ALWAYS: [(HeaderName, HeaderValue); 8] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Not no-referrer: Chromium would send our own forms with `Origin: null`.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), HeaderValue::from_static("none")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
        ),
    ),
];

fn set_headers(headers: &mut HeaderMap, app: Option<&web::Data<App>>) {
    let https = app.filter(|app| app.config.public_url.is_https());
    let policy = (header::CONTENT_SECURITY_POLICY, policy::of_page(https.is_some()));
    for (name, value) in ALWAYS.into_iter().chain([policy]) {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    // Visible ASCII, as the settings have it.
    let hsts =
        https.and_then(|app| app.config.hsts.as_ref()).and_then(|value| HeaderValue::from_str(value).ok());
    if let Some(hsts) = hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
    }
}
