//! Add an authenticator: scan the key or type it, then enter a code of it. Nothing is stored before that code is right; the key waits
//! under seal in the page.

use std::time::Duration;

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::adding::{self, lead_on, parse_name};
use super::qr::QrCode;
use super::{ADDED, TURNED_ON};
use crate::accounts::two_factor::{self, Added, Change, MAX_AUTHENTICATORS, NewAuthenticator, NotAdded};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{AppEntry, AuthenticatorKey, Message, Moment, Otp, t};
use crate::paths::Next;
use crate::paths::account::NEW_AUTHENTICATOR;
use crate::records::events::Kind;
use crate::records::sessions::Session;
use crate::records::users::User;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Enrolling};

/// How long a page with a key may stay open.
const LIFETIME: Duration = Duration::from_secs(3600);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(NEW_AUTHENTICATOR, show, submit));
}

#[derive(Template)]
#[template(path = "account/new_authenticator.html")]
struct NewAuthenticatorPage {
    qr: Option<QrCode>,
    /// The key in groups of four.
    key: String,
    /// The key under seal.
    sealed: String,
    account: String,
    name: String,
    next: String,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewAuthenticatorForm {
    key: String,
    name: String,
    code: String,
    /// Where its person wanted to go.
    next: String,
}

async fn show(app: Data<App>, Enrolling(by): Enrolling, next: Next) -> Result<Answer, HttpError> {
    by.require_recent_proof(&next.after(NEW_AUTHENTICATOR.path()))?;
    let form = NewAuthenticatorForm { next: next.as_str().to_owned(), ..NewAuthenticatorForm::default() };
    Ok(page::ok(page(&app, &by, &AuthenticatorKey::random(), form, Problems::default())))
}

async fn submit(
    app: Data<App>,
    Enrolling(by): Enrolling,
    browser: SignInRequest,
    Form(form): Form<NewAuthenticatorForm>,
) -> Result<Answer, HttpError> {
    // Whoever has a key proved who they are in order to see it, in this very session.
    let Some(key) = open(&app, &by, &form.key) else {
        by.require_recent_proof(NEW_AUTHENTICATOR.path())?;
        let problem = t("This page was open for too long. Scan the new QR code and enter a new code.");
        let problems = Problems::one("code", problem);
        return Ok(page::form_again(page(&app, &by, &AuthenticatorKey::random(), form, problems)));
    };
    match add(&app, &by, &key, &form).await {
        Ok((session, added)) => {
            lead_on(&app, &by, &browser, &session, added, &form.next, [&TURNED_ON, &ADDED])
        }
        Err(error) => Ok(page::form_again(page(&app, &by, &key, form, error.problems()?))),
    }
}

async fn add(
    app: &Data<App>,
    by: &By,
    key: &AuthenticatorKey,
    form: &NewAuthenticatorForm,
) -> Result<(Session, Added), FormError> {
    let mut problems = Problems::default();
    let name = problems.take("name", parse_name(&form.name));
    let step = problems.take("code", step_of(key, &form.code, by.now));
    let (Some(name), Some(step)) = (name, step) else { return Err(problems.into()) };
    let what = (Kind::AuthenticatorAdded, name.clone());
    let new = NewAuthenticator { name, key: key.clone(), step };
    let insert = move |conn: &mut Connection, user: &User, change: &Change<'_>| {
        two_factor::add_authenticator(conn, user, &new, change)
    };
    adding::add(app, by, what, insert, |why| FormError::at("code", why_not(why))).await
}

fn why_not(why: NotAdded) -> Message {
    match why {
        NotAdded::TooMany => t("You have {most} authenticator apps. Remove one before you add another.")
            .with("most", MAX_AUTHENTICATORS),
        NotAdded::Known => t("You've already added this app.").into(),
    }
}

/// Finds the step of a code. Its person holds the key: they may be told how a wrong one is wrong.
fn step_of(key: &AuthenticatorKey, typed: &str, now: Moment) -> Result<i64, Message> {
    let code = Otp::parse(typed).map_err(|_| t("Enter the 6 digits your app shows."))?;
    key.step_of(&code, now).ok_or_else(|| {
        if key.is_of_another_time(&code, now) {
            t("Your phone's clock may be wrong. Set its time to automatic, then enter the code the app shows now.").into()
        } else {
            t("That code isn't right. Check that you scanned the QR code on this page, then enter the code the app shows now.").into()
        }
    })
}

fn page(
    app: &App,
    by: &By,
    key: &AuthenticatorKey,
    form: NewAuthenticatorForm,
    problems: Problems,
) -> NewAuthenticatorPage {
    let account = by.user().username.to_string();
    let entry = AppEntry { issuer: &app.config.brand.name, account: &account };
    NewAuthenticatorPage {
        qr: QrCode::of(&key.url(entry)),
        key: key.in_groups(),
        sealed: seal(app, by, key),
        name: form.name,
        next: form.next,
        account,
        problems,
    }
}

fn seal(app: &App, by: &By, key: &AuthenticatorKey) -> String {
    let until = by.now.plus(LIFETIME).micros();
    let session = by.viewer.session.life.mark();
    app.keys.carried.seal(&format!("authenticator {until} {} {session}", key.expose()))
}

/// Opens the key of a page that was drawn in this session within the hour.
fn open(app: &App, by: &By, sealed: &str) -> Option<AuthenticatorKey> {
    let text = app.keys.open_carried(sealed)?;
    let (until, rest) = text.strip_prefix("authenticator ")?.split_once(' ')?;
    let (key, session) = rest.split_once(' ')?;
    let until = Moment::from_micros(until.parse().ok()?)?;
    let is_fresh = by.now < until && session == by.viewer.session.life.mark();
    AuthenticatorKey::parse(key).filter(|_| is_fresh)
}
