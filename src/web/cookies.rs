//! Our cookies: their names, their attributes, and how they are sealed.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time};
use actix_web::http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::config::Config;
use crate::keys::Keys;

/// The cookie that holds the session pointer. Names are without any `__Host-`.
pub const SESSION: &str = "latchkey";
/// The cookie that says "this browser signed up".
pub const FLOW: &str = "latchkey-flow";
/// The cookie that carries a notice to the next page.
pub const NOTICE: &str = "latchkey-notice";
/// The cookie that says who signed in on this device before.
pub const DEVICE: &str = "latchkey-device";
/// All of them: none may be planted.
pub const ALL: [&str; 4] = [SESSION, FLOW, NOTICE, DEVICE];

/// Builds a cookie of this site, with the attributes that all of them have. Lax, not Strict: a link in a mail must arrive
/// signed in, and the gate guards posts.
pub fn build(config: &Config, name: &str, value: String) -> Cookie<'static> {
    Cookie::build(config.cookie_name(name), value)
        .path("/")
        .secure(config.public_url.is_https())
        .http_only(true)
        .same_site(SameSite::Lax)
        .finish()
}

/// Encrypts a cookie.
pub fn seal(key: &Key, cookie: Cookie<'static>) -> Cookie<'static> {
    let name = cookie.name().to_owned();
    let mut jar = CookieJar::new();
    jar.private_mut(key).add(cookie.clone());
    jar.get(&name).cloned().unwrap_or(cookie)
}

/// Decrypts a cookie; `None` when it was not sealed with this key.
pub fn open(key: &Key, cookie: &Cookie<'static>) -> Option<String> {
    let mut jar = CookieJar::new();
    jar.add_original(cookie.clone());
    jar.private(key).get(cookie.name()).map(|opened| opened.value().to_owned())
}

/// Reads a sealed cookie of a request, whichever of our keys it was sealed with.
pub fn read(
    req: &HttpRequest,
    config: &Config,
    keys: &Keys,
    name: &str,
    key: fn(&Keys) -> &Key,
) -> Option<String> {
    let cookie = req.cookie(&config.cookie_name(name))?;
    keys.all().find_map(|keys| open(key(keys), &cookie))
}

/// Builds the cookie that removes one.
pub fn removal(config: &Config, name: &str) -> Cookie<'static> {
    let mut cookie = build(config, name, String::new());
    cookie.make_removal();
    cookie
}

/// Lets a cookie outlive the browser's window.
pub fn keep_for(cookie: &mut Cookie<'static>, life: std::time::Duration) {
    let seconds = life.as_secs() + u64::from(life.subsec_nanos() > 0);
    cookie.set_max_age(time::Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)));
}

/// Appends a cookie to an answer.
pub fn set(headers: &mut HeaderMap, cookie: &Cookie<'_>) {
    if let Ok(line) = HeaderValue::from_str(&cookie.encoded().to_string()) {
        headers.append(SET_COOKIE, line);
    }
}

/// Whether an answer gives the browser a cookie of that name.
pub fn is_set(headers: &HeaderMap, name: &str) -> bool {
    let lines = headers.get_all(SET_COOKIE).filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| Cookie::parse(line).ok()).any(|cookie| cookie.name() == name)
}
