//! What a handler answers: a page, or the way to another one.

use actix_web::body::BoxBody;
use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{HttpRequest, HttpResponse, Responder};
use askama::Template;

use super::notice::Posted;
use super::{app_of, language_of};
use crate::language::Language;

/// An answer that is finished when it is sent: a page is drawn in the language of the request.
pub struct Answer {
    content: Content,
    cookies: Vec<Cookie<'static>>,
    notice: Option<Posted>,
}

enum Content {
    Page(StatusCode, Box<dyn FnOnce(Language) -> askama::Result<String>>),
    SeeOther(String),
    Finished(HttpResponse),
}

/// Shows a page as asked for.
pub fn ok(page: impl Template + 'static) -> Answer {
    with_status(StatusCode::OK, page)
}

/// Shows a form again, with what is wrong in it.
pub fn form_again(page: impl Template + 'static) -> Answer {
    with_status(StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// Shows a page with that status.
pub fn with_status(status: StatusCode, page: impl Template + 'static) -> Answer {
    Content::Page(status, Box::new(move |language| page.render_with_values(&language))).into()
}

/// Leads to another page, after something was done.
pub fn see_other(path: impl Into<String>) -> Answer {
    Content::SeeOther(path.into()).into()
}

/// Renders a page.
pub fn render(status: StatusCode, page: &impl Template, language: Language) -> HttpResponse {
    html(status, page.render_with_values(&language))
}

fn html(status: StatusCode, rendered: askama::Result<String>) -> HttpResponse {
    match rendered {
        Ok(html) => {
            HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html)
        }
        Err(error) => {
            log::error!("a page could not be rendered: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

impl Answer {
    /// Says something on the page that it leads to.
    #[must_use]
    pub fn saying(self, notice: Posted) -> Self {
        Self { notice: Some(notice), ..self }
    }

    /// Gives the browser a cookie.
    #[must_use]
    pub fn with_cookie(mut self, cookie: Cookie<'static>) -> Self {
        self.cookies.push(cookie);
        self
    }
}

impl From<Content> for Answer {
    fn from(content: Content) -> Self {
        Self { content, cookies: Vec::new(), notice: None }
    }
}

impl From<HttpResponse> for Answer {
    fn from(response: HttpResponse) -> Self {
        Content::Finished(response).into()
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, req: &HttpRequest) -> HttpResponse {
        let mut response = match self.content {
            Content::Page(status, draw) => html(status, draw(language_of(req))),
            Content::SeeOther(path) => HttpResponse::SeeOther().insert_header((LOCATION, path)).finish(),
            Content::Finished(response) => response,
        };
        let notice = self.notice.and_then(|notice| app_of(req).ok().map(|app| notice.cookie(&app)));
        for cookie in self.cookies.iter().chain(&notice) {
            super::cookies::set(response.headers_mut(), cookie);
        }
        response
    }
}
