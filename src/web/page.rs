//! What a handler answers: a page, or the way to another one.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use actix_web::{HttpRequest, HttpResponse, Responder};
use askama::Template;

use super::errors::seconds_after;
use super::notice::{Notice, Posted};
use super::view::View;
use super::{app_of, policy};

/// An answer that is finished when it is sent: a page is drawn as its request wants to see it.
pub struct Answer {
    content: Content,
    cookies: Vec<Cookie<'static>>,
    headers: Vec<(HeaderName, &'static str)>,
    notice: Option<Posted>,
    /// What the page may say of what has just been done.
    shown: Vec<&'static Notice>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// Draws a page.
type Draw = Box<dyn FnOnce(&View) -> askama::Result<String>>;

enum Content {
    Page(StatusCode, Draw),
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

/// Shows a form again that was sent too often, and when it may be sent again.
pub fn too_many(wait: Duration, page: impl Template + 'static) -> Answer {
    let mut answer = with_status(StatusCode::TOO_MANY_REQUESTS, page);
    answer.retry_after = Some(seconds_after(wait));
    answer
}

/// Shows a page with that status.
pub fn with_status(status: StatusCode, page: impl Template + 'static) -> Answer {
    Content::Page(status, Box::new(move |view| draw(&page, view))).into()
}

/// Leads to another page, after something was done.
pub fn see_other(path: impl Into<String>) -> Answer {
    Content::SeeOther(path.into()).into()
}

/// Renders a page.
pub fn render(status: StatusCode, page: &impl Template, view: &View) -> HttpResponse {
    html(status, draw(page, view))
}

/// Most pages fit in it: what grows is copied each time that it does.
const PAGE_CAPACITY: usize = 8 * 1024;

fn draw(page: &impl Template, view: &View) -> askama::Result<String> {
    let mut html = String::with_capacity(PAGE_CAPACITY);
    page.render_into_with_values(&mut html, view)?;
    Ok(html)
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

    /// Lets the page say what was posted to this browser, if it is one of these.
    #[must_use]
    pub fn showing(mut self, notices: &[&'static Notice]) -> Self {
        self.shown.extend(notices);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
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
        Self {
            content,
            cookies: Vec::new(),
            headers: Vec::new(),
            notice: None,
            shown: Vec::new(),
            retry_after: None,
        }
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
            Content::Page(status, draw) => match View::of(req, &self.shown) {
                Ok(mut view) => {
                    if status.is_client_error() {
                        view.mark_refused();
                    }
                    let mut answer = html(status, draw(&view));
                    if view.has_script() {
                        let policy = policy::of_page_with_script(view.is_https());
                        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
                    }
                    answer
                }
                Err(error) => return HttpResponse::from_error(error),
            },
            Content::SeeOther(path) => HttpResponse::SeeOther().insert_header((LOCATION, path)).finish(),
            Content::Finished(response) => response,
        };
        for (name, value) in self.headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        let notice = self.notice.and_then(|notice| app_of(req).ok().map(|app| notice.cookie(&app)));
        for cookie in self.cookies.iter().chain(&notice) {
            super::cookies::set(response.headers_mut(), cookie);
        }
        response
    }
}
