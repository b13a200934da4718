//! Where the code of an email is entered, in the browser that asked for it. Wrong ones are counted for the address, so that nobody
//! guesses on and on; on a device that was signed in before they count for that device alone.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::{OVER, ask, require_allowed};
use crate::accounts::sign_in_codes;
use crate::app::App;
use crate::db;
use crate::identity::{AccountStatus, CodePurpose, Email, Id, Moment, Otp, t};
use crate::limits::{Limit, LimitKey};
use crate::paths::Next;
use crate::paths::account::LEAVE;
use crate::paths::auth::{ENTER_CODE, RESEND_CODE, SIGN_IN_CODE};
use crate::records::events::{self, Kind};
use crate::records::sessions::{Remember, SignedInBy};
use crate::records::two_factor::second_steps::{self, FirstStep};
use crate::records::users::{self, User};
use crate::records::verifications::{self, Attempt, CodeState, Verification};
use crate::site::auth::arrival::{Arrival, Arriving};
use crate::site::auth::second_step;
use crate::site::auth::verification::{CodeField, problem_of, too_early};
use crate::web::client::Client;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::{self, Notice};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::Stranger;
use crate::web::{cookies, device_cookie};

const SENT_AGAIN: Notice = Notice::new(
    "sign-in-code-sent",
    t("If you can sign in with a code, we've sent a new one. Only the newest code works."),
);
/// A further code is requested no sooner.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(ENTER_CODE, show, submit)).service(routes::act(
        RESEND_CODE,
        ENTER_CODE,
        resend,
    ));
}

#[derive(Template)]
#[template(path = "auth/enter_code.html")]
struct EntryPage {
    email: Email,
    code: CodeField,
    /// Where its person wanted to go.
    next: Next,
    /// A form that waits for its person, sealed.
    carried: String,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EntryForm {
    otp: String,
}

/// What this browser waits for.
pub(super) struct Waiting {
    pub flow: Verification,
    remember: Remember,
}

/// Finds what this browser asked for, if it can still be entered or renewed.
pub(super) async fn waiting(app: &App, req: &HttpRequest) -> Result<Option<Waiting>, db::Error> {
    let Some(text) = cookies::read(req, &app.config, &app.keys, cookies::SIGN_IN_CODE, |keys| &keys.flow)
    else {
        return Ok(None);
    };
    let Some((id, remembers)) = text.split_once(' ') else { return Ok(None) };
    let Some(id) = Id::parse(id) else { return Ok(None) };
    let remember = Remember::from(remembers == "1");
    let flow = app.db.find(move |conn| verifications::flow(conn, &id, CodePurpose::SignIn)).await?;
    let flow = flow.filter(|flow| flow.ended_at.is_none());
    Ok(flow.map(|flow| Waiting { flow, remember }))
}

/// Builds the cookie that names what this browser asked for.
pub(super) fn cookie(app: &App, flow: &Id, remember: Remember) -> Cookie<'static> {
    let remembers = u8::from(remember == Remember::Yes);
    let text = format!("{} {remembers}", flow.as_str());
    let mut cookie = cookies::build(&app.config, cookies::SIGN_IN_CODE, text);
    cookies::keep_for(&mut cookie, app.config.otp_lifetime * 2);
    cookies::seal(&app.keys.flow, cookie)
}

fn over() -> Answer {
    page::see_other(SIGN_IN_CODE.path()).saying(OVER.post())
}

async fn show(app: Data<App>, _: Stranger, req: HttpRequest) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let Some(waiting) = waiting(&app, &req).await? else {
        return Ok(page::see_other(SIGN_IN_CODE.path()));
    };
    let mut page = waiting.page(app.clock.now(), Problems::default());
    if notice::read(&req, &[&SENT_AGAIN]).is_some() {
        // Its row may say so a moment later: who has the address is looked up beside this request.
        let hint = t("Enter the newest code we emailed you. It works for {left}.");
        page.code = CodeField { is_open: true, hint: hint.with("left", app.config.otp_lifetime) };
    }
    Ok(page::ok(page).showing(&[&SENT_AGAIN]))
}

async fn resend(app: Data<App>, _: Stranger, req: HttpRequest, client: Client) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let Some(waiting) = waiting(&app, &req).await? else { return Ok(over()) };
    let (flow, now) = (waiting.flow.clone(), app.clock.now());
    let renewed_at = flow.code_expires_at.minus(app.config.otp_lifetime);
    let wait = renewed_at.plus(PAUSE).since(now).min(PAUSE);
    if !wait.is_zero() {
        return Ok(page::form_again(waiting.page(now, too_early(wait))));
    }
    let (email, next) = (flow.email.clone(), flow.next_path.clone());
    match ask(&app, &req, &client, &email, &next, Some(flow)).await {
        Ok(flow) => Ok(page::see_other(ENTER_CODE.path()).saying(SENT_AGAIN.post()).with_cookie(cookie(
            &app,
            &flow,
            waiting.remember,
        ))),
        Err(HttpError::TooMany(wait)) => Ok(page::too_many(wait, waiting.page(now, too_early(wait)))),
        Err(error) => Err(error),
    }
}

