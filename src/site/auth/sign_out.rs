//! Sign out of this browser, at once and for good, and of every application that was opened with it.
//!
//! An application may send people here, with where to go afterwards: to one of the applications, or nowhere.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::config::AppPage;
use crate::db;
use crate::identity::t;
use crate::paths::auth::{SIGN_IN, SIGN_OUT};
use crate::paths::{HOME, with_query};
use crate::records::events::{self, Kind};
use crate::records::sessions;
use crate::web::errors::{HttpError, Redirect};
use crate::web::forms::{self, Form};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{Known, Remaining};

/// On the sign-in page.
pub const SIGNED_OUT: Notice = Notice::new("signed-out", t("You've signed out."));

/// The Back button must not show what the account's pages held.
const CLEAR_CACHE: (HeaderName, &str) = (HeaderName::from_static("clear-site-data"), "\"cache\"");

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(SIGN_OUT, show, sign_out));
}

/// Asks before it signs out: a link must not do it.
#[derive(Template)]
#[template(path = "auth/sign_out.html")]
struct SignOutPage {
    to: String,
}

/// Says that it is done, and leads back. Not by itself: an application that is shut would only ask to sign in again.
#[derive(Template)]
#[template(path = "auth/signed_out.html")]
struct SignedOutPage {
    application: String,
    url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignOutForm {
    /// A page of an application.
    to: String,
}

impl SignOutForm {
    /// Where to go afterwards, if it is a page of one of the applications.
    fn onwards<'a>(&self, app: &'a App) -> Option<AppPage<'a>> {
        app.config.applications.page(&self.to)
    }
}

async fn show(app: Data<App>, Known(viewer): Known, req: HttpRequest) -> Result<Answer, HttpError> {
    let asked: SignOutForm = forms::query(&req)?;
    Ok(match (asked.onwards(&app), viewer) {
        (Some(page), Some(_)) => page::ok(SignOutPage { to: page.url() }),
        (Some(page), None) => {
            page::ok(SignedOutPage { application: page.application.name.clone(), url: page.url() })
        }
        (None, _) => page::see_other(HOME.path()),
    })
}

async fn sign_out(
    app: Data<App>,
    remaining: Result<Remaining, HttpError>,
    browser: SignInRequest,
    form: Result<Form<SignOutForm>, HttpError>,
) -> Result<Answer, HttpError> {
    // A form that cannot be read signs out all the same.
    let form = form.map(|Form(form)| form).unwrap_or_default();
    let onwards = form.onwards(&app).map(|page| with_query(SIGN_OUT.path(), &[("to", &page.url())]));
    let by = match (remaining, &onwards) {
        (Ok(Remaining(by)), _) => by,
        // They are signed out already.
        (Err(HttpError::Redirect(Redirect::SignInNeeded(..))), Some(onwards)) => {
            return Ok(page::see_other(onwards));
        }
        (Err(error), _) => return Err(error),
    };
    let role = by.user().role;
    app.db
        .write(move |conn| {
            sessions::end(conn, &by.viewer.session.life.id, by.now)?;
            events::note(conn, Kind::SignedOut, Some(&by.user().id), &by.source(), "", by.now)
                .map_err(db::Error::from)
        })
        .await?;
    browser.cookie_session.purge();
    let answer = match onwards {
        Some(onwards) => page::see_other(onwards),
        None => page::see_other(SIGN_IN.to([role.as_str()])).saying(SIGNED_OUT.post()),
    };
    Ok(answer.with_header(CLEAR_CACHE.0, CLEAR_CACHE.1))
}
