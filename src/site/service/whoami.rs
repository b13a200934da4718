//! Who is signed in with this browser, for front ends of the site's own origins: JSON, with exact-origin CORS (Fetch, 3.2).
//!
//! A browser sends the cookie only from the same site (`SameSite=Lax`). What is said holds now: sign-out, block and the days before a
//! deletion count at the next question.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HeaderName, ORIGIN, VARY,
};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use crate::app::App;
use crate::identity::{AccountStatus, Email, Id, Role, Username};
use crate::paths::absolute;
use crate::paths::account::PICTURE;
use crate::paths::auth::WHOAMI;
use crate::records::sessions::Session;
use crate::records::users::User;
use crate::web::routes::{self, Pages};
use crate::web::viewer::Known;

/// Other origins of this site may read it; other sites may not even load it.
const RESOURCE_POLICY: (HeaderName, &str) =
    (HeaderName::from_static("cross-origin-resource-policy"), "same-site");

/// How many seconds a browser need not ask again whether it may ask.
const PREFLIGHT_AGE: &str = "600";

pub fn routes(pages: &mut Pages) {
    pages.service(routes::shared(WHOAMI, show, preflight));
}

/// What is said of who is signed in.
#[derive(Serialize)]
pub(super) struct Somebody<'a> {
    signed_in: bool,
    id: &'a Id,
    username: &'a Username,
    email: &'a Option<Email>,
    name: &'a str,
    role: Role,
    /// Whether this session was signed in, or confirmed since, with a second step.
    second_factor: bool,
    /// Where the picture is; shown to its person alone.
    picture: Option<String>,
    /// When this session ends if nothing more is done with it (RFC 3339).
    until: String,
}

async fn show(app: Data<App>, Known(viewer): Known, req: HttpRequest) -> HttpResponse {
    let viewer = viewer.filter(|viewer| may_be_told(&app, &viewer.user));
    let mut answer = answer_to(&app, &req, HttpResponse::Ok());
    match &viewer {
        Some(viewer) => answer.json(Somebody::of(&app, &viewer.user, &viewer.session)),
        None => answer.json(serde_json::json!({ "signed_in": false })),
    }
}

/// Whether an account may be used by others beside this site: it is active, and has the second step that its role needs.
pub(super) fn may_be_told(app: &App, user: &User) -> bool {
    let has_two_factor = user.has_two_factor();
    user.status() == AccountStatus::Active
        && !app.config.two_factor.comes_first(user.role, has_two_factor, app.clock.now())
}

async fn preflight(app: Data<App>, req: HttpRequest) -> HttpResponse {
    let mut answer = answer_to(&app, &req, HttpResponse::NoContent());
    answer.insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET"));
    answer.insert_header((ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE));
    answer.finish()
}

/// Lets the origin that asks read the answer, if it is exactly one of those in the settings.
fn answer_to(app: &App, req: &HttpRequest, mut answer: HttpResponseBuilder) -> HttpResponseBuilder {
    answer.insert_header((VARY, "Origin, Cookie")).insert_header(RESOURCE_POLICY);
    let mut origins = req.headers().get_all(ORIGIN);
    let asks = origins.next().filter(|_| origins.next().is_none());
    let allowed = &app.config.cors_allowed_origins;
    if let Some(origin) = asks.filter(|asks| allowed.iter().any(|known| asks.as_bytes() == known.as_bytes()))
    {
        answer.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        answer.insert_header((ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"));
    }
    answer
}

impl<'a> Somebody<'a> {
    pub(super) fn of(app: &App, user: &'a User, session: &Session) -> Self {
        let picture = user.picture.as_deref().map(|name| PICTURE.to([name]));
        Self {
            signed_in: true,
            id: &user.id,
            username: &user.username,
            email: &user.email,
            name: user.display_name(),
            role: user.role,
            second_factor: session.life.factor_at.is_some(),
            picture: picture.map(|path| absolute(&app.config.public_url, &path)),
            until: session.life.ends_at().iso(),
        }
    }
}
