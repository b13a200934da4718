//! Sign in, at the page of one's role, with username or email and password.
//!
//! Whoever does not know the password learns nothing: unknown, unverified, blocked and other people's accounts get the same
//! answer in the same time. Those who know it are shown what is the matter. Five wrong passwords for a name or
//! an address, then one a minute; twenty from a network, then one a minute; right ones do not count. A device that was signed in
//! before has five of its own, which no stranger can use up.

mod candidates;

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use super::blocked::blocked;
use super::recovery::PASSWORD_RESET;
use super::sign_out::SIGNED_OUT;
use super::verification;
use crate::app::App;
use crate::db;
use crate::identity::{AccountStatus, CodePurpose, Id, Login, Password, Role, Sentence, t};
use crate::language::filters;
use crate::limits::Limit;
use crate::paths::Next;
use crate::paths::account::PROFILE;
use crate::paths::admin::ADMIN;
use crate::paths::auth::{SIGN_IN, SIGN_IN_ANY, SIGN_UP};
use crate::records::events::{self, Kind};
use crate::records::sessions::{self, Remember, Session, SessionKind};
use crate::records::users::{self, User};
use crate::records::verifications;
use crate::web::client::Client;
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::layout::Layout;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::viewer::{SignInRequest, Stranger};
use candidates::{Candidates, take_tokens};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(SIGN_IN_ANY, choose_door)).service(routes::form(SIGN_IN, show, submit));
}

