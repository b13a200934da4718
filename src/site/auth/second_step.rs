//! The second step of signing in: a code of an authenticator, or a recovery code, after the right password.
//!
//! Until it is taken there is no session. A row remembers that the password was right; a sealed cookie of ten minutes names it to the
//! one browser. Five codes are tried for it. Wrong ones also count for the account under this password, so that nobody who knows the
//! password guesses on and on; on a device that was signed in before they count for the device alone, and recovery codes, which nobody
//! guesses, are always taken: the owner gets in.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::arrival::{Arrival, NewSession, wrong};
use crate::accounts::two_factor::{self, Factor, Tried};
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{
    AccountStatus, FactorCode, Id, KnownDevice, Message, Moment, Sentence, Username, t, tn,
};
use crate::limits::{Limit, LimitKey, Tokens};
use crate::paths::Next;
use crate::paths::auth::{SECOND_STEP, SIGN_IN, SIGN_IN_ANY};
use crate::records::events::{self, Kind, Source};
use crate::records::sessions::{Remember, Session, SignedInBy};
use crate::records::two_factor::second_steps::{self, SecondStep};
use crate::records::two_factor::trusted_devices;
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

/// On the sign-in page.
pub const OVER: Notice = Notice::new("second-step-over", t("That took too long. Sign in again."));
/// On the sign-in page.
pub const GUESSED: Notice = Notice::new(
    "second-step-guessed",
    t("You entered too many wrong codes. Sign in again to get more tries."),
);

/// At the code.
pub(super) const CODE_USED: Sentence =
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
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecondStepForm {
    code: String,
    trust: String,
}

/// A sign-in that waits, and whose it is.
pub(super) struct Waiting {
    pub step: SecondStep,
    pub user: User,
}

/// Begins to wait for the second step of somebody whose password was right.
pub(super) async fn begin(app: &App, user: &User, remember: Remember, next: &str) -> Result<Id, FormError> {
    let (user, next) = (user.clone(), next.to_owned());
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            // Hashing took its time: what was checked must still be so.
            if users::lock_if_unchanged(conn, &user)?.is_none() {
                return Err(wrong());
            }
            Ok(second_steps::begin(conn, &user, remember, &next, now)?.id)
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
        Found::Waiting(waiting) => page::ok(waiting.page(app.clock.now(), false, Problems::default())),
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
    let now = app.clock.now();
    let trusts = !form.trust.is_empty();
    match take(&app, &browser, &waiting, &form.code, trusts).await {
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
            Ok(page::too_many(wait, waiting.page(now, trusts, problems)))
        }
        Err(error) => Ok(page::form_again(waiting.page(now, trusts, error.problems()?))),
    }
}

