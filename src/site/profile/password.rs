//! Choose a new password, with the current one. Every other browser is signed out, and the person is mailed.

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::paths::{self, route};
use crate::records::events::{self, Kind};
use crate::records::{sign_ins, users};
use crate::site::{confirm, recovery};
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Browser, Viewer};
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(route::PASSWORD, show, submit));
}

#[derive(Template)]
#[template(path = "profile/password.html")]
struct PasswordPage {
    chrome: Chrome,
    username: String,
    min_length: usize,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PasswordForm {
    current_password: String,
    password: String,
    confirm_password: String,
}

async fn show(app: Data<App>, viewer: Viewer) -> HttpResponse {
    page::ok(&PasswordPage::new(&app, &viewer, Problems::default()))
}

async fn submit(
    app: Data<App>,
    viewer: Viewer,
    browser: Browser,
    Form(form): Form<PasswordForm>,
) -> Result<HttpResponse, Fault> {
    match change(&app, &viewer, &browser.client, &form).await {
        Ok(()) => {
            viewer.rotate(&browser.req, &browser.session, true).await?;
            Ok(page::see_other(&paths::with_notice(route::PROFILE, "password-changed")))
        }
        Err(refusal) => Ok(page::refused(&PasswordPage::new(&app, &viewer, refusal.problems()?))),
    }
}

async fn change(app: &App, viewer: &Viewer, client: &Client, form: &PasswordForm) -> Result<(), Refusal> {
    if form.current_password.is_empty() {
        return Err(Refusal::at("current_password", "Enter your current password."));
    }
    let password = recovery::new_password(app, &viewer.user, &form.password, &form.confirm_password)?;
    if form.password == form.current_password {
        return Err(Refusal::at("password", "This is the password that you have now. Choose another one."));
    }
    confirm::current_password(app, &viewer.user, &form.current_password, client).await?;
    let hash = app.hasher.hash(password).await?;
    let viewer = viewer.clone();
    let (origin, now) = (client.origin(), app.clock.now());
    app.db
        .write(move |conn| {
            let user = &viewer.user;
            viewer.still_may(conn, now)?;
            users::set_password(conn, &user.id, &hash, now)?;
            sign_ins::end_all(conn, &user.id, Some(&viewer.sign_in.id), now)?;
            recovery::forget_secrets(conn, &user.id, now)?;
            events::note(conn, Kind::PasswordChanged, Some(&user.id), &origin, "", now)?;
            Ok::<_, Refusal>(recovery::tell_password_changed(conn, user, &origin, now)?)
        })
        .await?;
    app.bell.ring();
    Ok(())
}

impl PasswordPage {
    fn new(app: &App, viewer: &Viewer, problems: Problems) -> Self {
        Self {
            chrome: Chrome::of(Some(viewer)),
            username: viewer.user.username.clone(),
            min_length: app.config.passwords.rules.min_length,
            problems,
        }
    }
}
