//! Sign in with a code that is emailed, instead of a password: where the operator allows it, and never for those who see the admin
//! pages. A second step is asked for as after the password.
//!
//! Every address gets the same pages in the same time: a flow is begun, counted and renewed alike for all, and who has the address is
//! looked up outside the request. A code works in the browser that asked for it alone.

mod entry;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::accounts::codes::CodeRules;
use crate::accounts::sign_in_codes;
use crate::app::App;
use crate::db;
use crate::identity::{Email, Id, KnownDevice, t};
use crate::limits::Limit;
use crate::mail::{self, Envelope, SignInCodeRequest};
use crate::paths::Next;
use crate::paths::auth::{ENTER_CODE, SIGN_IN_CODE};
use crate::records::sessions::Remember;
use crate::records::verifications::{self, CodeState, Verification};
use crate::web::carried::{Carried, Why};
use crate::web::client::Client;
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::Stranger;

/// Where a code is asked for.
const OVER: Notice =
    Notice::new("sign-in-code-over", t("This code can't be used any more. Ask for a new one."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(SIGN_IN_CODE, show, submit));
    entry::routes(pages);
}

#[derive(Template)]
#[template(path = "auth/sign_in_code.html")]
struct AskPage {
    form: AskForm,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AskForm {
    email: String,
    /// What was typed at the sign-in page, whose button leads here.
    username: String,
    /// Whether the button of this page was pressed.
    ask: String,
    remember: String,
    next: String,
    /// A form that waits for its person, sealed.
    carried: String,
}

fn require_allowed(app: &App) -> Result<(), HttpError> {
    if app.config.sign_in_by_code { Ok(()) } else { Err(HttpError::NotFound) }
}

async fn show(app: Data<App>, _: Stranger, next: Next) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let form = AskForm { next: next.as_str().to_owned(), ..AskForm::default() };
    Ok(page::ok(AskPage { form, problems: Problems::default() }).showing(&[&OVER]))
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    req: HttpRequest,
    client: Client,
    Form(form): Form<AskForm>,
) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    if form.ask.is_empty() {
        let email = if form.username.contains('@') { form.username.clone() } else { String::new() };
        let form = AskForm { email, ..form };
        return Ok(page::ok(AskPage { form, problems: Problems::default() }));
    }
    let email = match Email::parse(&form.email) {
        Ok(email) => email,
        Err(message) => {
            let problems = Problems::one("email", message);
            return Ok(page::form_again(AskPage { form, problems }));
        }
    };
    let now = app.clock.now();
    let before = entry::waiting(&app, &req).await?.map(|waiting| waiting.flow);
    // One whose code still works is the same once more: another code may not be mailed yet.
    let before = before.filter(|flow| flow.email.is_same_as(&email) && flow.state(now) == CodeState::Open);
    match ask(&app, &req, &client, &email, &form.waiting(&app), before).await {
        Ok(flow) => {
            let cookie = entry::cookie(&app, &flow, Remember::of_box(&form.remember));
            Ok(page::see_other(ENTER_CODE.path()).with_cookie(cookie))
        }
        Err(HttpError::TooMany(wait)) => {
            let message = t("Too many codes have been requested. Try again in {wait}.").with("wait", wait);
            Ok(page::too_many(wait, AskPage { form, problems: Problems::one("email", message) }))
        }
        Err(error) => Err(error),
    }
}

/// Asks for a code, for a flow of this browser or a new one.
async fn ask(
    app: &App,
    req: &HttpRequest,
    client: &Client,
    email: &Email,
    next: &str,
    before: Option<Verification>,
) -> Result<Id, HttpError> {
    let lanes: Vec<String> = device_cookie::read(app, req).iter().map(KnownDevice::lane).collect();
    app.limits.take(client.keys_of(Limit::SignInCode, &lanes)).await?.spend();
    let request = SignInCodeRequest { network: client.neighbourhood(), lanes };
    let rules = CodeRules::new(&app.config, &app.keys);
    let before = before.map(|flow| flow.id);
    let (email, next, now) = (email.clone(), next.to_owned(), app.clock.now());
    let flow = app
        .db
        .write(move |conn| {
            let flow = match &before {
                Some(before) => {
                    verifications::set_next(conn, before, &next)?;
                    before.clone()
                }
                None => sign_in_codes::begin(conn, &email, &next, &rules, now)?.id,
            };
            let envelope = Envelope::to_courier().with_secret(flow.as_str(), rules.lifetime, &rules.seal);
            mail::queue(conn, request.clone(), &envelope, now)?;
            Ok::<_, db::Error>(flow)
        })
        .await?;
    app.wakeup.wake();
    Ok(flow)
}

impl AskPage {
    fn next(&self) -> Next {
        Next::parse(&self.form.next)
    }
}

impl AskForm {
    /// What waits for signing in: a form that we sealed, or a path.
    fn waiting(&self, app: &App) -> String {
        match Carried::open(app, &self.carried, Why::SignIn) {
            Some(_) => self.carried.clone(),
            None => Next::parse(&self.next).as_str().to_owned(),
        }
    }
}
