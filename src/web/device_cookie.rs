//! The sealed cookie that says "these people signed in here before": a known device has a bucket of its own for wrong passwords,
//! so that nobody elsewhere can use it up (OWASP, Slow Down Online Guessing Attacks with Device Cookies).
//!
//! It signs nobody in, and stays after signing out.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;

use super::cookies;
use crate::app::App;
use crate::identity::{Id, random_name};

/// The most accounts that one device is known for.
const MAX_ACCOUNTS: usize = 8;

/// An account that signed in on a device, and the name of the device for this account alone.
pub struct KnownAccount {
    user: String,
    name: String,
}

impl KnownAccount {
    /// Names the two of them, for limits and budgets.
    pub fn lane(&self) -> String {
        format!("{} {}", self.user, self.name)
    }
}

/// Lists the accounts that this device is known for, the newest first.
pub fn read(app: &App, req: &HttpRequest) -> Vec<KnownAccount> {
    let value = cookies::read(req, &app.config, &app.keys, cookies::DEVICE, |keys| &keys.device);
    let known = value.as_deref().unwrap_or_default().split(',').filter_map(|account| {
        let (user, name) = account.split_once(' ')?;
        Some(KnownAccount { user: user.to_owned(), name: name.to_owned() })
    });
    known.take(MAX_ACCOUNTS).collect()
}

/// Finds the lane of an account on this device.
pub fn lane(app: &App, req: &HttpRequest, user: &Id) -> Option<String> {
    read(app, req).iter().find(|known| known.user == user.as_str()).map(KnownAccount::lane)
}

/// Builds the cookie of a device on which an account signed in, or chose a new password by mail.
pub fn remember(app: &App, req: &HttpRequest, user: &Id) -> Cookie<'static> {
    let (mut this, others): (Vec<_>, Vec<_>) =
        read(app, req).into_iter().partition(|known| known.user == user.as_str());
    let first =
        this.pop().unwrap_or_else(|| KnownAccount { user: user.as_str().to_owned(), name: random_name() });
    let lanes = std::iter::once(&first).chain(&others).take(MAX_ACCOUNTS).map(KnownAccount::lane);
    let mut cookie = cookies::build(&app.config, cookies::DEVICE, lanes.collect::<Vec<_>>().join(","));
    cookies::keep_for(&mut cookie, cookies::MAX_LIFETIME);
    cookies::seal(&app.keys.device, cookie)
}
