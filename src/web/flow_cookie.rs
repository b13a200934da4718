//! The sealed cookie that says "this browser signed up".

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;

use super::cookies;
use crate::app::App;
use crate::identity::Id;
use crate::records::users::UNVERIFIED_LIFETIME;

/// As long as an unverified account lives.
const LIFETIME: Duration = UNVERIFIED_LIFETIME;

/// Finds the flow that this browser began, if it began one within the last three days.
pub fn read(app: &App, req: &HttpRequest) -> Option<Id> {
    let flow = cookies::read(req, &app.config, &app.keys, cookies::FLOW, |keys| &keys.flow)?;
    Id::parse(&flow)
}

/// Builds the cookie for a flow that this browser began.
pub fn seal(app: &App, flow: &Id) -> Cookie<'static> {
    let mut cookie = cookies::build(&app.config, cookies::FLOW, flow.as_str().to_owned());
    cookies::keep_for(&mut cookie, LIFETIME);
    cookies::seal(&app.keys.flow, cookie)
}

/// Builds the end of that cookie.
pub fn forget(app: &App) -> Cookie<'static> {
    cookies::removal(&app.config, cookies::FLOW)
}
