//! The way into an application: whoever is signed in gets a ticket of one minute, for that application and the browser that its proxy
//! sent here. Whoever is not signs in first.
//!
//! The answer is a page that leads on by itself, and no redirect: browsers take a redirect after a form for a part of the form, which may
//! be sent to this site alone.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::REFERRER_POLICY;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::config::{Application, Place};
use crate::identity::{Message, Role, TokenDigest, t};
use crate::limits::Limit;
use crate::paths::account::APPLICATIONS;
use crate::paths::auth::ENTER;
use crate::paths::{Next, with_query};
use crate::records::app_sessions;
use crate::web::errors::{ErrorPage, HttpError, Redirect};
use crate::web::forms::{self, FormError};
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::view::filters;
use crate::web::viewer::By;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(ENTER, enter));
}

/// A page that leads on by itself.
#[derive(Template)]
#[template(path = "auth/lead_on.html")]
pub struct LeadOnPage {
    pub title: Message,
    /// The name of the link, for browsers that do not follow by themselves.
    pub label: Message,
    pub url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EnterQuery {
    to: String,
    /// The digest of the cookie that the browser has at the application.
    state: String,
}

async fn enter(app: Data<App>, by: Result<By, HttpError>, req: HttpRequest) -> Result<Answer, HttpError> {
    let query: EnterQuery = forms::query(&req)?;
    let place = app.config.applications.place(&query.to).ok_or_else(|| nowhere(&query.to))?;
    // By a bookmark: the application's proxy sends them here again, with what names their browser.
    let Some(state) = TokenDigest::parse(&query.state) else { return Ok(lead_on(&place, place.url())) };
    let next = next(&place, &state);
    let by = by.map_err(|error| at_fitting_page(error, &next, place.application))?;
    require_role(&by, place.application)?;
    if let Some(within) = place.application.password_within {
        by.require_password_within(within, next)?;
    }
    if is_part_of_page(&req) {
        return Err(HttpError::Forbidden);
    }
    app.limits.take([Limit::Enter.of(by.viewer.session.id.as_str())]).await?.spend();
    let host = place.application.host.clone();
    let ticket = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            Ok::<_, FormError>(app_sessions::issue(conn, &by.viewer.session, &host, &state, by.now)?)
        })
        .await?;
    Ok(lead_on(&place, place.with_ticket(&ticket.expose())))
}

fn lead_on(place: &Place<'_>, url: String) -> Answer {
    let application = &place.application.name;
    let page = LeadOnPage {
        title: t("Opening {application}").with("application", application),
        label: t("Continue to {application}").with("application", application),
        url,
    };
    // The address holds a ticket.
    page::ok(page).with_header(REFERRER_POLICY, "no-referrer")
}

/// The way back here, through signing in or the confirm page; to the start page of the application where it would be too long.
fn next(place: &Place<'_>, state: &TokenDigest) -> Next {
    let to = |url: String| Next::parse(&with_query(ENTER.path(), &[("to", &url), ("state", state.as_str())]));
    let next = to(place.url());
    if next.as_str().is_empty() { to(Place::start(place.application).url()) } else { next }
}

/// Whoever has to sign in does so at the page of a role that the application is for.
fn at_fitting_page(error: HttpError, next: &Next, application: &Application) -> HttpError {
    match error {
        HttpError::Redirect(Redirect::SignInNeeded(_, used_last)) => {
            let first = application.roles.first().copied().unwrap_or(Role::User);
            let role = if application.is_for(used_last) { used_last } else { first };
            Redirect::SignInNeeded(next.clone(), role).into()
        }
        error => error,
    }
}

fn require_role(by: &By, application: &Application) -> Result<(), HttpError> {
    if application.is_for(by.user().role) {
        return Ok(());
    }
    let title = t("You can't open {application}").with("application", &application.name);
    let text = t("You're signed in as {name}, and that account doesn't have access. Ask an administrator, or sign out and use another account.")
        .with("name", by.user().username.as_str());
    Err(ErrorPage::new(StatusCode::FORBIDDEN, title, text)
        .way_on(t("Your applications"), APPLICATIONS.path())
        .into())
}

/// A picture or a script of another site gets no ticket; whoever goes there says so, or is a browser that says nothing.
fn is_part_of_page(req: &HttpRequest) -> bool {
    req.headers().get("sec-fetch-mode").is_some_and(|mode| mode.as_bytes() != b"navigate")
}

fn nowhere(asked: &str) -> HttpError {
    log::info!("a way into an application was asked for that APPS doesn't list ({} bytes)", asked.len());
    let text = t("It leads to none of this site's applications. Open the application again.");
    ErrorPage::new(StatusCode::BAD_REQUEST, t("This link doesn't work"), text)
        .way_on(t("Your applications"), APPLICATIONS.path())
        .into()
}
