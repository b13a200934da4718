//! Sign in, at the page of one's role, with username or email and password.
//!
//! At another role's page the right password gets a button that goes on to the right one, without typing again: a sealed proof
//! of two minutes, for this browser, this account and this password.
//!
//! Whoever does not know the password learns nothing: unknown, unverified, blocked and other people's accounts get the same
//! answer in the same time. Those who know it are shown what is the matter. Five wrong passwords for a name or
//! an address, then one a minute; twenty from a network, then one a minute; right ones do not count. A device that was signed in
//! before has five of its own, which no stranger can use up.

mod candidates;
mod proof;

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::arrival::{Arrival, wrong};
use super::blocked::blocked;
use super::keep_account::KEPT;
use super::lost_factor::PASSWORD_FIRST;
use super::recovery::PASSWORD_RESET;
use super::second_step::{self, GUESSED, OVER};
use super::sign_out::SIGNED_OUT;
use super::verification;
use crate::app::App;
use crate::db;
use crate::identity::{AccountStatus, CodePurpose, Id, Login, Password, Role, Sentence, t};
use crate::limits::Limit;
use crate::paths::Next;
use crate::paths::account::{LEAVE, TWO_FACTOR};
use crate::paths::auth::{FORGOT, SIGN_IN, SIGN_IN_ANY, SIGN_UP};
use crate::records::events::{self, Kind};
use crate::records::sessions::{Remember, SignedInBy};
use crate::records::two_factor::second_steps::FirstStep;
use crate::records::users::{self, User};
use crate::records::verifications;
use crate::site::account::leave::{LEAVES, LEFT};
use crate::web::carried::{self, TOO_LONG, Why};
use crate::web::client::Client;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::gate::SEC_FETCH_SITE;
use crate::web::page::{self, Answer};
use crate::web::preferences::Preferences;
use crate::web::routes::{self, Pages, RoleInPath};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::Stranger;
use candidates::{Candidates, take_tokens};
use proof::{Offer, Proof};

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(SIGN_IN_ANY, choose_door)).service(routes::form(SIGN_IN, show, submit));
}

