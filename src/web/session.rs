//! The session pointer: what a browser's cookie says, and nothing else. The row in `sessions` decides (see
//! [`crate::records::sessions`]).
//!
//! The trip of a request: [`around`] reseals the cookie of an older key, actix-session reads it from the [`store`], a
//! handler's parameters look the row up and call [`mark_live`] (see [`super::viewer`]), the handler may [`point_to`] another
//! row, actix-session writes the cookie, and [`around`] gives it the life that the row allows.

mod reseal;
mod store;

use std::time::Duration;

use actix_session::config::{BrowserSession, CookieContentSecurity};
use actix_session::{Session as CookieSession, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, SET_COOKIE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};

use super::cookies;
use super::errors::HttpError;
use crate::app::App;
use crate::identity::{Id, Moment};
use crate::records::sessions::{Life, Session};
use store::{REDIS_AWAY, Store};

const POINTER: &str = "session";

/// What the cookie of a request points to.
pub enum Pointer {
    /// Nothing: nobody is signed in.
    Nobody,
    /// The session of that identifier, at that generation.
    To(Id, i32),
    /// Somebody may be signed in, but Redis, who knows, is away.
    Away,
}

/// Reads the pointer of a request.
pub fn pointer(session: &CookieSession) -> Pointer {
    let entries = session.entries();
    if entries.contains_key(REDIS_AWAY) {
        return Pointer::Away;
    }
    let stored = || -> Option<(String, i32)> { serde_json::from_str(entries.get(POINTER)?).ok() };
    match stored().and_then(|(id, generation)| Some((Id::parse(&id)?, generation))) {
        Some((id, generation)) => Pointer::To(id, generation),
        None => Pointer::Nobody,
    }
}

/// Points the browser to a session, under a new id. The cookie of a remembered one outlives the window.
///
/// # Errors
/// When the pointer cannot be written, which would be a mistake of ours.
pub fn point_to(
    req: &HttpRequest,
    cookie_session: &CookieSession,
    session: &Session,
    now: Moment,
) -> Result<(), HttpError> {
    cookie_session.clear();
    cookie_session.renew();
    cookie_session
        .insert(POINTER, (session.life.id.as_str(), session.life.generation))
        .map_err(|error| HttpError::Internal(error.to_string()))?;
    mark_live(req, &session.life, now);
    Ok(())
}

/// The session of this request is live; how long its cookie shall outlive the browser's window.
struct Live {
    max_age: Option<Duration>,
}

/// Notes that this request belongs to a live session, for the way back through [`around`].
pub fn mark_live(req: &HttpRequest, life: &Life, now: Moment) {
    let max_age = life.outlives_window().then(|| life.remaining(now));
    req.extensions_mut().insert(Live { max_age });
}

/// Builds the session layer of one worker.
pub fn layer(app: &App) -> SessionMiddleware<Store> {
    SessionMiddleware::builder(Store::of(app), app.keys.session.clone())
        .cookie_name(app.config.cookie_name(cookies::SESSION))
        .cookie_secure(app.config.public_url.is_https())
        .cookie_http_only(true)
        // As `cookies::build` has them.
        .cookie_same_site(SameSite::Lax)
        .cookie_content_security(CookieContentSecurity::Private)
        .session_lifecycle(BrowserSession::default())
        .build()
}

/// Does outside the session layer what that layer cannot do for itself.
///
/// # Errors
/// The inner ones; a store that failed is a part that is away, not a mistake.
pub async fn around<B: MessageBody>(
    mut req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    reseal::request(&mut req);
    match next.call(req).await {
        Ok(mut answer) => {
            let live = answer.request().extensions_mut().remove::<Live>();
            if let Some(Live { max_age }) = live {
                reseal::answer(&mut answer);
                if let Some(life) = max_age {
                    outlive_window(&mut answer, life)?;
                }
            }
            Ok(answer)
        }
        Err(error) if error.as_error::<HttpError>().is_some() => Err(error),
        Err(error) => Err(HttpError::Unavailable(format!("the session could not be stored: {error}")).into()),
    }
}

/// Keeps the session cookie of an answer beyond the browser's window. One that ends the session says its age itself.
fn outlive_window<B>(answer: &mut ServiceResponse<B>, life: Duration) -> Result<(), HttpError> {
    let app = super::app_of(answer.request())?;
    let name = app.config.cookie_name(cookies::SESSION);
    let lines: Vec<HeaderValue> = answer.headers().get_all(SET_COOKIE).cloned().collect();
    answer.headers_mut().remove(SET_COOKIE);
    for line in lines {
        let cookie = line.to_str().ok().and_then(|text| Cookie::parse_encoded(text.to_owned()).ok());
        match cookie.filter(|cookie| cookie.name() == name && cookie.max_age().is_none()) {
            Some(mut cookie) => {
                cookies::keep_for(&mut cookie, life);
                cookies::set(answer.headers_mut(), &cookie);
            }
            None => answer.headers_mut().append(SET_COOKIE, line),
        }
    }
    Ok(())
}