/// What became of a code, in its transaction. What was counted is committed.
enum Outcome {
    In(Box<Arrival>),
    SecondStep(Id),
    No(Attempt),
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    Form(form): Form<EntryForm>,
) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let Some(waiting) = waiting(&app, &browser.req).await? else { return Ok(over()) };
    match try_code(&app, &browser, &waiting, &form).await {
        Ok(Some(answer)) => Ok(answer.with_cookie(cookies::removal(&app.config, cookies::SIGN_IN_CODE))),
        Ok(None) => Ok(over()),
        Err(FormError::Http(HttpError::TooMany(wait))) => {
            let message = t("Too many wrong codes. Try again in {wait}, or sign in with your password.");
            let problems = Problems::one("otp", message.with("wait", wait));
            Ok(page::too_many(wait, waiting.page(app.clock.now(), problems)))
        }
        Err(error) => {
            let problems = error.problems()?;
            // Anew: the try that was just counted may have been the last. Where there is no field any more, the page says why.
            let Some(waiting) = self::waiting(&app, &browser.req).await? else { return Ok(over()) };
            let mut page = waiting.page(app.clock.now(), problems);
            if !page.code.is_open {
                page.problems = Problems::default();
            }
            Ok(page::form_again(page))
        }
    }
}

/// Tries a code; returns where the right one leads, and `None` when it can be entered no more.
async fn try_code(
    app: &App,
    browser: &SignInRequest,
    waiting: &Waiting,
    form: &EntryForm,
) -> Result<Option<Answer>, FormError> {
    let code = Otp::parse(&form.otp).map_err(|message| FormError::at("otp", message))?;
    let tokens = app.limits.take([limit_key(app, browser, &waiting.flow).await?]).await?;
    let tried = try_in_transaction(app, browser, waiting, code).await;
    match &tried {
        Ok(Outcome::No(Attempt::Wrong { .. })) => tokens.spend(),
        // Right, or not evaluated: only failures count.
        Ok(_) | Err(_) => app.limits.give_back(tokens).await,
    }
    app.wakeup.wake();
    match tried? {
        Outcome::In(arrival) => Ok(Some(arrival.lead_in(app, browser)?)),
        Outcome::SecondStep(step) => Ok(Some(second_step::lead_to_page(app, &step))),
        Outcome::No(attempt) => problem_of(attempt).map_or(Ok(None), Err),
    }
}

/// Where somebody goes who has entered the code.
fn next_of<'a>(flow: &'a Verification, user: &User) -> &'a str {
    if user.status() == AccountStatus::Leaving { LEAVE.path() } else { &flow.next_path }
}

/// The bucket that a wrong code counts in. Whose the flow is, is looked up for a browser that says that it knows them, and for no other.
async fn limit_key(app: &App, browser: &SignInRequest, flow: &Verification) -> Result<LimitKey, db::Error> {
    let claimed = device_cookie::read(app, &browser.req).into_iter();
    let claimed = claimed.zip(flow.user_id.clone().into_iter().cycle()).find(|(known, id)| known.is_of(id));
    if let Some((known, id)) = claimed
        && let Some(user) = app.db.find(move |conn| users::by_id(conn, &id)).await?
        && user.knows(&known)
    {
        return Ok(Limit::SignInCodeWrong.of(known.lane()));
    }
    Ok(Limit::SignInCodeWrong.of(flow.email.canonical()))
}

/// Tries a code. Whose it is, is looked up for the right one alone: the time of a wrong one must not tell that there is somebody.
async fn try_in_transaction(
    app: &App,
    browser: &SignInRequest,
    waiting: &Waiting,
    code: Otp,
) -> Result<Outcome, db::Error> {
    let (flow, remember, arriving) = (waiting.flow.clone(), waiting.remember, Arriving::of(app, browser));
    let (keys, source, now) = (app.keys.codes(), browser.client.source(), app.clock.now());
    app.db
        .write(move |conn| {
            let attempt = verifications::attempt(conn, &flow, &code, &keys, now)?;
            if let Attempt::Wrong { .. } = attempt {
                let (kind, purpose) = (Kind::CodeWrong, flow.purpose.as_str());
                events::note(conn, kind, flow.user_id.as_ref(), &source, purpose, now)?;
            }
            if attempt != Attempt::Right {
                return Ok(Outcome::No(attempt));
            }
            let user = match &flow.user_id {
                Some(id) => users::lock(conn, id)?,
                None => None,
            };
            // Blocked, of another role or at another address since then.
            let is_theirs = |user: &User| {
                user.confirmed_email().is_some_and(|email| email.is_same_as(&flow.email))
                    && sign_in_codes::may(user)
            };
            let Some(user) = user.filter(is_theirs) else {
                return Ok(Outcome::No(Attempt::NotTried(CodeState::Ended)));
            };
            let next = next_of(&flow, &user).to_owned();
            if user.has_two_factor() {
                let first = FirstStep::EmailedCode;
                let step = second_steps::begin(conn, &user, first, remember, &next, now)?;
                return Ok(Outcome::SecondStep(step.id));
            }
            let new = arriving.clone().with(user.clone(), remember);
            let session = new.begin(conn, SignedInBy::EmailedCode)?;
            Ok(Outcome::In(Box::new(Arrival { session, user, device: new.known_as, next })))
        })
        .await
}

impl Waiting {
    fn page(&self, now: Moment, problems: Problems) -> EntryPage {
        let next = Next::parse(&self.flow.next_path);
        let carried = if next.as_str().is_empty() { self.flow.next_path.clone() } else { String::new() };
        let code = CodeField::of(&self.flow, now);
        EntryPage { email: self.flow.email.clone(), code, next, carried, problems }
    }
}
