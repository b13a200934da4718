//! Nothing typed is lost: a form that cannot be taken now is sealed, with its path, whose it is and until when, and carried
//! through the page that comes first: signing in, or giving the password again. Never with a password in it, and in no address.
//!
//! It travels in a cookie for one step, and stays in a hidden field of the page. Every form of somebody who is signed in names
//! its owner under seal, so that it is never taken for somebody else.

use std::rc::Rc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::errors::{HttpError, Redirect};
use super::notice::Notice;
use super::routes::is_plain;
use super::signed_in::SignedInAs;
use super::{app_of, cookies, forms};
use crate::app::App;
use crate::identity::{Id, Moment, t};
use crate::records::sessions::Life;

/// How long a form is kept for its person to come back: as long as signing in may take.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How long the step to the next page may take.
const STEP: Duration = Duration::from_secs(60);
/// Browsers keep no larger cookie (RFC 6265bis, 5.6): a larger form is not carried.
const MAX_COOKIE: usize = 3800;
/// What is never carried.
const NEVER: [&str; 12] = [
    "password",
    "confirm_password",
    "current_password",
    "otp",
    "code",
    "key",
    "passkey",
    "question",
    "for",
    "shown",
    "carried",
    "continue_as",
];

/// What a form waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Its person has been signed out, and sees it again.
    SignIn,
    /// Its person gives the password again, and then it is done.
    Confirm,
}

/// A form on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Carried {
    pub why: Why,
    /// Where it was sent.
    pub path: String,
    /// Whose it is.
    pub user: String,
    /// In which session the password is asked for, at which generation: it is done once, and there.
    session: Option<String>,
    until: i64,
    fields: Vec<(String, String)>,
}

/// Whose form was sent: an account's identifier and username.
#[derive(Clone)]
pub struct Owner {
    pub id: Id,
    pub username: String,
}

/// The session of a request: a form that waits for the password names it.
pub struct InSession(pub Life);

/// It was too long for the cookie: on the page that comes first.
pub const TOO_LONG: Notice = Notice::new(
    "too-long-to-keep",
    t("Your form was too long to keep, so nothing has changed. Please send it again."),
);

/// The form of this request.
struct Sent {
    owner: Option<Owner>,
    fields: Vec<(String, String)>,
}

impl Owner {
    /// Seals whose form it is.
    pub fn seal(app: &App, somebody: &SignedInAs) -> String {
        app.keys.carried.seal(&format!("of {} {}", somebody.id.as_str(), somebody.username))
    }

    /// Reads whose form it is; `None` where that was not sealed by us.
    pub fn open(app: &App, sealed: &str) -> Option<Self> {
        let text = app.keys.open_carried(sealed)?;
        let (id, username) = text.strip_prefix("of ")?.split_once(' ')?;
        Some(Self { id: Id::parse(id)?, username: username.to_owned() })
    }

    /// Finds whose form was sent with a request.
    pub fn of(req: &HttpRequest) -> Option<Self> {
        req.extensions().get::<Sent>()?.owner.clone()
    }
}

impl Carried {
    /// Opens what was carried, if its time is not over.
    pub fn open(app: &App, sealed: &str, why: Why) -> Option<Self> {
        let text = app.keys.open_carried(sealed)?;
        let carried: Self = serde_json::from_str(text.strip_prefix("form ")?).ok()?;
        let until = Moment::from_micros(carried.until)?;
        (carried.why == why && app.clock.now() < until).then_some(carried)
    }

    /// Whether it waits for the password of that session, which has not been given there since.
    pub fn is_of_session(&self, session: &str) -> bool {
        self.session.as_deref() == Some(session)
    }

    /// Reads the form as its page does.
    pub fn form<T: DeserializeOwned>(&self) -> Option<T> {
        serde_urlencoded::from_str(&serde_urlencoded::to_string(&self.fields).ok()?).ok()
    }

