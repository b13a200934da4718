//! The sealed cookie that says "these people signed in here before": a known device has a bucket of its own for wrong passwords,
//! so that nobody elsewhere can use it up (OWASP, Slow Down Online Guessing Attacks with Device Cookies), and a sign-in on it
//! alarms nobody.
//!
//! It signs nobody in, and stays after signing out.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;

use super::cookies;
use crate::app::App;
use crate::identity::KnownDevice;
use crate::records::users::User;

/// The most accounts that one device is known for.
const MAX_ACCOUNTS: usize = 8;

/// Lists the accounts that this device is or was known for, the newest first.
pub fn read(app: &App, req: &HttpRequest) -> Vec<KnownDevice> {
    let value = cookies::read(req, &app.config, &app.keys, cookies::DEVICE, |keys| &keys.device);
    let known = value.as_deref().unwrap_or_default().split(',').filter_map(KnownDevice::parse);
    known.take(MAX_ACCOUNTS).collect()
}

/// Finds the lane of an account on this device, if it is known for it.
pub fn lane(app: &App, req: &HttpRequest, user: &User) -> Option<String> {
    read(app, req).iter().find(|known| user.knows(known)).map(KnownDevice::lane)
}

/// Builds the cookie of a device on which an account signed in, or chose a new password by mail.
pub fn remember(app: &App, req: &HttpRequest, user: &User) -> Cookie<'static> {
    let (this, others): (Vec<_>, Vec<_>) =
        read(app, req).into_iter().partition(|known| known.is_of(&user.id));
    let first = this.into_iter().find(|known| user.knows(known));
    let first = first.unwrap_or_else(|| KnownDevice::new(&user.id, user.device_epoch));
    let lanes = std::iter::once(&first).chain(&others).take(MAX_ACCOUNTS).map(KnownDevice::lane);
    let mut cookie = cookies::build(&app.config, cookies::DEVICE, lanes.collect::<Vec<_>>().join(","));
    cookies::keep_for(&mut cookie, cookies::MAX_LIFETIME);
    cookies::seal(&app.keys.device, cookie)
}
