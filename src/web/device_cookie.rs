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

/// Finds this device, if it is known for an account.
pub fn known(app: &App, req: &HttpRequest, user: &User) -> Option<KnownDevice> {
    read(app, req).into_iter().find(|known| user.knows(known))
}

/// Finds this device, or names it for an account that does not know it yet.
fn named(app: &App, req: &HttpRequest, user: &User) -> KnownDevice {
    known(app, req, user).unwrap_or_else(|| KnownDevice::new(&user.id, user.device_epoch))
}

/// Builds the cookie of a device on which an account signed in, or chose a new password by mail.
pub fn remember(app: &App, req: &HttpRequest, user: &User) -> Cookie<'static> {
    remember_as(app, req, user, &named(app, req, user))
}

/// The same for a device that has been named already.
pub fn remember_as(app: &App, req: &HttpRequest, user: &User, device: &KnownDevice) -> Cookie<'static> {
    let others = read(app, req).into_iter().filter(|known| !known.is_of(&user.id)).collect::<Vec<_>>();
    let lanes = std::iter::once(device).chain(&others).take(MAX_ACCOUNTS).map(KnownDevice::lane);
    let mut cookie = cookies::build(&app.config, cookies::DEVICE, lanes.collect::<Vec<_>>().join(","));
    cookies::keep_for(&mut cookie, cookies::MAX_LIFETIME);
    cookies::seal(&app.keys.device, cookie)
}