#[derive(Template)]
#[template(path = "auth/sign_in.html")]
struct SignInPage {
    layout: Layout,
    role: Role,
    form: SignInForm,
    problems: Problems,
    /// Whether somebody was led here by a page, in a browser that sent no cookie of any kind: perhaps straight after signing in.
    keeps_no_cookies: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignInForm {
    username: String,
    password: String,
    remember: String,
    next: String,
}

async fn choose_door() -> Answer {
    page::see_other(SIGN_IN.to([Role::User.as_str()]))
}

async fn show(_: Stranger, role: Path<String>, next: Next, req: HttpRequest) -> Result<Answer, HttpError> {
    let role = Role::parse(&role).ok_or(HttpError::NotFound)?;
    let form = SignInForm { next: next.as_str().to_owned(), ..SignInForm::default() };
    let layout = Layout::plain().showing(&req, &[&SIGNED_OUT, &PASSWORD_RESET]);
    let keeps_no_cookies = !form.next.is_empty() && !req.headers().contains_key(COOKIE);
    Ok(page::ok(SignInPage { layout, role, form, problems: Problems::default(), keeps_no_cookies }))
}

/// Where somebody who gave the right password goes.
enum Welcome {
    In(Box<Session>),
    /// To the page where the address is confirmed first.
    Verify(Id),
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    role: Path<String>,
    Form(form): Form<SignInForm>,
) -> Result<Answer, HttpError> {
    let role = Role::parse(&role).ok_or(HttpError::NotFound)?;
    match sign_in(&app, &browser, role, &form).await {
        Ok(Welcome::In(session)) => {
            browser.point_to(&session, app.clock.now())?;
            let usual = if role.sees_admin() { ADMIN } else { PROFILE };
            Ok(page::see_other(Next::parse(&form.next).or(usual.path()))
                .with_cookie(device_cookie::remember(&app, &browser.req, &session.user_id)))
        }
        Ok(Welcome::Verify(flow)) => Ok(verification::lead_to_page(&app, &flow)),
        Err(error) => {
            let problems = error.problems()?;
            let layout = Layout::plain();
            Ok(page::form_again(SignInPage { layout, role, form, problems, keeps_no_cookies: false }))
        }
    }
}

async fn sign_in(
    app: &App,
    browser: &SignInRequest,
    door: Role,
    form: &SignInForm,
) -> Result<Welcome, FormError> {
    let login = form.parse()?;
    let client = &browser.client;
    let candidates = app.db.read(move |conn| Candidates::find(conn, login.clone())).await?;
    let tokens = take_tokens(app, browser, &candidates).await?;
    let checked = candidates.whose(app, &client.network(), &Password::entered(&form.password)).await;
    // From elsewhere not even the right password of those who see the admin pages is right, so that it cannot be guessed.
    let is_admitted = |user: &User| !user.role.sees_admin() || app.config.admits_admins_from(client.ip);
    let checked = checked.map(|user| user.filter(is_admitted));
    // Only failures count. What was not evaluated costs its network a token, not its owner.
    match &checked {
        Ok(Some(_)) => app.limits.give_back(tokens).await,
        Err(_) => app.limits.give_back(tokens.without(Limit::SignInNetwork)).await,
        Ok(None) => tokens.spend(),
    }
    let Some(user) = checked? else {
        log::info!(target: "auth", "sign-in failed from {}", client.ip);
        note(app, Kind::SignInFailed, candidates.likeliest(), client).await?;
        return Err(wrong());
    };
    if user.role != door {
        return Err(other_door(user.role, form).into());
    }
    match user.status() {
        AccountStatus::Blocked(reason) => {
            note(app, Kind::SignInBlocked, Some(&user), client).await?;
            Err(blocked(&reason).into())
        }
        AccountStatus::Unverified => begin_verification(app, client, &user).await,
        AccountStatus::Active => begin_session(app, browser, &user, form.remember()).await,
    }
}

async fn begin_verification(app: &App, client: &Client, user: &User) -> Result<Welcome, FormError> {
    let id = user.id.clone();
    let flow = app.db.read(move |conn| verifications::pending(conn, &id, CodePurpose::SignUp)).await?;
    // Confirmed or replaced a moment ago, by another request.
    let flow = flow.ok_or_else(wrong)?;
    if verification::send_code(app, client, &flow, user).await?.is_err() {
        log::debug!(
            "over the budget: the code before is the newest, and the page tells when there may be another"
        );
    }
    Ok(Welcome::Verify(flow.id))
}

async fn begin_session(
    app: &App,
    browser: &SignInRequest,
    user: &User,
    remember: Remember,
) -> Result<Welcome, FormError> {
    let user = user.clone();
    let device = browser.device();
    let source = browser.client.source();
    let config = app.config.sessions;
    let now = app.clock.now();
    let session = app
        .db
        .write(move |conn| {
            // Hashing took its time: what was checked must still be so, or an old password outlives its change.
            if !users::lock_if_unchanged(conn, &user)? {
                return Err(wrong());
            }
            events::note(conn, Kind::SignedIn, Some(&user.id), &source, &device.agent, now)?;
            let kind = SessionKind::of(user.role, remember);
            Ok(sessions::begin(conn, &user.id, kind, &device, config, now)?)
        })
        .await?;
    Ok(Welcome::In(Box::new(session)))
}

async fn note(app: &App, kind: Kind, user: Option<&User>, client: &Client) -> Result<(), db::Error> {
    let user = user.map(|user| user.id.clone());
    let source = client.source();
    let now = app.clock.now();
    app.db
        .write(move |conn| events::note(conn, kind, user.as_ref(), &source, "", now).map_err(db::Error::from))
        .await
}

fn wrong() -> FormError {
    FormError::at("username", t("Wrong username or password. Check both and try again."))
}

/// Only for who knows the password.
fn other_door(role: Role, form: &SignInForm) -> Problems {
    let (message, label) = match role {
        Role::User => (t("This is a user account. Sign in on its own page."), t("Sign in as a user")),
        Role::Merchant => {
            (t("This is a merchant account. Sign in on its own page."), t("Sign in as a merchant"))
        }
        Role::Staff => (t("This is a staff account. Sign in on its own page."), t("Sign in as staff")),
        Role::Superuser => {
            (t("This is a superuser account. Sign in on its own page."), t("Sign in as a superuser"))
        }
    };
    let door = Next::parse(&form.next).after(&SIGN_IN.to([role.as_str()]));
    Problems::one("username", message).with_link(door, label)
}

impl SignInPage {
    fn title(&self) -> Sentence {
        match self.role {
            Role::User => t("Sign in"),
            Role::Merchant => t("Sign in as a merchant"),
            Role::Staff => t("Staff sign-in"),
            Role::Superuser => t("Superuser sign-in"),
        }
    }

    fn sign_up(&self) -> String {
        Next::parse(&self.form.next).after(&SIGN_UP.to([self.role.as_str()]))
    }
}

impl SignInForm {
    fn parse(&self) -> Result<Login, Problems> {
        let mut problems = Problems::default();
        let login = problems.take("username", Login::parse(&self.username));
        if self.password.is_empty() {
            problems.add("password", t("Enter your password."));
        }
        login.filter(|_| problems.is_empty()).ok_or(problems)
    }

    fn remember(&self) -> Remember {
        if self.remember.is_empty() { Remember::No } else { Remember::Yes }
    }
}
