//! Give the password again: asked before sensitive acts when it was last given over ten minutes ago.
//!
//! Here, too, stands the one check of a password that is not a sign-in. Wrong ones count in the same buckets as
//! wrong sign-ins, so that no page is a way around their limit.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db;
use crate::hasher::Verdict;
use crate::identity::{Message, Password};
use crate::paths::{Next, route};
use crate::records::events::{self, Kind};
use crate::records::users::User;
use crate::web::client::Client;
use crate::web::fault::{DeadEnd, Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Browser, Viewer};
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(route::CONFIRM, show, submit));
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    chrome: Chrome,
    username: String,
    form: ConfirmForm,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfirmForm {
    current_password: String,
    next: String,
}

async fn show(viewer: Viewer, Query(asked): Query<ConfirmForm>) -> HttpResponse {
    let form = ConfirmForm { next: Next::parse(&asked.next).as_str().to_owned(), ..ConfirmForm::default() };
    page::ok(&ConfirmPage::new(&viewer, form, Problems::default()))
}

async fn submit(
    app: Data<App>,
    viewer: Viewer,
    browser: Browser,
    Form(form): Form<ConfirmForm>,
) -> Result<HttpResponse, Fault> {
    match current_password(&app, &viewer.user, &form.current_password, &browser.client).await {
        Ok(()) => {
            viewer.rotate(&browser.req, &browser.session, true).await?;
            let (user, origin, now) = (viewer.user.id.clone(), browser.client.origin(), app.clock.now());
            app.db
                .write(move |conn| {
                    Ok::<_, db::Error>(events::note(
                        conn,
                        Kind::PasswordConfirmed,
                        Some(&user),
                        &origin,
                        "",
                        now,
                    )?)
                })
                .await?;
            let usual = crate::paths::with_notice(route::PROFILE, "confirmed");
            Ok(page::see_other(&Next::parse(&form.next).or(&usual)))
        }
        Err(refusal) => Ok(page::refused(&ConfirmPage::new(&viewer, form, refusal.problems()?))),
    }
}

impl ConfirmPage {
    fn new(viewer: &Viewer, form: ConfirmForm, problems: Problems) -> Self {
        Self { chrome: Chrome::of(Some(viewer)), username: viewer.user.username.clone(), form, problems }
    }
}

/// Refuses unless `typed` is the person's current password.
pub(super) async fn current_password(
    app: &App,
    user: &User,
    typed: &str,
    client: &Client,
) -> Result<(), Refusal> {
    let wrong = "This is not your current password.";
    check_password(app, user, Password::entered(typed), client, ("current_password", wrong)).await
}

/// Refuses, with `wrong` at the field, unless it is the person's password.
pub(super) async fn check_password(
    app: &App,
    user: &User,
    given: Password,
    client: &Client,
    (field, wrong): (&'static str, &'static str),
) -> Result<(), Refusal> {
    let (account, network) = (user.id.as_str(), client.network());
    app.limits.take(Limit::SignInAccount, account).await?;
    if let Err(too_many) = app.limits.take(Limit::SignInAddress, &network).await {
        app.limits.give_back(Limit::SignInAccount, account).await;
        return Err(too_many.into());
    }
    let verdict = app.hasher.verify(given, Some(user.password_hash.clone())).await;
    if verdict == Ok(Verdict::Wrong) {
        return Err(Refusal::at(field, wrong));
    }
    // Right, or not looked at: only failures count.
    app.limits.give_back(Limit::SignInAccount, account).await;
    app.limits.give_back(Limit::SignInAddress, &network).await;
    verdict.map(drop).map_err(Refusal::from)
}

/// The page of a blocked account, for its owner alone.
pub(super) fn blocked(reason: &str) -> DeadEnd {
    let text: Message = if reason.is_empty() {
        "This account was blocked by an administrator. Please contact them if you think this is a mistake."
            .into()
    } else {
        Message::new("This account was blocked by an administrator, for this reason: {reason}")
            .with("reason", reason)
    };
    DeadEnd::new(StatusCode::FORBIDDEN, "Your account is blocked", text)
}
