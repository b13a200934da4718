//! The second step of signing in: a code of an authenticator, a recovery code or a passkey, after the right password.
//!
//! Until it is taken there is no session. A row remembers that the password was right; a sealed cookie of ten minutes names it to the
//! one browser. Five codes are tried for it. Wrong ones also count for the account under this password, so that nobody who knows the
//! password guesses on and on; on a device that was signed in before they count for the device alone, and recovery codes, which nobody
//! guesses, are always taken: the owner gets in.

pub(super) mod taking;

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::arrival::wrong;
use super::passkey_check::{self, page_of};
use crate::accounts::two_factor;
use crate::app::App;
use crate::db;
use crate::identity::{AccountStatus, Id, Moment, Sentence, Username, t};
use crate::passkeys::{Question, Reply};
use crate::paths::Next;
use crate::paths::auth::{SECOND_STEP, SIGN_IN, SIGN_IN_ANY};
use crate::records::events::{self, Kind};
use crate::records::sessions::Remember;
use crate::records::two_factor::second_steps::{self, FirstStep, SecondStep};
use crate::records::two_factor::{authenticators, trusted_devices};
use crate::records::users::{self, User};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::Stranger;
use crate::web::{cookies, device_cookie};
use taking::{Taken, take};

/// On the sign-in page.
pub const OVER: Notice = Notice::new("second-step-over", t("That took too long. Sign in again."));
/// On the sign-in page.
pub const GUESSED: Notice = Notice::new(
    "second-step-guessed",
    t("You entered too many wrong codes. Sign in again to get more tries."),
);

/// At the code.
pub(in crate::site::auth) const CODE_USED: Sentence =
    t("You've already used that code. Wait until your app shows the next one.");

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(SECOND_STEP, show, submit));
}

#[derive(Template)]
#[template(path = "auth/second_step.html")]
struct SecondStepPage {
    username: Username,
    /// Whether "Trust this device" is ticked.
    trusts: bool,
    /// When signing in takes no code any more.
    ends_at: Option<Moment>,
    /// What a passkey is asked, where there is one.
    passkey: Option<Question>,
    /// Whether there is an app that shows codes.
    has_apps: bool,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecondStepForm {
    code: String,
    trust: String,
    #[serde(flatten)]
    reply: Reply,
}

/// A sign-in that waits, and whose it is.
pub(super) struct Waiting {
    pub step: SecondStep,
    pub user: User,
}

/// Begins to wait for the second step of somebody whose first one was right.
pub(super) async fn begin(
    app: &App,
    user: &User,
    first: FirstStep,
    remember: Remember,
    next: &str,
) -> Result<Id, FormError> {
    let (user, next) = (user.clone(), next.to_owned());
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            // Hashing took its time: what was checked must still be so.
            if users::lock_if_unchanged(conn, &user)?.is_none() {
                return Err(wrong());
            }
            Ok(second_steps::begin(conn, &user, first, remember, &next, now)?.id)
        })
        .await
}

/// Leads to the page of the second step, in this browser alone.
pub(super) fn lead_to_page(app: &App, step: &Id) -> Answer {
    let mut cookie = cookies::build(&app.config, cookies::STEP, step.as_str().to_owned());
    cookies::keep_for(&mut cookie, second_steps::LIFETIME);
    page::see_other(SECOND_STEP.path()).with_cookie(cookies::seal(&app.keys.second_step, cookie))
}

/// What a browser's cookie names.
pub(super) enum Found {
    Waiting(Box<Waiting>),
    /// It waits no more; none: there was nothing.
    Over(Option<Box<(SecondStep, User)>>),
}

/// Finds what waits in this browser, if it still does.
pub(super) async fn find(app: &App, browser: &SignInRequest) -> Result<Found, db::Error> {
    let named = cookies::read(&browser.req, &app.config, &app.keys, cookies::STEP, |keys| &keys.second_step);
    let Some(id) = named.as_deref().and_then(Id::parse) else { return Ok(Found::Over(None)) };
    let found = app.db.find(move |conn| second_steps::by_id(conn, &id)).await?;
    let now = app.clock.now();
    Ok(match found {
        Some((step, user)) if is_open(&step, &user, now) => Found::Waiting(Box::new(Waiting { step, user })),
        over => Found::Over(over.map(Box::new)),
    })
}

