//! The way into an application: whoever is signed in gets a ticket of one minute, for that application and the browser that its proxy
//! sent here. Whoever is not signs in first.
//!
//! The answer is a page that leads on by itself, and no redirect: browsers take a redirect after a form for a part of the form, which may
//! be sent to this site alone.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::REFERRER_POLICY;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::config::{AppPage, Application};
use crate::identity::{Message, Role, TokenDigest, t};
use crate::paths::account::{APPLICATIONS, TWO_FACTOR};
use crate::paths::auth::ENTER;
use crate::paths::{Next, with_query};
use crate::records::app_sessions;
use crate::site::service::forward_auth::not_for;
use crate::web::errors::{ErrorPage, HttpError, Redirect};
use crate::web::forms::{self, FormError};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::By;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(ENTER, enter));
}

/// A page that leads on by itself.
#[derive(Template)]
#[template(path = "auth/enter.html")]
struct EnterPage {
    title: Message,
    /// The name of the link, for browsers that do not follow by themselves.
    label: Message,
    url: String,
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
    let wanted = app.config.applications.page(&query.to).ok_or_else(|| nowhere(&query.to))?;
    // By a bookmark: the application's proxy sends them here again, with what names their browser.
    let Some(state) = TokenDigest::parse(&query.state) else { return Ok(lead_on(&wanted, wanted.url())) };
    let next = next(&wanted, &state);
    let by = by.map_err(|error| at_fitting_page(error, &next, wanted.application))?;
    require_role(&by, wanted.application)?;
    if let Some(within) = wanted.application.password_within {
        by.require_proof_within(within, next.clone())?;
    }
    if wanted.application.needs_factor {
        require_second_step(&by, wanted.application, &next)?;
    }
    if is_part_of_page(&req) {
        return Err(HttpError::Forbidden);
    }
    let host = wanted.application.host.clone();
    let ticket = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            Ok::<_, FormError>(app_sessions::issue(conn, &by.viewer.session, &host, &state, by.now)?)
        })
        .await
        .map_err(|error| at_fitting_page(error.into(), &next, wanted.application))?;
    Ok(lead_on(&wanted, wanted.with_ticket(&ticket.expose())))
}

fn lead_on(wanted: &AppPage<'_>, url: String) -> Answer {
    let application = &wanted.application.name;
    let page = EnterPage {
        title: t("Opening {application}").with("application", application),
        label: t("Continue to {application}").with("application", application),
        url,
    };
    // The URL holds a ticket.
    page::ok(page).with_header(REFERRER_POLICY, "no-referrer")
}

/// The way back here, through signing in or the confirm page; to the start page of the application where it would be too long.
fn next(wanted: &AppPage<'_>, state: &TokenDigest) -> Next {
    let to = |url: String| Next::parse(&with_query(ENTER.path(), &[("to", &url), ("state", state.as_str())]));
    let next = to(wanted.url());
    if next.as_str().is_empty() { to(AppPage::start(wanted.application).url()) } else { next }
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

/// Whoever has no second step sets one up; whoever signed in without it, on a device they trust, takes it now.
fn require_second_step(by: &By, application: &Application, next: &Next) -> Result<(), HttpError> {
    if !by.user().has_two_factor() {
        let title = t("{application} needs two-step sign-in").with("application", &application.name);
        let text = t("Set it up in your account, then open {application} again.");
        return Err(ErrorPage::new(
            StatusCode::FORBIDDEN,
            title,
            text.with("application", &application.name),
        )
        .way_on(t("Set up two-step sign-in"), TWO_FACTOR.path())
        .into());
    }
    match by.viewer.session.life.factor_at {
        Some(_) => Ok(()),
        None => Err(Redirect::ConfirmNeeded(next.clone()).into()),
    }
}

fn require_role(by: &By, application: &Application) -> Result<(), HttpError> {
    if application.is_for(by.user().role) {
        return Ok(());
    }
    let (title, text) = not_for(&application.name, &by.user().username);
    Err(ErrorPage::new(StatusCode::FORBIDDEN, title, text)
        .way_on(t("Go to your applications"), APPLICATIONS.path())
        .into())
}

/// A picture, a script or a frame of another site gets no ticket; whoever goes there says so, or is a browser that says nothing.
fn is_part_of_page(req: &HttpRequest) -> bool {
    let is_other =
        |name: &str, usual: &[u8]| req.headers().get(name).is_some_and(|said| said.as_bytes() != usual);
    is_other("sec-fetch-mode", b"navigate") || is_other("sec-fetch-dest", b"document")
}

fn nowhere(asked: &str) -> HttpError {
    log::info!("someone asked for an application that APPS doesn't list (a URL of {} bytes)", asked.len());
    let text = t("It doesn't open any of this site's applications. Choose one from your applications.");
    ErrorPage::new(StatusCode::BAD_REQUEST, t("This link doesn't work"), text)
        .way_on(t("Go to your applications"), APPLICATIONS.path())
        .into()
}
