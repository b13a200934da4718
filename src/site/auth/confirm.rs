//! Give the password again: asked for before sensitive acts when it was last given over ten minutes ago.

use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use super::password_check::require_current_password;
use crate::app::App;
use crate::identity::{Username, t};
use crate::language::filters;
use crate::paths::Next;
use crate::paths::account::PROFILE;
use crate::paths::auth::CONFIRM;
use crate::records::events::{self, Kind};
use crate::records::sessions::{Rotation, Session};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::layout::Layout;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::viewer::{By, SignInRequest, Viewer};

/// On the profile page, where nothing else was on the way.
pub const CONFIRMED: Notice = Notice::new("confirmed", t("Thanks. You can continue now."));

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(CONFIRM, show, submit));
}

#[derive(Template)]
#[template(path = "auth/confirm.html")]
struct ConfirmPage {
    layout: Layout,
    username: Username,
    next: Next,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfirmForm {
    current_password: String,
    next: String,
}

async fn show(viewer: Viewer, next: Next) -> Answer {
    page::ok(ConfirmPage::new(&viewer, next, Problems::default()))
}

async fn submit(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    Form(form): Form<ConfirmForm>,
) -> Result<Answer, HttpError> {
    let next = Next::parse(&form.next);
    match confirm(&app, &by, &form.current_password).await {
        Ok(session) => {
            browser.point_to(&session, by.now)?;
            Ok(match next.as_str() {
                "" => page::see_other(PROFILE.path()).saying(CONFIRMED.post()),
                next => page::see_other(next),
            })
        }
        Err(error) => Ok(page::form_again(ConfirmPage::new(&by.viewer, next, error.problems()?))),
    }
}

async fn confirm(app: &App, by: &By, typed: &str) -> Result<Session, FormError> {
    require_current_password(app, by, typed).await?;
    let by = by.clone();
    let config = app.config.sessions;
    app.db
        .write(move |conn| {
            by.still_may(conn)?;
            events::note(conn, Kind::PasswordConfirmed, Some(&by.user().id), &by.source(), "", by.now)?;
            by.rotate(conn, Rotation::PasswordGiven, config)
        })
        .await
}

impl ConfirmPage {
    fn new(viewer: &Viewer, next: Next, problems: Problems) -> Self {
        Self { layout: Layout::of(viewer), username: viewer.user.username.clone(), next, problems }
    }
}