#[derive(Template)]
#[template(path = "auth/sign_in.html")]
struct SignInPage {
    role: Role,
    form: SignInForm,
    problems: Problems,
    /// Whether somebody was led here by a page of ours, in a browser that sent no cookie of any kind: perhaps straight after signing in.
    keeps_no_cookies: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignInForm {
    username: String,
    password: String,
    remember: String,
    next: String,
    /// A form that waits for its person, sealed.
    carried: String,
    /// The proof of the right password at another page.
    continue_as: String,
    /// The button that only draws the form again.
    show: String,
    #[serde(skip)]
    offered: Option<Offer>,
}

async fn choose_door(req: HttpRequest) -> Answer {
    page::see_other(SIGN_IN.to([Preferences::read(&req).role.as_str()]))
}

async fn show(_: Stranger, RoleInPath(role): RoleInPath, next: Next, req: HttpRequest) -> Answer {
    let carried = carried::take_arriving(&req, Why::SignIn).unwrap_or_default();
    let form = SignInForm { next: next.as_str().to_owned(), carried, ..SignInForm::default() };
    let has_come_from_here =
        req.headers().get(SEC_FETCH_SITE).is_none_or(|site| site.as_bytes() == b"same-origin");
    let keeps_no_cookies = !form.next.is_empty() && has_come_from_here && !req.headers().contains_key(COOKIE);
    let page = SignInPage { role, form, problems: Problems::default(), keeps_no_cookies };
    page::ok(page).showing(&[
        &SIGNED_OUT,
        &PASSWORD_RESET,
        &TOO_LONG,
        &KEPT,
        &LEAVES,
        &LEFT,
        &OVER,
        &GUESSED,
        &PASSWORD_FIRST,
    ])
}

/// Where somebody who gave the right password goes.
enum Welcome {
    In(Box<Arrival>),
    /// To the page where the code of an authenticator is entered.
    SecondStep(Id),
    /// To the page where the address is confirmed first.
    Verify(Id),
    /// On, by a button, as the role that the account has.
    Elsewhere(Proof),
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    RoleInPath(role): RoleInPath,
    Form(form): Form<SignInForm>,
) -> Result<Answer, HttpError> {
    let page = |form, problems| SignInPage { role, form, problems, keeps_no_cookies: false };
    if !form.show.is_empty() {
        return Ok(page::ok(page(form, Problems::default())));
    }
    let welcome = if form.continue_as.is_empty() {
        sign_in(&app, &browser, role, &form).await
    } else {
        go_on(&app, &browser, role, &form.continue_as).await
    };
    match welcome {
        Ok(Welcome::In(arrival)) => arrival.lead_in(&app, &browser),
        Ok(Welcome::SecondStep(step)) => Ok(second_step::lead_to_page(&app, &step)),
        Ok(Welcome::Verify(flow)) => {
            Ok(verification::lead_to_page(&app, &flow).saying(verification::UNCONFIRMED.post()))
        }
        Ok(Welcome::Elsewhere(proof)) => {
            let (offer, cookie) = proof.offer(&app);
            let form = SignInForm { offered: Some(offer), ..form };
            Ok(page::form_again(page(form, Problems::default())).with_cookie(cookie))
        }
        Err(FormError::Http(HttpError::TooMany(wait))) => {
            let message = t("Too many attempts. Try again in {wait}.").with("wait", wait);
            let problems =
                Problems::one("username", message).with_link(FORGOT.to_string(), t("Forgot your password?"));
            Ok(page::too_many(wait, page(form, problems)))
        }
        Err(error) => Ok(page::form_again(page(form, error.problems()?))),
    }
}

/// Goes on where another page's right password led.
async fn go_on(app: &App, browser: &SignInRequest, role: Role, sealed: &str) -> Result<Welcome, FormError> {
    let again =
        || FormError::at("username", t("That took too long. Enter your username and password again."));
    let proof =
        Proof::open(app, &browser.req, sealed).filter(|proof| proof.role == role).ok_or_else(again)?;
    let id = proof.user.clone();
    let user = app.db.find(move |conn| users::by_id(conn, &id)).await?;
    let user =
        user.filter(|user| proof.fits(user) && is_admitted(app, &browser.client, user)).ok_or_else(again)?;
    admit(app, browser, &user, proof.remember, &proof.next).await
}

/// From elsewhere not even the right password of those who see the admin pages is right, so that it cannot be guessed.
pub(super) fn is_admitted(app: &App, client: &Client, user: &User) -> bool {
    !user.role.sees_admin() || app.config.admits_admins_from(client.ip)
}

/// Begins what the status of an account allows, once its password was right.
async fn admit(
    app: &App,
    browser: &SignInRequest,
    user: &User,
    remember: Remember,
    next: &str,
) -> Result<Welcome, FormError> {
    let client = &browser.client;
    match user.status() {
        AccountStatus::Blocked(reason) => {
            note(app, Kind::SignInBlocked, Some(user), client).await?;
            Err(blocked(&reason).into())
        }
        AccountStatus::Unverified => begin_verification(app, client, user).await,
        AccountStatus::Active => enter(app, browser, user, remember, next).await,
        AccountStatus::Leaving => enter(app, browser, user, remember, LEAVE.path()).await,
    }
}

/// Lets somebody in, or asks for the second step first.
async fn enter(
    app: &App,
    browser: &SignInRequest,
    user: &User,
    remember: Remember,
    next: &str,
) -> Result<Welcome, FormError> {
    let (user, next) = match second_step::ended(app, browser, user).await? {
        Some(without) => (without, TWO_FACTOR.path()),
        None => (user.clone(), next),
    };
    if !user.has_two_factor() {
        let arrival = Arrival::begin(app, browser, user, SignedInBy::Password, remember, next);
        return Ok(Welcome::In(Box::new(arrival.await?)));
    }
    if second_step::is_trusted(app, browser, &user).await? {
        let by = SignedInBy::PasswordOnTrustedDevice;
        let arrival = Arrival::begin(app, browser, user, by, remember, next);
        return Ok(Welcome::In(Box::new(arrival.await?)));
    }
    Ok(Welcome::SecondStep(second_step::begin(app, &user, FirstStep::Password, remember, next).await?))
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
    let checked = checked.map(|user| user.filter(|user| is_admitted(app, client, user)));
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
    let next = form.waiting();
    if user.role != door {
        return Ok(Welcome::Elsewhere(Proof::of(app, &user, Remember::of_box(&form.remember), next)));
    }
    admit(app, browser, &user, Remember::of_box(&form.remember), next).await
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

/// Logs what became of a sign-in.
pub(super) async fn note(
    app: &App,
    kind: Kind,
    user: Option<&User>,
    client: &Client,
) -> Result<(), db::Error> {
    let user = user.map(|user| user.id.clone());
    let source = client.source();
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            // Hashing took its time: of an account that is gone by now nothing more is noted.
            // Asked about nobody, too: the time must not tell that there is somebody.
            let id = user.clone().unwrap_or_else(Id::new);
            let user = users::exists(conn, &id)?.then_some(id);
            events::note(conn, kind, user.as_ref(), &source, "", now).map_err(db::Error::from)
        })
        .await
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

    /// The sign-in pages of the other roles, with what waits for signing in.
    fn others(&self) -> Vec<(Sentence, String)> {
        let label = |role| match role {
            Role::User => t("Sign in as a user"),
            Role::Merchant => t("Sign in as a merchant"),
            Role::Staff => t("Sign in as staff"),
            Role::Superuser => t("Sign in as a superuser"),
        };
        let others = Role::ALL.into_iter().filter(|role| *role != self.role);
        let next = Next::parse(&self.form.next);
        others.map(|role| (label(role), next.after(&SIGN_IN.to([role.as_str()])))).collect()
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

    fn is_shown(&self) -> bool {
        self.show == "on"
    }

    fn is_carrying(&self) -> bool {
        !self.carried.is_empty()
    }

    /// What waits for signing in: a sealed form, or a path.
    fn waiting(&self) -> &str {
        if self.is_carrying() { &self.carried } else { &self.next }
    }

    /// The button that goes on as another role.
    fn proof(&self) -> Option<&Offer> {
        self.offered.as_ref()
    }
}
