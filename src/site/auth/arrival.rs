//! The beginning of a session, once everything that signing in takes has been given: at the sign-in page, or at the one of the second
//! step.

use crate::accounts::securing::{self, SignIn};
use crate::app::App;
use crate::config::SessionConfig;
use crate::db::{self, Connection};
use crate::identity::{KnownDevice, Moment, t};
use crate::keys::SealKey;
use crate::paths::Next;
use crate::paths::account::PROFILE;
use crate::paths::admin::ADMIN;
use crate::records::events::{self, Kind, Source};
use crate::records::sessions::{self, Device, Remember, Session, SessionKind, SignedInBy};
use crate::records::two_factor::trusted_devices;
use crate::records::users::{self, User};
use crate::web::carried::{Carried, Why};
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::page::{self, Answer};
use crate::web::preferences::Preferences;
use crate::web::sign_in_request::SignInRequest;

/// Somebody whose session has begun, and where they wanted to go.
pub struct Arrival {
    pub session: Session,
    pub user: User,
    /// The device in front of them, by the name that its account has for it.
    pub device: KnownDevice,
    /// A path, or a form that waits, sealed.
    pub next: String,
}

/// A browser in which a session may begin, whoever it will be.
#[derive(Clone)]
pub struct Arriving {
    device: Device,
    /// The accounts that it is or was known for.
    known: Vec<KnownDevice>,
    source: Source,
    place: Option<String>,
    seal: SealKey,
    config: SessionConfig,
    now: Moment,
}

/// What a session is made of, for the transaction in which it begins.
#[derive(Clone)]
pub struct NewSession {
    user: User,
    kind: SessionKind,
    /// What its account calls the device, and whether it did so before.
    pub known_as: KnownDevice,
    is_known: bool,
    browser: Arriving,
}

impl Arriving {
    /// Gathers what is known of a browser.
    pub fn of(app: &App, browser: &SignInRequest) -> Self {
        Self {
            device: browser.device(),
            known: device_cookie::read(app, &browser.req),
            source: browser.client.source(),
            place: app.places.as_ref().and_then(|places| places.of(&browser.client.ip.to_string())),
            seal: app.keys.outbox,
            config: app.config.sessions,
            now: app.clock.now(),
        }
    }

    /// Gathers what a session of somebody is made of.
    pub fn with(self, user: User, remember: Remember) -> NewSession {
        let known = self.known.iter().find(|known| user.knows(known)).cloned();
        NewSession {
            kind: SessionKind::of(user.role, remember),
            is_known: known.is_some(),
            known_as: known.unwrap_or_else(|| KnownDevice::new(&user.id, user.device_epoch)),
            browser: self,
            user,
        }
    }
}

impl NewSession {
    /// Gathers what it is made of.
    pub fn of(app: &App, browser: &SignInRequest, user: User, remember: Remember) -> Self {
        Arriving::of(app, browser).with(user, remember)
    }

    /// The browser's name for itself, cut.
    pub fn agent(&self) -> &str {
        &self.browser.device.agent
    }

    /// Begins it, and tells its owner where they may not expect it. The account is locked, and as it was when the password was checked.
    pub fn begin(&self, conn: &mut Connection, by: SignedInBy) -> Result<Session, db::Error> {
        let Self { user, browser: Arriving { device, source, place, seal, config, now, .. }, .. } = self;
        let known_device = self.is_known.then(|| self.known_as.lane());
        let sign_in = SignIn { agent: &device.agent, ip: device.ip, place: place.clone(), known_device };
        securing::alarm(conn, user, &sign_in, seal, *now)?;
        events::note(conn, Kind::SignedIn, Some(&user.id), source, &device.agent, *now)?;
        Ok(sessions::begin(conn, &user.id, self.kind, by, device, *config, *now)?)
    }
}

impl Arrival {
    /// Begins a session.
    ///
    /// # Errors
    /// As for a wrong password, when the account has changed since that was checked.
    pub async fn begin(
        app: &App,
        browser: &SignInRequest,
        user: User,
        by: SignedInBy,
        remember: Remember,
        next: &str,
    ) -> Result<Self, FormError> {
        let new = NewSession::of(app, browser, user.clone(), remember);
        let device = new.known_as.clone();
        let session = app
            .db
            .write(move |conn| {
                // Hashing took its time: what was checked must still be so, or an old password outlives its change.
                if users::lock_if_unchanged(conn, &new.user)?.is_none() {
                    return Err(wrong());
                }
                // Trusted no more since it was looked at: a code is asked for at the next try.
                if by == SignedInBy::PasswordOnTrustedDevice
                    && !trusted_devices::is_trusted(conn, &new.user.id, &new.known_as, new.browser.now)?
                {
                    return Err(wrong());
                }
                Ok(new.begin(conn, by)?)
            })
            .await?;
        app.wakeup.wake();
        Ok(Self { session, user, device, next: next.to_owned() })
    }

    /// Leads somebody in: to the form that waited for them, or where they wanted to go.
    ///
    /// # Errors
    /// When the browser cannot be pointed to the session, which would be a mistake of ours.
    pub fn lead_in(&self, app: &App, browser: &SignInRequest) -> Result<Answer, HttpError> {
        let Self { session, user, device, next } = self;
        browser.point_to(session, app.clock.now())?;
        let usual = if user.role.sees_admin() { ADMIN } else { PROFILE };
        let carried = Carried::open(app, next, Why::SignIn);
        let is_theirs = carried.as_ref().is_some_and(|carried| carried.user == session.user_id.as_str());
        let answer = match carried.filter(|_| is_theirs) {
            Some(carried) => {
                let answer = page::see_other(carried.path.clone());
                match carried.cookie(app) {
                    Some(cookie) => answer.with_cookie(cookie),
                    None => answer,
                }
            }
            None => page::see_other(Next::parse(next).or(usual.path())),
        };
        let preferences = Preferences { role: user.role, ..Preferences::read(&browser.req) };
        let device = device_cookie::remember_as(app, &browser.req, user, device);
        Ok(answer.with_cookie(preferences.cookie(app)).with_cookie(device))
    }
}

/// What whoever gave no right password is told, whatever the reason.
pub fn wrong() -> FormError {
    FormError::at("username", t("Wrong username or password. Check both and try again."))
}
