//! Choose a new password, with the current one. Every other browser is signed out, and the person is mailed.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::accounts::passwords;
use crate::app::App;
use crate::identity::{Username, t};
use crate::paths::account::{PASSWORD, PROFILE};
use crate::records::events::{self, Kind};
use crate::records::sessions::{Rotation, Session};
use crate::records::users::User;
use crate::site::auth::passkey_check::require_instead_of_code;
use crate::site::auth::password_check::{ProofForm, hash_new, own_words, require_proof};
use crate::site::auth::typing::{NewPasswordForm, Typing};
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer};

/// On the profile page.
pub const CHANGED: Notice = Notice::new(
    "password-changed",
    t("Your password has been changed. You've been signed out on your other devices."),
);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(PASSWORD, show, submit));
}

#[derive(Template)]
#[template(path = "account/password.html")]
struct PasswordPage {
    username: Username,
    /// Whether a code is asked for, too.
    asks_code: bool,
    typing: Typing,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PasswordForm {
    #[serde(flatten)]
    proof: ProofForm,
    #[serde(flatten)]
    new: NewPasswordForm,
}

async fn show(app: Data<App>, viewer: Viewer) -> Result<Answer, HttpError> {
    require_instead_of_code(&app, &viewer, PASSWORD.path()).await?;
    Ok(page::ok(PasswordPage::new(&app, &viewer, &NewPasswordForm::default(), Problems::default())))
}

async fn submit(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    Form(form): Form<PasswordForm>,
) -> Result<Answer, HttpError> {
    if form.new.only_shows() {
        return Ok(page::ok(PasswordPage::new(&app, &by.viewer, &form.new, Problems::default())));
    }
    match change(&app, &by, &form).await {
        Ok((session, user)) => {
            browser.point_to(&session, by.now)?;
            let device = device_cookie::remember(&app, &browser.req, &user);
            Ok(page::see_other(PROFILE.path()).saying(CHANGED.post()).with_cookie(device))
        }
        Err(error) => Ok(page::form_again(PasswordPage::new(&app, &by.viewer, &form.new, error.problems()?))),
    }
}

async fn change(app: &Data<App>, by: &By, form: &PasswordForm) -> Result<(Session, User), FormError> {
    let mut problems = Problems::default();
    if form.proof.current_password.is_empty() {
        problems.add("current_password", t("Enter your current password."));
    }
    let password = form.new.parse(app, &mut problems);
    if password.is_some() && form.new.password == form.proof.current_password {
        problems.add("password", t("That's your current password. Choose a different one."));
    }
    let password = password.filter(|_| problems.is_empty()).ok_or(problems)?;
    require_proof(app, by, &form.proof).await?;
    let hash = hash_new(app, &by.client, password, own_words(by.user())).await?;
    let by = by.clone();
    let config = app.config.sessions;
    let changed = app
        .db
        .write(move |conn| {
            let user = &by.still_may(conn)?;
            let changed =
                passwords::change(conn, user, &hash, Some(&by.viewer.session.life.id), &by.source(), by.now)?;
            events::note(conn, Kind::PasswordChanged, Some(&user.id), &by.source(), "", by.now)?;
            Ok::<_, FormError>((by.rotate(conn, Rotation::PasswordGiven, config)?, changed))
        })
        .await?;
    app.wakeup.wake();
    Ok(changed)
}

impl PasswordPage {
    fn new(app: &App, viewer: &Viewer, form: &NewPasswordForm, problems: Problems) -> Self {
        Self {
            username: viewer.user.username.clone(),
            asks_code: viewer.asks_code(app.clock.now()),
            typing: form.typing(app),
            problems,
        }
    }
}
