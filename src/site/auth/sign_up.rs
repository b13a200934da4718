//! Create an account: for users and merchants, while sign-up is open.
//!
//! Whether an *address* already has an account is shown to nobody: such a sign-up gets the same pages in the same time, a
//! code that never fits, and the owner of the address is mailed. A taken *username* is reported. Until its address is confirmed
//! a sign-up holds its username only while its newest code works, and its address not at all. In the same browser a further
//! sign-up corrects the one before.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::password_check::hash_new;
use super::typing::{NewPasswordForm, Typing};
use super::verification;
use crate::accounts::codes::CodeRules;
use crate::accounts::sign_up::{Holder, SignUp, SignedUp};
use crate::accounts::usernames::TAKEN;
use crate::app::App;
use crate::config;
use crate::db;
use crate::hasher::Verdict;
use crate::identity::{Email, Id, Password, Role, Sentence, Username, t};
use crate::limits::{Limit, Tokens};
use crate::paths::Next;
use crate::paths::auth::{SIGN_IN, SIGN_UP, SIGN_UP_ANY};
use crate::records::mail_budgets::Asker;
use crate::records::verifications;
use crate::web::client::Client;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::flow_cookie;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages, RoleInPath};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::Stranger;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(SIGN_UP_ANY, choose_door)).service(routes::form(SIGN_UP, show, submit));
}

#[derive(Template)]
#[template(path = "auth/sign_up.html")]
struct SignUpPage {
    role: Role,
    typing: Typing,
    form: SignUpForm,
    problems: Problems,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct SignUpForm {
    username: String,
    email: String,
    #[serde(flatten)]
    new: NewPasswordForm,
    next: String,
}

/// What a form asks for.
struct Wanted {
    username: Username,
    email: Email,
    password: Password,
}

async fn choose_door() -> Answer {
    page::see_other(SIGN_UP.to([Role::User.as_str()]))
}

async fn show(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    RoleInPath(role): RoleInPath,
    next: Next,
) -> Result<Answer, HttpError> {
    refuse_closed(&app, role)?;
    let form = SignUpForm { next: next.as_str().to_owned(), ..began(&app, &browser).await? };
    Ok(page::ok(SignUpPage::new(&app, role, form, Problems::default())))
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    RoleInPath(role): RoleInPath,
    Form(form): Form<SignUpForm>,
) -> Result<Answer, HttpError> {
    refuse_closed(&app, role)?;
    if form.new.only_shows() {
        return Ok(page::ok(SignUpPage::new(&app, role, form, Problems::default())));
    }
    match sign_up(&app, &browser, role, &form).await {
        Ok(flow) => Ok(verification::lead_to_page(&app, &flow)),
        Err(error) => Ok(page::form_again(SignUpPage::new(&app, role, form, error.problems()?))),
    }
}

/// What this browser typed before, while it waits for its code: whoever mistyped their address corrects it.
async fn began(app: &App, browser: &SignInRequest) -> Result<SignUpForm, HttpError> {
    let Some(flow) = flow_cookie::read(app, &browser.req) else { return Ok(SignUpForm::default()) };
    let found = app.db.find(move |conn| verifications::by_id(conn, &flow)).await?;
    let waiting = found.filter(|(flow, user)| flow.ended_at.is_none() && user.verified_at.is_none());
    Ok(waiting.map_or_else(SignUpForm::default, |(flow, user)| SignUpForm {
        username: user.username.to_string(),
        email: flow.email.to_string(),
        ..SignUpForm::default()
    }))
}

/// Refuses where nobody signs up by themselves.
fn refuse_closed(app: &App, role: Role) -> Result<(), HttpError> {
    match app.config.sign_up {
        config::SignUp::Open => Ok(()),
        config::SignUp::Closed => {
            let text = t("This site isn't taking new sign-ups. If you already have an account, sign in.");
            Err(ErrorPage::new(StatusCode::FORBIDDEN, t("Sign-up is closed"), text)
                .way_on(t("Sign in"), SIGN_IN.to([role.as_str()]))
                .into())
        }
    }
}

/// Creates the account; returns the flow in which its address is confirmed.
async fn sign_up(app: &App, browser: &SignInRequest, role: Role, form: &SignUpForm) -> Result<Id, FormError> {
    let wanted = form.parse(app)?;
    app.limits.take(browser.client.keys(Limit::SignUp)).await?.spend();
    let own_words = vec![wanted.username.to_string(), wanted.email.to_string()];
    let sign_up = SignUp {
        role,
        hash: hash_new(app, &browser.client, wanted.password.clone(), own_words).await?,
        username: wanted.username,
        email: wanted.email,
        next: Next::parse(&form.next).as_str().to_owned(),
        own: flow_cookie::read(app, &browser.req),
        source: browser.client.source(),
        asker: Asker::Network(browser.client.neighbourhood()),
        rules: CodeRules::new(&app.config, &app.keys),
    };
    let now = app.clock.now();
    match app.db.write(move |conn| sign_up.run(conn, now).map_err(db::Error::from)).await? {
        SignedUp::Flow(flow) => {
            app.wakeup.wake();
            Ok(flow)
        }
        SignedUp::UsernameHeld(holder) => {
            same_again(app, &browser.client, *holder, form, wanted.password).await
        }
    }
}

/// The username is held. A double click is no stranger: the same address and the same password mean the same sign-up once
/// more. A password is always checked, so that the time tells nothing about the holder; but never the holder's, unless the
/// address is theirs, too: a popular name must not cost its holder anything.
async fn same_again(
    app: &App,
    client: &Client,
    holder: Holder,
    form: &SignUpForm,
    password: Password,
) -> Result<Id, FormError> {
    let email = Email::parse(&form.email).ok();
    let same = holder.flow.filter(|flow| email.is_some_and(|email| flow.email.is_same_as(&email)));
    let flow = same.as_ref().map(|flow| flow.id.clone());
    // Guesses at the password of this sign-up are counted, without a word.
    let may_try = match &flow {
        Some(flow) => app.limits.take([Limit::Code.of(flow.as_str())]).await.map(Tokens::spend).is_ok(),
        None => true,
    };
    let stored = same.filter(|_| may_try).map(|_| holder.user.password_hash);
    let verdict = app.hasher.verify(&client.network(), password, stored).await?;
    flow.filter(|_| verdict != Verdict::Wrong).ok_or_else(|| FormError::at("username", TAKEN))
}

impl SignUpPage {
    fn new(app: &App, role: Role, form: SignUpForm, problems: Problems) -> Self {
        Self { role, typing: form.new.typing(app), form, problems }
    }

    fn title(&self) -> Sentence {
        match self.role {
            Role::Merchant => t("Create your merchant account"),
            Role::User | Role::Staff | Role::Superuser => t("Create your account"),
        }
    }

    fn sign_in(&self) -> String {
        Next::parse(&self.form.next).after(&SIGN_IN.to([self.role.as_str()]))
    }
}

impl SignUpForm {
    fn parse(&self, app: &App) -> Result<Wanted, Problems> {
        let mut problems = Problems::default();
        let username = problems.take("username", Username::parse(&self.username));
        let email = problems.take("email", Email::parse(&self.email));
        let password = self.new.parse(app, &mut problems);
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) if problems.is_empty() => {
                Ok(Wanted { username, email, password })
            }
            _ => Err(problems),
        }
    }
}
