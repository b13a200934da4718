//! The cookie in which a browser keeps what it was told while nobody was signed in: theme, time zone, and the sign-in page that
//! was used last. It says nothing that anybody has to trust.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;

use super::{app_of, cookies};
use crate::app::App;
use crate::identity::{Role, Theme, Zone};

/// What a browser was told.
#[derive(Clone)]
pub struct Preferences {
    pub theme: Theme,
    pub zone: Zone,
    /// Whose sign-in page was used last.
    pub role: Role,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { theme: Theme::default(), zone: Zone::utc(), role: Role::User }
    }
}

impl Preferences {
    /// Reads them; each that is missing or unreadable is the usual one.
    pub fn read(req: &HttpRequest) -> Self {
        let app = app_of(req).ok();
        let cookie = app.and_then(|app| cookies::get(req, &app.config, cookies::PREFERENCES));
        let Some(cookie) = cookie else { return Self::default() };
        let mut words = cookie.value().split('|');
        let mut next = || words.next().unwrap_or_default();
        Self {
            theme: Theme::parse(next()).unwrap_or_default(),
            zone: Zone::parse(next()).unwrap_or_else(Zone::utc),
            role: Role::parse(next()).unwrap_or(Role::User),
        }
    }

    /// Builds the cookie that keeps them.
    pub fn cookie(&self, app: &App) -> Cookie<'static> {
        let value = format!("{}|{}|{}", self.theme.as_str(), self.zone.name(), self.role.as_str());
        let mut cookie = cookies::build(&app.config, cookies::PREFERENCES, value);
        cookies::keep_for(&mut cookie, cookies::MAX_LIFETIME);
        cookie
    }
}
