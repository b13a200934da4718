//! What every page is drawn with, decided by its request: language, time zone, theme, the site's name and face, who is
//! looking. Templates find it by name, so that no page has to hand it on.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};

use super::assets::Assets;
use super::carried::Owner;
use super::errors::HttpError;
use super::notice::{self, Notice};
use super::preferences::Preferences;
use super::signed_in::SignedInAs;
use super::{app_of, language_of};
use crate::app::App;
use crate::config::{Brand, SignUp, Support};
use crate::identity::{Message, Moment, Role, Theme, Zone, t};
use crate::language::Language;
use crate::paths::account::TWO_FACTOR;
use crate::paths::auth::{ENTER, SIGN_IN};

/// What a page is drawn with: a handle, which each of its templates gets.
#[derive(Clone)]
pub struct View(Rc<Parts>);

/// The parts of a view.
#[derive(Clone)]
pub struct Parts {
    pub language: Language,
    pub zone: Zone,
    pub theme: Theme,
    pub now: Moment,
    /// The path that was asked for.
    pub path: String,
    /// Who is looking, as far as this request found out.
    pub signed_in: Option<Rc<SignedInAs>>,
    /// What has just been done.
    pub notice: Option<Message>,
    /// The role whose sign-in page this browser used last.
    pub role: Role,
    /// Whether the page is a form that was refused.
    pub is_refused: bool,
    has_script: Cell<bool>,
    app: Data<App>,
    assets: Data<Assets>,
}

impl View {
    /// Gathers it for a request, with the notice that was posted to this browser, if it is one of these.
    ///
    /// # Errors
    /// Never, in a server that `server::serve` built.
    pub fn of(req: &HttpRequest, notices: &[&Notice]) -> Result<Self, HttpError> {
        let preferences = Preferences::read(req);
        let mut view = Bare::of(req)?.view();
        let parts = Rc::make_mut(&mut view.0);
        parts.signed_in = req.extensions().get::<Rc<SignedInAs>>().cloned();
        (parts.theme, parts.zone) = match &parts.signed_in {
            Some(somebody) => (somebody.theme, somebody.zone.clone()),
            None => (preferences.theme, preferences.zone),
        };
        parts.notice = notice::read(req, notices);
        parts.role = preferences.role;
        Ok(view)
    }

    /// Notes that the page is a form that was refused.
    pub fn mark_refused(&mut self) {
        Rc::make_mut(&mut self.0).is_refused = true;
    }
}

/// What a view needs of a request without a look at a cookie: reading one keeps all of them, and the gate may have to drop them yet.
pub struct Bare {
    language: Language,
    path: String,
    app: Data<App>,
    assets: Data<Assets>,
}

impl Bare {
    /// Reads it.
    ///
    /// # Errors
    /// Never, in a server that `server::serve` built.
    pub fn of(req: &HttpRequest) -> Result<Self, HttpError> {
        let assets = req.app_data::<Data<Assets>>().cloned();
        Ok(Self {
            language: language_of(req),
            path: req.path().to_owned(),
            app: app_of(req)?,
            assets: assets.ok_or_else(|| HttpError::Internal("no assets".to_owned()))?,
        })
    }

    /// Makes the view of somebody whom nobody knows.
    pub fn view(self) -> View {
        let Self { language, path, app, assets } = self;
        View(Rc::new(Parts {
            language,
            zone: Zone::utc(),
            theme: Theme::System,
            now: app.clock.now(),
            path,
            signed_in: None,
            notice: None,
            role: Role::User,
            is_refused: false,
            has_script: Cell::new(false),
            app,
            assets,
        }))
    }
}

impl Deref for View {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Parts {
    /// Says under seal whose forms the page has.
    pub fn form_seal(&self) -> Option<String> {
        self.signed_in.as_ref().map(|somebody| Owner::seal(&self.app, somebody))
    }

