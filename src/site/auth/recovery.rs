//! Forgot the password: request a link, choose a new password with it.
//!
//! A request has one answer for every input. The link works for twenty minutes and once, and is looked at by GET as often
//! as scanners like. A new password ends every session and every other link, signs nobody in, and is reported by mail.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use super::keep_two_factor::KEPT;
use super::links::{dead_link, open_link};
use super::password_check::{hash_new, own_words};
use super::secure_account::{EMAIL_RESTORED, SECURED};
use super::typing::{NewPasswordForm, Typing};
use crate::accounts::passwords;
use crate::app::App;
use crate::db;
use crate::identity::{Email, KnownDevice, LinkPurpose, Login, Message, Username, t};
use crate::limits::Limit;
use crate::mail::{self, Envelope, RecoveryRequest};
use crate::paths::auth::{FORGOT, RESET, SIGN_IN};
use crate::records::events::{self, Kind};
use crate::records::links::{self, Link, LinkState};
use crate::records::users::User;
use crate::site::account::secure::LINK_SENT;
use crate::web::client::Client;
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::{self, Notice};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;

/// On the sign-in page.
pub const PASSWORD_RESET: Notice =
    Notice::new("password-reset", t("Your password has been changed. Sign in with the new one."));
/// Makes the page where links are requested say that one may be on its way.
const REQUESTED: Notice = Notice::counted(
    "reset-requested",
    "If there's an account with that username or email address, we've just emailed it a link to choose a new password. The link works for 1 minute.",
    "If there's an account with that username or email address, we've just emailed it a link to choose a new password. The link works for {count} minutes.",
);

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::form(FORGOT, show_request, request))
        .service(routes::form(RESET, show_reset, reset));
}

#[derive(Template)]
#[template(path = "auth/forgot_password.html")]
struct RequestPage {
    form: RequestForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "auth/check_inbox.html")]
struct CheckInboxPage {
    text: Message,
}

#[derive(Template)]
#[template(path = "auth/reset_password.html")]
struct ResetPage {
    username: Username,
    /// Whether somebody was invited, and never had one.
    is_first: bool,
    typing: Typing,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RequestForm {
    username: String,
}

async fn show_request(req: HttpRequest) -> Answer {
    if let Some(text) = notice::read(&req, &[&REQUESTED, &LINK_SENT]) {
        return page::ok(CheckInboxPage { text });
    }
    page::ok(RequestPage { form: RequestForm::default(), problems: Problems::default() }).showing(&[&KEPT])
}

async fn request(
    app: Data<App>,
    req: HttpRequest,
    client: Client,
    Form(form): Form<RequestForm>,
) -> Result<Answer, HttpError> {
    let login = match Login::parse(&form.username) {
        Ok(login) => login,
        Err(message) => {
            let problems = Problems::one("username", message);
            return Ok(page::form_again(RequestPage { form, problems }));
        }
    };
    let lanes: Vec<String> = device_cookie::read(&app, &req).iter().map(KnownDevice::lane).collect();
    app.limits.take(client.keys_of(Limit::Recovery, &lanes)).await?.spend();
    let asked = RecoveryRequest { network: client.neighbourhood(), lanes };
    let lifetime = app.config.reset_lifetime;
    let now = app.clock.now();
    let seal = app.keys.outbox;
    app.db
        .write(move |conn| {
            let envelope = Envelope::to_courier().with_secret(login.as_str(), lifetime, &seal);
            mail::queue(conn, asked.clone(), &envelope, now).map_err(db::Error::from)
        })
        .await?;
    app.wakeup.wake();
    let minutes = usize::try_from(lifetime.as_secs().div_ceil(60)).unwrap_or(usize::MAX);
    Ok(page::see_other(FORGOT.path()).saying(REQUESTED.of(minutes)))
}

async fn show_reset(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (_, user) = open_link(&app, &at, LinkPurpose::ResetPassword).await?;
    let page = ResetPage::new(&app, &user, &NewPasswordForm::default(), Problems::default());
    Ok(page::ok(page).showing(&[&EMAIL_RESTORED, &SECURED]))
}

async fn reset(
    app: Data<App>,
    req: HttpRequest,
    client: Client,
    at: Path<(String, String)>,
    Form(form): Form<NewPasswordForm>,
) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::ResetPassword).await?;
    if form.only_shows() {
        return Ok(page::ok(ResetPage::new(&app, &user, &form, Problems::default())));
    }
    // Of this link alone: what neighbours ask for must not keep anybody from using theirs.
    app.limits.take([Limit::Link.of(link.id.as_str())]).await?.spend();
    match set_password(&app, &client, link, &user, &form).await {
        Ok(user) => {
            // Who chose the password is its owner: what strangers guessed before counts no more, nor what whoever had the account
            // in hand began, and later guesses have a lane beside this device's.
            let logins = user.email.iter().map(Email::canonical).chain([user.username_canon.clone()]);
            let change_email = Limit::ChangeEmail.of(user.id.as_str());
            app.limits.refill(logins.map(|login| Limit::SignIn.of(login)).chain([change_email])).await;
            Ok(page::see_other(SIGN_IN.to([user.role.as_str()]))
                .saying(PASSWORD_RESET.post())
                .with_cookie(device_cookie::remember(&app, &req, &user)))
        }
        Err(error) => Ok(page::form_again(ResetPage::new(&app, &user, &form, error.problems()?))),
    }
}

async fn set_password(
    app: &App,
    client: &Client,
    link: Link,
    user: &User,
    form: &NewPasswordForm,
) -> Result<User, FormError> {
    let mut problems = Problems::default();
    let password = form.parse(app, &mut problems).ok_or(problems)?;
    let hash = hash_new(app, client, password, own_words(user)).await?;
    let user = user.clone();
    let source = client.source();
    let now = app.clock.now();
    let changed = app
        .db
        .write(move |conn| {
            if !links::consume(conn, &link.id, now)? {
                return Err(dead_link(LinkState::Used, LinkPurpose::ResetPassword).into());
            }
            let changed = passwords::change(conn, &user, &hash, None, &source, now)?;
            events::note(conn, Kind::PasswordReset, Some(&user.id), &source, "", now)?;
            Ok::<_, FormError>(changed)
        })
        .await?;
    app.wakeup.wake();
    Ok(changed)
}

impl ResetPage {
    fn new(app: &App, user: &User, form: &NewPasswordForm, problems: Problems) -> Self {
        Self {
            username: user.username.clone(),
            is_first: user.never_had_password(),
            typing: form.typing(app),
            problems,
        }
    }
}