/// What became of the second step.
enum Taken {
    In(Box<Arrival>),
    /// Back to the sign-in page, which says why.
    Over(&'static Notice),
}

/// What became of a code, in its transaction. What was counted is committed.
enum Outcome {
    In(Box<Session>),
    Wrong { left: i32 },
    Used,
    Over,
}

async fn take(
    app: &Data<App>,
    browser: &SignInRequest,
    waiting: &Waiting,
    typed: &str,
    trusts: bool,
) -> Result<Taken, FormError> {
    let code = FactorCode::parse(typed).map_err(|message| FormError::at("code", message))?;
    let device = device_cookie::known(app, &browser.req, &waiting.user);
    let tokens = take_tokens(app, &waiting.user, device.as_ref(), &code).await?;
    let user = waiting.user.clone();
    let new =
        NewSession::of(app, browser, user.clone(), SignedInBy::PasswordAndCode, waiting.step.remember());
    let device = new.known_as.clone();
    let tried = try_in_transaction(app, waiting, code, new, trusts, browser.client.source()).await;
    match &tried {
        Ok(Outcome::Wrong { .. }) => tokens.spend(),
        // Right, or not evaluated: only failures count.
        Ok(Outcome::In(_) | Outcome::Used | Outcome::Over) | Err(_) => app.limits.give_back(tokens).await,
    }
    let outcome = tried?;
    app.wakeup.wake();
    match outcome {
        Outcome::In(session) => {
            let next = waiting.step.next_path.clone();
            Ok(Taken::In(Box::new(Arrival { session: *session, user, device, next })))
        }
        Outcome::Wrong { left: 0 } => Ok(Taken::Over(&GUESSED)),
        Outcome::Wrong { left } => Err(FormError::at("code", wrong_code(left))),
        Outcome::Used => Err(FormError::at("code", CODE_USED)),
        Outcome::Over => Ok(Taken::Over(&OVER)),
    }
}

/// Says nothing of how near a code was.
fn wrong_code(left: i32) -> Message {
    tn(
        "That code isn't right. You have 1 try left. If this keeps happening, check your phone's clock: it may be wrong.",
        "That code isn't right. You have {count} tries left. If this keeps happening, check your phone's clock: it may be wrong.",
        left,
    )
}

/// Takes the token of a guess; none for a recovery code, which nobody guesses.
async fn take_tokens(
    app: &App,
    user: &User,
    device: Option<&KnownDevice>,
    code: &FactorCode,
) -> Result<Tokens, FormError> {
    let keys: Vec<LimitKey> = match (code, device) {
        (FactorCode::Recovery(_), _) => Vec::new(),
        (FactorCode::Authenticator(_), Some(device)) => vec![Limit::FactorDevice.of(device.lane())],
        // A new password starts again: who guessed does not know it.
        (FactorCode::Authenticator(_), None) => {
            vec![Limit::Factor.of(format!("{} {}", user.id.as_str(), user.password_changed_at.micros()))]
        }
    };
    Ok(app.limits.take(keys).await?)
}

async fn try_in_transaction(
    app: &Data<App>,
    waiting: &Waiting,
    code: FactorCode,
    new: NewSession,
    trusts: bool,
    source: Source,
) -> Result<Outcome, FormError> {
    let (id, user, keys) = (waiting.step.id.clone(), waiting.user.clone(), app.keys.clone());
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            // Of several codes at once each is tried alone, under the lock of the account; and none once that has been blocked or secured.
            let is_unchanged = users::lock_if_unchanged(conn, &user)?.is_some();
            let step = second_steps::by_id(conn, &id)?.filter(|(step, user)| step.is_open(user, now));
            if !is_unchanged || step.is_none_or(|(step, _)| step.left() == 0) {
                return Ok(Outcome::Over);
            }
            match two_factor::try_code(conn, &user, &code, &keys, &source, now)? {
                Tried::Right(factor) => {
                    if !second_steps::end(conn, &id, now)? {
                        return Ok(Outcome::Over);
                    }
                    note_factor(conn, &user, factor, &source, now)?;
                    if trusts {
                        trusted_devices::trust(conn, &user.id, &new.known_as, new.agent(), now)?;
                        events::note(conn, Kind::DeviceTrusted, Some(&user.id), &source, new.agent(), now)?;
                    }
                    Ok(Outcome::In(Box::new(new.clone().signed_in_by(signed_in_by(factor)).begin(conn)?)))
                }
                Tried::Used => Ok(Outcome::Used),
                Tried::Wrong => {
                    two_factor::note_wrong_code(conn, &user, &source, &keys.outbox, now)?;
                    let left = second_steps::count_try(conn, &id, now)?;
                    Ok(Outcome::Wrong { left })
                }
            }
        })
        .await
}

fn signed_in_by(factor: Factor) -> SignedInBy {
    match factor {
        Factor::Authenticator => SignedInBy::PasswordAndCode,
        Factor::RecoveryCode => SignedInBy::PasswordAndRecoveryCode,
    }
}

/// Logs that a recovery code was used; a sign-in with an authenticator is no more than that.
pub(super) fn note_factor(
    conn: &mut Connection,
    user: &User,
    factor: Factor,
    source: &Source,
    now: Moment,
) -> Result<(), db::Error> {
    match factor {
        Factor::Authenticator => Ok(()),
        Factor::RecoveryCode => {
            Ok(events::note(conn, Kind::RecoveryCodeUsed, Some(&user.id), source, "", now)?)
        }
    }
}

impl Waiting {
    fn page(&self, now: Moment, trusts: bool, problems: Problems) -> SecondStepPage {
        SecondStepPage {
            username: self.user.username.clone(),
            trusts,
            ends_at: self.user.two_factor_recovery(now),
            problems,
        }
    }
}
