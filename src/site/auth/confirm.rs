//! Give the password again: asked for before sensitive acts when it was last given over ten minutes ago. The page names the act
//! and whom it is about, and does it once the password is right.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::passkey_check::{self, page_of, require_used};
use super::password_check::{ProofForm, require_proof};
use crate::accounts::two_factor::{PasskeyBeside, use_passkey};
use crate::app::App;
use crate::identity::{Message, Username, t};
use crate::passkeys::{Question, Reply};
use crate::paths::Next;
use crate::paths::account::{DOWNLOAD, PROFILE, SECURE_OWN, TWO_FACTOR};
use crate::paths::auth::CONFIRM;
use crate::records::events::{self, Kind};
use crate::records::sessions::{Rotation, Session};
use crate::site::account::{download, secure, two_factor};
use crate::site::admin;
use crate::web::carried::{self, Carried, TOO_LONG, Why};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Remaining, Viewer};

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
    /// What a passkey is asked, where there is one: it is enough.
    passkey: Option<Question>,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfirmForm {
    #[serde(flatten)]
    proof: ProofForm,
    #[serde(flatten)]
    reply: Reply,
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
    match confirm(&app, &by, &form).await {
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
        Err(FormError::Http(HttpError::TooMany(wait))) => {
            let message = t("Too many attempts. Try again in {wait}.").with("wait", wait);
            let problems = Problems::one("current_password", message);
            let page = ConfirmPage::new(&app, &by.viewer, next, form.carried, problems).await?;
            Ok(page::too_many(wait, page))
        }
        Err(error) => {
            let problems = error.problems()?;
            let page = ConfirmPage::new(&app, &by.viewer, next, form.carried, problems).await?;
            Ok(page::form_again(page))
        }
    }
}

/// Whether this page can do what a form asks for. A form that adds an authenticator app or a passkey starts again at its own page.
fn is_performed(path: &str) -> bool {
    path == DOWNLOAD.path()
        || path == SECURE_OWN.path()
        || two_factor::describe(path).is_some()
        || admin::is_act(path)
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
        path if two_factor::describe(path).is_some() => two_factor::perform_carried(&app, by, carried).await,
        path if path == SECURE_OWN.path() => {
            secure::submit(app, by, browser, &carried.form().unwrap_or_default()).await
        }
        // Who leaves does nothing else.
        _ if by.user().leaves_at.is_some() => Err(HttpError::Forbidden),
        _ if app.config.two_factor.comes_first(by.user().role, by.user().has_two_factor(), by.now) => {
            Ok(page::see_other(TWO_FACTOR.path()))
        }
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
        path => match two_factor::describe(path) {
            Some(what) => Ok(Some(what)),
            None => admin::describe_carried(app, carried).await,
        },
    }
}

/// Opens the form that waits for the password, if it is this person's.
fn carried_by(app: &App, viewer: &Viewer, sealed: &str) -> Option<Carried> {
    Carried::open(app, sealed, Why::Confirm).filter(|carried| {
        carried.user == viewer.user.id.as_str()
            && carried.is_of_session(&viewer.session.life.mark())
            && is_performed(&carried.path)
    })
}

/// Checks what signing in takes, and notes in the session that it was given.
async fn confirm(app: &Data<App>, by: &By, form: &ConfirmForm) -> Result<Session, FormError> {
    if form.reply.is_given() {
        return confirm_by_passkey(app, by, &form.reply).await;
    }
    require_proof(app, by, &form.proof).await?;
    let given = if by.viewer.asks_code(by.now) { Rotation::BothGiven } else { Rotation::PasswordGiven };
    let (by, config) = (by.clone(), app.config.sessions);
    app.db
        .write(move |conn| {
            by.still_may(conn)?;
            events::note(conn, Kind::PasswordConfirmed, Some(&by.user().id), &by.source(), "", by.now)?;
            by.rotate(conn, given, config)
        })
        .await
}

/// A passkey is both: what its person has, and what they know or are.
async fn confirm_by_passkey(app: &Data<App>, by: &By, reply: &Reply) -> Result<Session, FormError> {
    let answered = passkey_check::check(app, &by.user().id, &question(&by.viewer), reply, by.now).await?;
    let (by, config) = (by.clone(), app.config.sessions);
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            let beside = match by.viewer.session.life.confirmed_at {
                Some(_) => PasskeyBeside::Session,
                None => PasskeyBeside::Nothing,
            };
            require_used(use_passkey(conn, &user, &answered, beside, &by.source(), by.now)?)?;
            events::note(conn, Kind::PasswordConfirmed, Some(&user.id), &by.source(), "", by.now)?;
            by.rotate(conn, Rotation::BothGiven, config)
        })
        .await
}

/// Names the question that the page asks a passkey.
fn question(viewer: &Viewer) -> String {
    page_of("confirm", &viewer.session.life.mark())
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
            asks_code: viewer.asks_code(app.clock.now()),
            passkey: passkey_check::ask(app, &viewer.user, &question(viewer)).await?,
            next,
            carried: carried.map(|_| sealed).unwrap_or_default(),
            what,
            back,
            problems,
        })
    }
}
