//! Create an account: for users and merchants, while sign-up is open.
//!
//! Whether an *address* already has an account is shown to nobody: such a sign-up gets the same pages in the same time, a
//! code that never fits, and the owner of the address is mailed. A taken *username* is reported. Until its address is confirmed
//! a sign-up holds its username only while its newest code works, and its address not at all. In the same browser a further
//! sign-up corrects the one before.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use super::password_check::hash_new;
use super::verification;
use crate::accounts::codes::CodeRules;
use crate::accounts::sign_up::{Holder, SignUp, SignedUp};
use crate::accounts::usernames::TAKEN;
use crate::app::App;
use crate::config;
use crate::db;
use crate::hasher::Verdict;
use crate::identity::{Email, Id, Password, PasswordRules, Role, Sentence, Username, t};
use crate::language::filters;
use crate::limits::{Limit, Tokens};
use crate::paths::Next;
use crate::paths::auth::{SIGN_IN, SIGN_UP, SIGN_UP_ANY};
use crate::records::mail_budgets::Asker;
use crate::web::client::Client;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::forms::{Form, FormError, Problems, require_same_twice};
use crate::web::layout::Layout;
use crate::web::page::{self, Answer};
use crate::web::viewer::{SignInRequest, Stranger};
use crate::web::{flow_cookie, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(SIGN_UP_ANY, choose_door)).service(routes::form(SIGN_UP, show, submit));
}

#[derive(Template)]
#[template(path = "auth/sign_up.html")]
struct SignUpPage {
    layout: Layout,
    role: Role,
    min_length: usize,
    form: SignUpForm,
    problems: Problems,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct SignUpForm {
    username: String,
    email: String,
    password: String,
    confirm_password: String,
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

async fn show(app: Data<App>, _: Stranger, role: Path<String>, next: Next) -> Result<Answer, HttpError> {
    let role = open_role(&app, &role)?;
    let form = SignUpForm { next: next.as_str().to_owned(), ..SignUpForm::default() };
    Ok(page::ok(SignUpPage::new(&app, role, form, Problems::default())))
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    role: Path<String>,
    Form(form): Form<SignUpForm>,
) -> Result<Answer, HttpError> {
    let role = open_role(&app, &role)?;
    match sign_up(&app, &browser, role, &form).await {
        Ok(flow) => Ok(verification::lead_to_page(&app, &flow)),
        Err(error) => Ok(page::form_again(SignUpPage::new(&app, role, form, error.problems()?))),
    }
}

/// The role of the page, if sign-up is open for it.
fn open_role(app: &App, word: &str) -> Result<Role, HttpError> {
    let role = Role::parse(word).filter(|role| role.is_open()).ok_or(HttpError::NotFound)?;
    match app.config.sign_up {
        config::SignUp::Open => Ok(role),
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
    let wanted = form.parse(app.config.passwords.rules)?;
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
        let min_length = app.config.passwords.rules.min_length;
        Self { layout: Layout::plain(), role, min_length, form, problems }
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
    fn parse(&self, rules: PasswordRules) -> Result<Wanted, Problems> {
        let mut problems = Problems::default();
        let username = problems.take("username", Username::parse(&self.username));
        let email = problems.take("email", Email::parse(&self.email));
        let password = problems.take("password", Password::choose(&self.password, rules));
        require_same_twice(&mut problems, &self.password, &self.confirm_password);
        match (username, email, password) {
            (Some(username), Some(email), Some(password)) if problems.is_empty() => {
                Ok(Wanted { username, email, password })
            }
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_at_once() {
        let form = SignUpForm {
            username: "a".into(),
            email: "b".into(),
            password: "c".into(),
            ..SignUpForm::default()
        };
        let problems = form.parse(PasswordRules { min_length: 8 }).err().unwrap();
        let fields: Vec<&str> = problems.all().iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["username", "email", "password", "confirm_password"]);
    }
}
