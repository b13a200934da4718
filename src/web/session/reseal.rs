//! Session cookies of an older `SECRET_KEY`: sealed again with the current one on their way in, and on the way back to
//! the browser. (actix-session knows one key.)

use actix_web::HttpMessage;
use actix_web::cookie::Cookie;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::web::Data;

use super::super::cookies;
use crate::app::App;

/// The cookie that the browser is to be given in place of its old one.
pub struct Resealed(Cookie<'static>);

/// Before the session layer looks at a request.
pub fn request(req: &mut ServiceRequest) {
    let Some(app) = req.app_data::<Data<App>>().filter(|app| !app.keys.older.is_empty()).cloned() else {
        return;
    };
    let name = app.config.cookie_name(cookies::SESSION);
    let lines: Vec<HeaderValue> = req.headers().get_all(COOKIE).cloned().collect();
    let text = lines
        .iter()
        .filter_map(|line| std::str::from_utf8(line.as_bytes()).ok())
        .collect::<Vec<_>>()
        .join("; ");
    let mut pairs: Vec<String> = text.split(';').map(|pair| pair.trim().to_owned()).collect();
    for pair in &mut pairs {
        let Ok(old) = Cookie::parse_encoded(pair.clone()) else { continue };
        if old.name() == name
            && let Some(new) = sealed_again(&app, &old)
        {
            *pair = new.stripped().encoded().to_string();
            req.extensions_mut().insert(Resealed(new));
        }
    }
    if req.extensions().get::<Resealed>().is_some()
        && let Ok(line) = HeaderValue::from_bytes(pairs.join("; ").as_bytes())
    {
        req.headers_mut().insert(COOKIE, line);
    }
}

/// After it, for a live session: the browser keeps the new one, unless the session layer has given it another.
pub fn answer<B>(answer: &mut ServiceResponse<B>) {
    let resealed = answer.request().extensions_mut().remove::<Resealed>();
    let Some(Resealed(cookie)) = resealed.filter(|it| !cookies::is_set(answer.headers(), it.0.name())) else {
        return;
    };
    cookies::set(answer.headers_mut(), &cookie);
}

/// `None` when it is of the current key, or of none.
fn sealed_again(app: &App, old: &Cookie<'static>) -> Option<Cookie<'static>> {
    if cookies::open(&app.keys.session, old).is_some() {
        return None;
    }
    let content = app.keys.older.iter().find_map(|keys| cookies::open(&keys.session, old))?;
    Some(cookies::seal(&app.keys.session, cookies::build(&app.config, cookies::SESSION, content)))
}