    /// What whoever is looking should know about the second step of signing in: that it ends, or that they will need it.
    pub fn two_factor_band(&self) -> Option<Message> {
        let somebody = self.signed_in.as_ref().filter(|_| !self.is_below(TWO_FACTOR.path()))?;
        if let Some(at) = somebody.two_factor_ends_at.filter(|at| *at > self.now) {
            return Some(
                t("Someone asked us to turn off two-step sign-in. We'll do it on {when}.").with("when", at),
            );
        }
        let config = &self.app.config.two_factor;
        let is_missing = config.is_required_of(somebody.role) && !somebody.has_two_factor;
        let from = config.required_from.filter(|from| is_missing && *from > self.now)?;
        Some(t("Your account will need two-step sign-in from {when}.").with("when", from))
    }

    /// What browsers draw their own parts in.
    pub fn color_scheme(&self) -> &'static str {
        match self.theme {
            Theme::System | Theme::Contrast => "light dark",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// The site's own name and face.
    pub fn brand(&self) -> &Brand {
        &self.app.config.brand
    }

    /// Where people find help.
    pub fn support(&self) -> Option<&Support> {
        self.brand().support.as_ref()
    }

    /// Whether strangers may sign up.
    pub fn is_open(&self) -> bool {
        self.app.config.sign_up == SignUp::Open
    }

    /// The sign-in page that this browser used last.
    pub fn sign_in(&self) -> String {
        SIGN_IN.to([self.role.as_str()])
    }

    /// Whether this is the page.
    pub fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// Whether the page is this one, or one below it.
    pub fn is_below(&self, path: &str) -> bool {
        self.path.starts_with(path)
    }

    /// The path of the style sheet.
    pub fn stylesheet(&self) -> &str {
        self.assets.stylesheet()
    }

    /// The path of the script of passkeys. Whichever page writes it may run that script, and no other page may run any.
    pub fn script(&self) -> &str {
        self.has_script.set(true);
        self.assets.script()
    }

    /// Whether the page that was drawn has written it.
    pub fn has_script(&self) -> bool {
        self.has_script.get()
    }

    /// Whether people may sign in with a code that is emailed.
    pub fn has_sign_in_codes(&self) -> bool {
        self.app.config.sign_in_by_code
    }

    /// Whether the site is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.app.config.public_url.is_https()
    }

    /// Whether people may sign in with passkeys.
    pub fn has_passkeys(&self) -> bool {
        self.app.passkeys.is_some()
    }

    /// The path of the icon.
    pub fn icon(&self) -> &str {
        self.assets.icon()
    }

    /// Whether there are applications to open.
    pub fn has_applications(&self) -> bool {
        !self.app.config.applications.is_empty()
    }

    /// The path of an application's icon.
    pub fn app_icon(&self, host: &str) -> Option<&str> {
        self.assets.app_icon(host)
    }

    /// The name of the application that a way on leads into.
    pub fn leads_to(&self, next: &str) -> Option<String> {
        let (_, query) = next.split_once('?').filter(|(path, _)| *path == ENTER.path())?;
        let fields: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
        let (_, to) = fields.iter().find(|(name, _)| name == "to")?;
        Some(self.app.config.applications.page(to)?.application.name.clone())
    }

    /// The media type of the icon.
    pub fn icon_kind(&self) -> &str {
        self.assets.icon_kind()
    }
}

/// Templates find its parts by name.
impl askama::Values for View {
    fn get_value<'a>(&'a self, key: &str) -> Option<&'a dyn std::any::Any> {
        match key {
            "language" => Some(&self.language),
            "zone" => Some(&self.zone),
            "now" => Some(&self.now),
            "view" => Some(self),
            _ => None,
        }
    }
}

/// The filters of pages: those of every text, and the view itself.
#[expect(clippy::inline_always, reason = "what the macro writes")]
pub mod filters {
    use askama::Values;

    use super::View;
    pub use crate::language::filters::*;

    /// Finds what the page is drawn with: `{% let view = ""|view %}`.
    #[askama::filter_fn]
    pub fn view(_: impl std::fmt::Display, values: &dyn Values) -> askama::Result<View> {
        askama::get_value::<View>(values, "view").cloned()
    }
}