fn is_open(step: &SecondStep, user: &User, now: Moment) -> bool {
    let may_enter = matches!(user.status(), AccountStatus::Active | AccountStatus::Leaving);
    may_enter && user.has_two_factor() && step.is_open(user, now)
}

/// Leads back to the sign-in page, and from there to where its person wanted to go.
pub(super) fn over(app: &App, why: &Notice, step: Option<&(SecondStep, User)>) -> Answer {
    let path = match step {
        Some((step, user)) => Next::parse(&step.next_path).after(&SIGN_IN.to([user.role.as_str()])),
        None => SIGN_IN_ANY.to_string(),
    };
    page::see_other(path).saying(why.post()).with_cookie(cookies::removal(&app.config, cookies::STEP))
}

/// Whether the password is enough on this device.
pub(super) async fn is_trusted(app: &App, browser: &SignInRequest, user: &User) -> Result<bool, db::Error> {
    let Some(device) = device_cookie::known(app, &browser.req, user) else { return Ok(false) };
    let (id, now) = (user.id.clone(), app.clock.now());
    app.db.find(move |conn| trusted_devices::is_trusted(conn, &id, &device, now)).await
}

/// Ends the second step of whoever has lost it, once they have waited; returns the account without it.
pub(super) async fn ended(
    app: &App,
    browser: &SignInRequest,
    user: &User,
) -> Result<Option<User>, FormError> {
    let now = app.clock.now();
    if !user.has_waited_for_two_factor(now) {
        return Ok(None);
    }
    let (user, seal, source) = (user.clone(), app.keys.outbox, browser.client.source());
    let without = app
        .db
        .write(move |conn| {
            // Whoever was first may have ended it already: then there is nothing more to do.
            let current = users::lock(conn, &user.id)?
                .filter(|now| now.password_changed_at == user.password_changed_at && now.role == user.role);
            let current = current.ok_or_else(wrong)?;
            if two_factor::settle_recovery(conn, &current, &seal, now)? {
                events::note(conn, Kind::TwoFactorLost, Some(&current.id), &source, "", now)?;
            }
            Ok::<_, FormError>(users::by_id(conn, &current.id)?)
        })
        .await?;
    app.wakeup.wake();
    Ok(without)
}

async fn show(app: Data<App>, _: Stranger, browser: SignInRequest) -> Result<Answer, HttpError> {
    Ok(match find(&app, &browser).await? {
        Found::Waiting(waiting) => page::ok(waiting.page(&app, false, Problems::default()).await?),
        Found::Over(step) => over(&app, &OVER, step.as_deref()),
    })
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    Form(form): Form<SecondStepForm>,
) -> Result<Answer, HttpError> {
    let waiting = match find(&app, &browser).await? {
        Found::Waiting(waiting) => waiting,
        Found::Over(step) => return Ok(over(&app, &OVER, step.as_deref())),
    };
    let trusts = !form.trust.is_empty();
    match take(&app, &browser, &waiting, &form).await {
        Ok(Taken::In(arrival)) => {
            Ok(arrival.lead_in(&app, &browser)?.with_cookie(cookies::removal(&app.config, cookies::STEP)))
        }
        Ok(Taken::Over(why)) => {
            let Waiting { step, user } = *waiting;
            Ok(over(&app, why, Some(&(step, user))))
        }
        Err(FormError::Http(HttpError::TooMany(wait))) => {
            let message = t("Too many wrong codes. Try again in {wait}, or use a recovery code now.");
            let problems = Problems::one("code", message.with("wait", wait));
            let page = waiting.page(&app, trusts, problems).await?;
            Ok(page::too_many(wait, page))
        }
        Err(error) => Ok(page::form_again(waiting.page(&app, trusts, error.problems()?).await?)),
    }
}

impl Waiting {
    async fn page(&self, app: &App, trusts: bool, problems: Problems) -> Result<SecondStepPage, HttpError> {
        let id = self.user.id.clone();
        let apps = app.db.find(move |conn| authenticators::count_of(conn, &id)).await?;
        Ok(SecondStepPage {
            has_apps: apps > 0,
            username: self.user.username.clone(),
            trusts,
            ends_at: self.user.two_factor_recovery(app.clock.now()),
            passkey: passkey_check::ask(app, &self.user, &self.question()).await?,
            problems,
        })
    }

    /// Names the question that its page asks a passkey.
    fn question(&self) -> String {
        page_of("second-step", self.step.id.as_str())
    }
}
