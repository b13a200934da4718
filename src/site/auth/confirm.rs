//! Give the password again: asked for before sensitive acts when it was last given over ten minutes ago. The page names the act
//! and whom it is about, and does it once the password is right.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use diesel::QueryResult;
use serde::Deserialize;

use super::password_check::require_current_password;
use super::second_step::{CODE_USED, note_factor, take_tokens};
use crate::accounts::two_factor::{self, Tried};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{FactorCode, Message, Sentence, Username, t};
use crate::paths::Next;
use crate::paths::account::{DOWNLOAD, PROFILE, SECURE_OWN};
use crate::paths::auth::CONFIRM;
use crate::records::events::{self, Kind};
use crate::records::sessions::{Rotation, Session};
use crate::site::account::{download, secure, two_factor as own_factor};
use crate::site::admin;
use crate::web::carried::{self, Carried, TOO_LONG, Why};
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Remaining, SignInRequest, Viewer};

/// On the profile page, where nothing else was on the way.
pub const CONFIRMED: Notice = Notice::new("confirmed", t("Thanks. You can continue now."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(CONFIRM, show, submit));
}

#[derive(Template)]
#[template(path = "auth/confirm.html")]
struct ConfirmPage {
    username: Username,
    next: Next,
    /// Whether a code is asked for, too.
    asks_code: bool,
    /// What is done once the password is right.
    what: Option<Message>,
    /// The form of that, sealed.
    carried: String,
    /// Where it came from.
    back: Option<String>,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfirmForm {
    current_password: String,
    code: String,
    next: String,
    carried: String,
}

async fn show(
    app: Data<App>,
    Remaining(By { viewer, .. }): Remaining,
    next: Next,
    req: HttpRequest,
) -> Result<Answer, HttpError> {
    let sealed = carried::take_arriving(&req, Why::Confirm).unwrap_or_default();
    let page = ConfirmPage::new(&app, &viewer, next, sealed, Problems::default()).await?;
    Ok(page::ok(page).showing(&[&TOO_LONG]))
}

async fn submit(
    app: Data<App>,
    Remaining(by): Remaining,
    browser: SignInRequest,
    Form(form): Form<ConfirmForm>,
) -> Result<Answer, HttpError> {
    let next = Next::parse(&form.next);
    match confirm(&app, &by, &browser, &form).await {
        Ok(session) => {
            browser.point_to(&session, by.now)?;
            if let Some(carried) = carried_by(&app, &by.viewer, &form.carried) {
                let viewer = Viewer { session, ..by.viewer };
                return perform_carried(app, By { viewer, ..by }, browser, &carried).await;
            }
            Ok(match next.as_str() {
                "" => page::see_other(PROFILE.path()).saying(CONFIRMED.post()),
                next => page::see_other(next),
            })
        }
        Err(error) => {
            let problems = error.problems()?;
            let page = ConfirmPage::new(&app, &by.viewer, next, form.carried, problems).await?;
            Ok(page::form_again(page))
        }
    }
}

/// Does what a form asked for that waited for the password.
async fn perform_carried(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    carried: &Carried,
) -> Result<Answer, HttpError> {
    match carried.path.as_str() {
        path if path == DOWNLOAD.path() => download::submit(app, by, browser.req).await,
        path if own_factor::describe(path).is_some() => own_factor::perform_carried(&app, by, carried).await,
        path if path == SECURE_OWN.path() => {
            secure::submit(app, by, browser, &carried.form().unwrap_or_default()).await
        }
        // Who leaves does nothing else.
        _ if by.user().leaves_at.is_some() => Err(HttpError::Forbidden),
        _ => admin::perform_carried(app, by, carried).await,
    }
}

/// Says what a form asks for.
async fn describe_carried(app: &App, carried: &Carried) -> Result<Option<Message>, HttpError> {
    match carried.path.as_str() {
        path if path == DOWNLOAD.path() => Ok(Some(t("Download your data").into())),
        path if path == SECURE_OWN.path() => {
            Ok(Some(t("Sign out every device and choose a new password").into()))
        }
        path => match own_factor::describe(path) {
            Some(what) => Ok(Some(what)),
            None => admin::describe_carried(app, carried).await,
        },
    }
}

/// Opens the form that waits for the password, if it is this person's.
fn carried_by(app: &App, viewer: &Viewer, sealed: &str) -> Option<Carried> {
    Carried::open(app, sealed, Why::Confirm).filter(|carried| {
        carried.user == viewer.user.id.as_str() && carried.is_of_session(&viewer.session.life.mark())
    })
}

/// Checks all that signing in takes, and notes in the session that it was given.
async fn confirm(
    app: &Data<App>,
    by: &By,
    browser: &SignInRequest,
    form: &ConfirmForm,
) -> Result<Session, FormError> {
    let code = match by.user().two_factor_since {
        Some(_) => Some(FactorCode::parse(&form.code).map_err(|message| FormError::at("code", message))?),
        None => None,
    };
    require_current_password(app, by, &form.current_password).await?;
    let Some(code) = code else {
        let (by, config) = (by.clone(), app.config.sessions);
        let confirmed = move |conn: &mut Connection| {
            by.still_may(conn)?;
            note(conn, &by)?;
            by.rotate(conn, Rotation::PasswordGiven, config)
        };
        return app.db.write(confirmed).await;
    };
    let device = device_cookie::known(app, &browser.req, by.user());
    let tokens = take_tokens(app, by.user(), device.as_ref(), &code).await?;
    match try_code(app, by, code).await? {
        Given::Session(session) => {
            app.limits.give_back(tokens).await;
            Ok(*session)
        }
        Given::Wrong(message) => {
            tokens.spend();
            Err(FormError::at("code", message))
        }
    }
}

/// What became of a code. What was counted is committed.
enum Given {
    Session(Box<Session>),
    Wrong(Sentence),
}

async fn try_code(app: &Data<App>, by: &By, code: FactorCode) -> Result<Given, FormError> {
    let (by, keys, config) = (by.clone(), app.keys.clone(), app.config.sessions);
    let given = app
        .db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            match two_factor::try_code(conn, &user, &code, &keys, by.now)? {
                Tried::Right(factor) => {
                    note(conn, &by)?;
                    note_factor(conn, &user, factor, &by.source(), by.now)?;
                    Ok(Given::Session(Box::new(by.rotate(conn, Rotation::BothGiven, config)?)))
                }
                Tried::Used => Ok(Given::Wrong(CODE_USED)),
                Tried::Wrong => {
                    events::note(conn, Kind::FactorWrong, Some(&user.id), &by.source(), "", by.now)?;
                    Ok::<_, FormError>(Given::Wrong(t(
                        "That code isn't right. Enter the code that your app shows now.",
                    )))
                }
            }
        })
        .await?;
    app.wakeup.wake();
    Ok(given)
}

fn note(conn: &mut Connection, by: &By) -> QueryResult<()> {
    events::note(conn, Kind::PasswordConfirmed, Some(&by.user().id), &by.source(), "", by.now)
}

impl ConfirmPage {
    async fn new(
        app: &App,
        viewer: &Viewer,
        next: Next,
        sealed: String,
        problems: Problems,
    ) -> Result<Self, HttpError> {
        let carried = carried_by(app, viewer, &sealed);
        let what = match &carried {
            Some(carried) => describe_carried(app, carried).await?,
            None => None,
        };
        let back = carried.is_some().then(|| next.or(PROFILE.path()));
        let username = viewer.user.username.clone();
        Ok(Self {
            username,
            asks_code: viewer.user.two_factor_since.is_some(),
            next,
            carried: carried.map(|_| sealed).unwrap_or_default(),
            what,
            back,
            problems,
        })
    }
}
