//! Our cookies: their names, their attributes, and how they are sealed.

use std::time::Duration;

use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use actix_web::{HttpMessage, HttpRequest};

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
/// The cookie that keeps theme, time zone and sign-in page of a browser.
pub const PREFERENCES: &str = "latchkey-preferences";
/// The cookie that carries a form to the next page.
pub const CARRIED: &str = "latchkey-carried";
/// The cookie that ties "continue as" to one browser.
pub const CONTINUE: &str = "latchkey-continue";
/// The cookie that says "the password was right": the sign-in waits for its second step.
pub const STEP: &str = "latchkey-step";
/// The cookie that says for which code this browser asked, in order to sign in.
pub const SIGN_IN_CODE: &str = "latchkey-sign-in-code";
/// The cookie that carries recovery codes to the one page that shows them.
pub const RECOVERY_CODES: &str = "latchkey-recovery-codes";
/// The cookie that names the picture of which a part is being chosen.
pub const CROP: &str = "latchkey-crop";
/// The cookie that holds one's details before they were changed.
pub const UNDO_DETAILS: &str = "latchkey-undo-details";
/// The cookie that names the picture that was removed.
pub const UNDO_PICTURE: &str = "latchkey-undo-picture";
/// All of them: none may be planted.
pub const ALL: [&str; 13] = [
    SESSION,
    FLOW,
    NOTICE,
    DEVICE,
    PREFERENCES,
    CARRIED,
    CONTINUE,
    STEP,
    SIGN_IN_CODE,
    RECOVERY_CODES,
    CROP,
    UNDO_DETAILS,
    UNDO_PICTURE,
];

/// Browsers keep no cookie for longer (RFC 6265bis, 5.5).
pub const MAX_LIFETIME: Duration = Duration::from_secs(400 * 86_400);

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
    let cookie = get(req, config, name)?;
    keys.all().find_map(|keys| open(key(keys), &cookie))
}

/// Finds a cookie of a request.
pub fn get(req: &HttpRequest, config: &Config, name: &str) -> Option<Cookie<'static>> {
    let cookies = req.cookies().ok()?;
    cookies.iter().find(|cookie| config.cookie_called(cookie.name()) == Some(name)).cloned()
}

/// Iterates over the cookies of a request as browsers write them (RFC 6265, 5.2): the name, and the whole pair. What is no text is none.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let pairs = headers.get_all(COOKIE).flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| std::str::from_utf8(pair).ok()).map(|pair| {
        // Only these two are blanks around a name.
        let pair = pair.trim_matches([' ', '\t']);
        (pair.split('=').next().unwrap_or_default().trim_end_matches([' ', '\t']), pair)
    })
}

/// Builds the cookie that removes one.
pub fn removal(config: &Config, name: &str) -> Cookie<'static> {
    let mut cookie = build(config, name, String::new());
    cookie.make_removal();
    cookie
}

/// Lets a cookie outlive the browser's window.
pub fn keep_for(cookie: &mut Cookie<'static>, life: Duration) {
    let seconds = life.as_secs() + u64::from(life.subsec_nanos() > 0);
    cookie.set_max_age(time::Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)));
}

/// Appends a cookie to an answer.
pub fn set(headers: &mut HeaderMap, cookie: &Cookie<'_>) {
    if let Ok(line) = HeaderValue::from_str(&cookie.encoded().to_string()) {
        headers.append(SET_COOKIE, line);
    }
}

/// Writes `Path` in front of the other attributes: Lynx takes what follows a word that it does not know for another cookie.
pub fn put_path_first(headers: &mut HeaderMap) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).cloned().collect();
    headers.remove(SET_COOKIE);
    for line in lines {
        let sorted = line.to_str().ok().and_then(|line| HeaderValue::from_str(&path_first(line)).ok());
        headers.append(SET_COOKIE, sorted.unwrap_or(line));
    }
}

fn path_first(line: &str) -> String {
    let mut parts: Vec<&str> = line.split("; ").collect();
    // The first is the cookie itself.
    if let Some(others) = parts.get_mut(1..) {
        others.sort_by_key(|part| !part.starts_with("Path="));
    }
    parts.join("; ")
}

/// Cookies whose work is done: they go with the answer.
#[derive(Default)]
struct Read(Vec<&'static str>);

/// Takes a cookie away from the browser with the answer to this request.
pub fn forget_later(req: &HttpRequest, name: &'static str) {
    let mut extensions = req.extensions_mut();
    let mut read = extensions.remove::<Read>().unwrap_or_default();
    read.0.push(name);
    extensions.insert(read);
}

/// Does so, unless the answer gives the browser a new one of that name.
pub fn forget_read<B>(answer: &mut ServiceResponse<B>) {
    let read = answer.request().extensions_mut().remove::<Read>().unwrap_or_default();
    let Ok(app) = super::app_of(answer.request()) else { return };
    for name in read.0 {
        if !is_set(answer.headers(), &app.config.cookie_name(name)) {
            set(answer.headers_mut(), &removal(&app.config, name));
        }
    }
}

/// Whether an answer gives the browser a cookie of that name.
pub fn is_set(headers: &HeaderMap, name: &str) -> bool {
    let lines = headers.get_all(SET_COOKIE).filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| Cookie::parse(line).ok()).any(|cookie| cookie.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_stands_in_front() {
        assert_eq!(
            path_first("a=b; HttpOnly; SameSite=Lax; Path=/; Max-Age=1"),
            "a=b; Path=/; HttpOnly; SameSite=Lax; Max-Age=1"
        );
        assert_eq!(path_first("a=b"), "a=b");
    }
}