    /// Builds the cookie that takes it one step further.
    pub fn cookie(&self, app: &App) -> Option<Cookie<'static>> {
        let sealed = self.seal(app)?;
        let mut cookie = cookies::build(&app.config, cookies::CARRIED, sealed);
        cookies::keep_for(&mut cookie, STEP);
        Some(cookie)
    }

    fn seal(&self, app: &App) -> Option<String> {
        let sealed = app.keys.carried.seal(&format!("form {}", serde_json::to_string(self).ok()?));
        (sealed.len() <= MAX_COOKIE).then_some(sealed)
    }
}

/// Takes what has just arrived in the cookie, still sealed: for the hidden field of the page that comes first.
pub fn take_arriving(req: &HttpRequest, why: Why) -> Option<String> {
    let app = app_of(req).ok()?;
    let cookie = cookies::get(req, &app.config, cookies::CARRIED)?;
    Carried::open(&app, cookie.value(), why)?;
    cookies::forget_later(req, cookies::CARRIED);
    Some(cookie.value().to_owned())
}

/// Takes the form that came back to its page, or to the page that owns it, after its person signed in again.
pub fn take_returned(req: &HttpRequest, user: &Id) -> Option<Carried> {
    let app = app_of(req).ok()?;
    let cookie = cookies::get(req, &app.config, cookies::CARRIED)?;
    let carried = Carried::open(&app, cookie.value(), Why::SignIn)?;
    if carried.user != user.as_str() || !carried.path.starts_with(req.path()) {
        return None;
    }
    cookies::forget_later(req, cookies::CARRIED);
    Some(carried)
}

/// Sends the form of a request on its way when another page comes first.
pub fn send_on<B>(answer: &mut ServiceResponse<B>) {
    let why = match answer.response().error().and_then(|error| error.as_error::<HttpError>()) {
        Some(HttpError::Redirect(Redirect::SignInNeeded(..))) => Why::SignIn,
        Some(HttpError::Redirect(Redirect::ConfirmNeeded(_))) => Why::Confirm,
        _ => return,
    };
    if let Some((app, carried)) = waiting(answer.request(), why) {
        let cookie = carried.cookie(&app).unwrap_or_else(|| TOO_LONG.post().cookie(&app));
        cookies::set(answer.headers_mut(), &cookie);
    }
}

/// Keeps the form of a request beside it, where there is a page for it.
pub async fn keep(req: &mut ServiceRequest) {
    let is_form = *req.method() == Method::POST && forms::is_urlencoded(req.headers());
    if !is_form || req.match_pattern().is_none() {
        return;
    }
    let Ok(app) = app_of(req.request()) else { return };
    let payload = req.take_payload();
    let body = forms::body(payload).await;
    if let Ok(Ok(fields)) = body.as_ref().map(|body| forms::decode::<Vec<(String, String)>>(body)) {
        let sealed = fields.iter().find(|(name, _)| name == "for");
        let owner = sealed.and_then(|(_, sealed)| Owner::open(&app, sealed));
        req.extensions_mut().insert(Sent { owner, fields });
    }
    req.extensions_mut().insert(forms::Body(body));
}

/// The form that waits for another page; none where there is no form, or nobody knows whose it is.
fn waiting(req: &HttpRequest, why: Why) -> Option<(Data<App>, Carried)> {
    let app = app_of(req).ok()?;
    let extensions = req.extensions();
    let sent = extensions.get::<Sent>()?;
    let fields = sent.fields.iter().filter(|(name, _)| !NEVER.contains(&name.as_str()));
    // Who gives the password again is signed in.
    let viewer = extensions.get::<Rc<SignedInAs>>().filter(|_| why == Why::Confirm);
    let user = sent.owner.as_ref().map(|owner| &owner.id).or(viewer.map(|viewer| &viewer.id));
    let session = extensions.get::<InSession>().filter(|_| why == Why::Confirm);
    if !is_plain(req.path()) {
        return None;
    }
    let carried = Carried {
        why,
        session: session.map(|session| session.0.mark()),
        path: req.path().to_owned(),
        user: user?.as_str().to_owned(),
        until: app.clock.now().plus(LIFETIME).micros(),
        fields: fields.cloned().collect(),
    };
    drop(extensions);
    Some((app, carried))
}
