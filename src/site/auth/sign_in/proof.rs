//! The proof that the right password was given at the sign-in page of another role: it lets its browser go on there for two
//! minutes, while account and password are as they were.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::identity::{Id, Moment, Role, Sentence, fingerprint, random_name, t};
use crate::records::sessions::Remember;
use crate::records::users::User;
use crate::web::cookies;

const LIFETIME: Duration = Duration::from_secs(120);

/// Whose password was right.
pub struct Proof {
    pub user: Id,
    pub role: Role,
    pub remember: Remember,
    /// Where they wanted to go.
    pub next: String,
    /// Which password it was, without saying it.
    password: String,
    until: Moment,
}

/// The button that goes on.
pub struct Offer {
    pub role: Role,
    pub what: Sentence,
    pub button: Sentence,
    pub seal: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    user: String,
    role: String,
    remember: bool,
    next: String,
    password: String,
    until: i64,
    /// What the browser's cookie must hold.
    browser: String,
}

impl Proof {
    /// Proves that somebody gave the password of an account just now.
    pub fn of(app: &App, user: &User, remember: Remember, next: &str) -> Self {
        Self {
            user: user.id.clone(),
            role: user.role,
            remember,
            next: next.to_owned(),
            password: password_of(user),
            until: app.clock.now().plus(LIFETIME),
        }
    }

    /// Whether account and password are as they were.
    pub fn fits(&self, user: &User) -> bool {
        user.role == self.role && password_of(user) == self.password
    }

    /// Seals it for one browser.
    pub fn offer(self, app: &App) -> (Offer, Cookie<'static>) {
        let browser = random_name();
        let mut cookie = cookies::build(&app.config, cookies::CONTINUE, browser.clone());
        cookies::keep_for(&mut cookie, LIFETIME);
        let sealed = Sealed {
            user: self.user.as_str().to_owned(),
            role: self.role.as_str().to_owned(),
            remember: matches!(self.remember, Remember::Yes),
            next: self.next,
            password: self.password,
            until: self.until.micros(),
            browser,
        };
        let text = serde_json::to_string(&sealed).unwrap_or_default();
        let (what, button) = match self.role {
            Role::User => (t("This is a user account"), t("Continue as a user")),
            Role::Merchant => (t("This is a merchant account"), t("Continue as a merchant")),
            Role::Staff => (t("This is a staff account"), t("Continue as staff")),
            Role::Superuser => (t("This is a superuser account"), t("Continue as a superuser")),
        };
        (
            Offer { role: self.role, what, button, seal: app.keys.carried.seal(&format!("proof {text}")) },
            cookie,
        )
    }

    /// Opens one in the browser that it was sealed for; its cookie goes, so that it is used once.
    pub fn open(app: &App, req: &HttpRequest, sealed: &str) -> Option<Self> {
        let text = app.keys.open_carried(sealed)?;
        let sealed: Sealed = serde_json::from_str(text.strip_prefix("proof ")?).ok()?;
        let cookie = cookies::get(req, &app.config, cookies::CONTINUE)?;
        let until = Moment::from_micros(sealed.until)?;
        if cookie.value() != sealed.browser || app.clock.now() >= until {
            return None;
        }
        cookies::forget_later(req, cookies::CONTINUE);
        Some(Self {
            user: Id::parse(&sealed.user)?,
            role: Role::parse(&sealed.role)?,
            remember: Remember::from(sealed.remember),
            next: sealed.next,
            password: sealed.password,
            until,
        })
    }
}

fn password_of(user: &User) -> String {
    fingerprint(user.password_hash.as_str().as_bytes())
}
