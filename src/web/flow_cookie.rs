//! The sealed cookie that says "this browser signed up", the one thing kept for somebody not signed in.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, CookieJar, SameSite, time::Duration};

use crate::app::App;
use crate::identity::Id;

/// Its name, before any `__Host-`.
pub const COOKIE: &str = "latchkey-flow";

/// The flow that this browser began, if it began one within the last three days.
pub fn read(app: &App, req: &HttpRequest) -> Option<Id> {
    let name = app.config.cookie_name(COOKIE);
    let mut jar = CookieJar::new();
    jar.add_original(req.cookie(&name)?);
    Id::parse(app.keys.all().find_map(|keys| jar.private(&keys.flow).get(&name))?.value())
}

/// The cookie for a flow that this browser began.
pub fn seal(app: &App, flow: &Id) -> Cookie<'static> {
    let name = app.config.cookie_name(COOKIE);
    let cookie = Cookie::build(name.clone(), flow.as_str().to_owned())
        .path("/")
        .secure(app.config.public_url.is_https())
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(Duration::hours(72))
        .finish();
    let mut jar = CookieJar::new();
    jar.private_mut(&app.keys.flow).add(cookie.clone());
    jar.get(&name).cloned().unwrap_or(cookie)
}

/// The end of that cookie.
pub fn forget(app: &App) -> Cookie<'static> {
    let mut cookie = Cookie::build(app.config.cookie_name(COOKIE), "")
        .path("/")
        .secure(app.config.public_url.is_https())
        .http_only(true)
        .same_site(SameSite::Lax)
        .finish();
    cookie.make_removal();
    cookie
}
