//! Sign in with a code that is emailed, instead of a password: where the operator allows it, and never for those who see the admin
//! pages. A second step is asked for as after the password.
//!
//! Every address gets the same pages in the same time: a flow is begun, counted and renewed alike for all, and who has the address is
//! looked up outside the request. A code works in the browser that asked for it alone. Wrong ones are counted for the address, so that
//! nobody guesses on and on; on a device that was signed in before they count for the device alone.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::arrival::Arrival;
use super::second_step;
use super::verification::{CodeField, problem_of, too_early};
use crate::accounts::codes::CodeRules;
use crate::accounts::sign_in_codes;
use crate::app::App;
use crate::db;
use crate::identity::{AccountStatus, Email, Id, KnownDevice, Moment, Otp, t};
use crate::limits::{Limit, LimitKey};
use crate::mail::{self, Envelope, SignInCodeRequest};
use crate::paths::Next;
use crate::paths::account::LEAVE;
use crate::paths::auth::{ENTER_CODE, RESEND_CODE, SIGN_IN_CODE};
use crate::records::events::{self, Kind};
use crate::records::sessions::{Remember, SignedInBy};
use crate::records::two_factor::second_steps::FirstStep;
use crate::records::users::{self, User};
use crate::records::verifications::{self, Attempt, CodeState, Verification};
use crate::web::carried::{Carried, Why};
use crate::web::client::Client;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::{self, Notice};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::{View, filters};
use crate::web::viewer::Stranger;
use crate::web::{cookies, device_cookie};

/// On the page where the code is entered.
const SENT_AGAIN: Notice = Notice::new(
    "sign-in-code-sent",
    t("If this address can sign in with a code, a new one is on its way. Only the newest code works."),
);
/// Where a code is asked for.
const OVER: Notice =
    Notice::new("sign-in-code-over", t("This code can't be used any more. Ask for a new one."));
/// A further code is requested no sooner.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::form(SIGN_IN_CODE, show, submit))
        .service(routes::form(ENTER_CODE, show_entry, enter))
        .service(routes::act(RESEND_CODE, ENTER_CODE, resend));
}

#[derive(Template)]
#[template(path = "auth/sign_in_code.html")]
struct AskPage {
    form: AskForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "auth/enter_code.html")]
struct EntryPage {
    email: Email,
    code: CodeField,
    next: Next,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AskForm {
    email: String,
    /// What was typed at the sign-in page, whose button leads here.
    username: String,
    /// Whether the button of this page was pressed.
    ask: String,
    remember: String,
    next: String,
    /// A form that waits for its person, sealed.
    carried: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EntryForm {
    otp: String,
}

/// What this browser waits for.
struct Waiting {
    flow: Verification,
    remember: Remember,
}

fn require_allowed(app: &App) -> Result<(), HttpError> {
    if app.config.sign_in_by_code { Ok(()) } else { Err(HttpError::NotFound) }
}

async fn show(app: Data<App>, _: Stranger, next: Next) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let form = AskForm { next: next.as_str().to_owned(), ..AskForm::default() };
    Ok(page::ok(AskPage { form, problems: Problems::default() }).showing(&[&OVER]))
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    req: HttpRequest,
    client: Client,
    Form(form): Form<AskForm>,
) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    if form.ask.is_empty() {
        let email = if form.username.contains('@') { form.username.clone() } else { String::new() };
        let form = AskForm { email, ..form };
        return Ok(page::ok(AskPage { form, problems: Problems::default() }));
    }
    let email = match Email::parse(&form.email) {
        Ok(email) => email,
        Err(message) => {
            let problems = Problems::one("email", message);
            return Ok(page::form_again(AskPage { form, problems }));
        }
    };
    let now = app.clock.now();
    let before = waiting(&app, &req).await?.map(|waiting| waiting.flow);
    // One whose code still works is the same once more: another code may not be mailed yet.
    let before = before.filter(|flow| flow.email.is_same_as(&email) && flow.state(now) == CodeState::Open);
    let flow = ask(&app, &req, &client, &email, &form.waiting(&app), before).await?;
    Ok(page::see_other(ENTER_CODE.path()).with_cookie(cookie(&app, &flow, form.remember())))
}

/// Asks for a code, for a flow of this browser or a new one.
async fn ask(
    app: &App,
    req: &HttpRequest,
    client: &Client,
    email: &Email,
    next: &str,
    before: Option<Verification>,
) -> Result<Id, HttpError> {
    let lanes: Vec<String> = device_cookie::read(app, req).iter().map(KnownDevice::lane).collect();
    // A device that is known has its own, which no neighbour uses up.
    let keys = match lanes.first() {
        Some(lane) => vec![Limit::SignInCode.of(lane)],
        None => client.keys(Limit::SignInCode),
    };
    app.limits.take(keys).await?.spend();
    let request = SignInCodeRequest { network: client.neighbourhood(), lanes };
    let rules = CodeRules::new(&app.config, &app.keys);
    let before = before.map(|flow| flow.id);
    let (email, next, now) = (email.clone(), next.to_owned(), app.clock.now());
    let flow = app
        .db
        .write(move |conn| {
            let flow = match &before {
                Some(before) => {
                    verifications::set_next(conn, before, &next)?;
                    before.clone()
                }
                None => sign_in_codes::begin(conn, &email, &next, &rules, now)?.id,
            };
            let envelope = Envelope::to_courier().with_secret(flow.as_str(), rules.lifetime, &rules.seal);
            mail::queue(conn, request.clone(), &envelope, now)?;
            Ok::<_, db::Error>(flow)
        })
        .await?;
    app.wakeup.wake();
    Ok(flow)
}

async fn show_entry(app: Data<App>, _: Stranger, req: HttpRequest) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    Ok(match waiting(&app, &req).await? {
        Some(waiting) => {
            let mut page = waiting.page(app.clock.now(), Problems::default());
            if notice::read(&req, &[&SENT_AGAIN]).is_some() {
                // Its row may say so a moment later: who has the address is looked up beside this request.
                page.code =
                    CodeField { is_open: true, hint: t("The newest code in your inbox works.").into() };
            }
            page::ok(page).showing(&[&SENT_AGAIN])
        }
        None => page::see_other(SIGN_IN_CODE.path()),
    })
}

/// Where the right code leads.
enum Entered {
    In(Box<Arrival>),
    SecondStep(Id),
}

async fn enter(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    Form(form): Form<EntryForm>,
) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let Some(waiting) = waiting(&app, &browser.req).await? else { return Ok(over()) };
    let forget = cookies::removal(&app.config, cookies::SIGN_IN_CODE);
    let problems = match try_code(&app, &browser, &waiting, &form).await {
        Ok(Some(Entered::In(arrival))) => return Ok(arrival.lead_in(&app, &browser)?.with_cookie(forget)),
        Ok(Some(Entered::SecondStep(step))) => {
            return Ok(second_step::lead_to_page(&app, &step).with_cookie(forget));
        }
        Ok(None) => return Ok(over().with_cookie(forget)),
        Err(FormError::Http(HttpError::TooMany(wait))) => {
            let message = t(
                "Too many wrong codes for this address. Try again in {wait}, or sign in with your password.",
            );
            let problems = Problems::one("otp", message.with("wait", wait));
            return Ok(page::too_many(wait, waiting.page(app.clock.now(), problems)));
        }
        Err(error) => error.problems()?,
    };
    // Anew: the try that was just counted may have been the last.
    let waiting = self::waiting(&app, &browser.req).await?;
    Ok(waiting.map_or_else(over, |waiting| page::form_again(waiting.page(app.clock.now(), problems))))
}

async fn resend(app: Data<App>, _: Stranger, req: HttpRequest, client: Client) -> Result<Answer, HttpError> {
    require_allowed(&app)?;
    let Some(Waiting { flow, remember }) = waiting(&app, &req).await? else { return Ok(over()) };
    let now = app.clock.now();
    let wait = flow.code_expires_at.minus(app.config.otp_lifetime).plus(PAUSE).since(now).min(PAUSE);
    if !wait.is_zero() {
        return Ok(page::form_again(Waiting { flow, remember }.page(now, too_early(wait))));
    }
    let (email, next) = (flow.email.clone(), flow.next_path.clone());
    ask(&app, &req, &client, &email, &next, Some(flow)).await?;
    Ok(page::see_other(ENTER_CODE.path()).saying(SENT_AGAIN.post()))
}

/// Tries a code; `None` when its flow is over.
async fn try_code(
    app: &App,
    browser: &SignInRequest,
    waiting: &Waiting,
    form: &EntryForm,
) -> Result<Option<Entered>, FormError> {
    let code = Otp::parse(&form.otp).map_err(|message| FormError::at("otp", message))?;
    let tokens = app.limits.take([limit_key(app, browser, &waiting.flow).await?]).await?;
    let tried = try_in_transaction(app, browser, &waiting.flow, code).await;
    match &tried {
        Ok((Attempt::Wrong { .. }, _)) => tokens.spend(),
        // Right, or not evaluated: only failures count.
        Ok(_) | Err(_) => app.limits.give_back(tokens).await,
    }
    match tried? {
        (Attempt::Right, Some(user)) => {
            let next = waiting.flow.next_path.as_str();
            let next = if user.status() == AccountStatus::Leaving { LEAVE.path() } else { next };
            let remember = waiting.remember;
            if user.has_two_factor() {
                let step = second_step::begin(app, &user, FirstStep::EmailedCode, remember, next);
                return Ok(Some(Entered::SecondStep(step.await?)));
            }
            let by = SignedInBy::EmailedCode;
            let arrival = Arrival::begin(app, browser, user, by, remember, next).await?;
            Ok(Some(Entered::In(Box::new(arrival))))
        }
        (attempt, _) => problem_of(attempt).map_or(Ok(None), Err),
    }
}

/// The bucket that a wrong code counts in.
async fn limit_key(app: &App, browser: &SignInRequest, flow: &Verification) -> Result<LimitKey, db::Error> {
    // Asked about nobody, too: the time must not tell that there is somebody.
    let id = flow.user_id.clone().unwrap_or_else(Id::new);
    let user = app.db.find(move |conn| users::by_id(conn, &id)).await?;
    let device = user.and_then(|user| device_cookie::known(app, &browser.req, &user));
    Ok(match device {
        Some(device) => Limit::SignInDevice.of(device.lane()),
        None => Limit::SignInCodeWrong.of(flow.email.canonical()),
    })
}

/// Tries a code in its flow; returns whose it is, if they may sign in by it. What was counted is committed.
async fn try_in_transaction(
    app: &App,
    browser: &SignInRequest,
    flow: &Verification,
    code: Otp,
) -> Result<(Attempt, Option<User>), db::Error> {
    let (id, keys, source) = (flow.id.clone(), app.keys.codes(), browser.client.source());
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            let over = (Attempt::NotTried(CodeState::Ended), None);
            let Some(flow) = verifications::alone(conn, &id)? else { return Ok(over) };
            // Nobody is locked, too: the time must not tell that there is somebody.
            let user = users::lock(conn, &flow.user_id.clone().unwrap_or_else(Id::new))?;
            let attempt = verifications::attempt(conn, &flow, &code, &keys, now)?;
            match attempt {
                Attempt::Right => {
                    // Blocked, of another role or at another address since then.
                    let may = |user: &User| {
                        let is_theirs =
                            user.confirmed_email().is_some_and(|email| email.is_same_as(&flow.email));
                        is_theirs && sign_in_codes::may(user)
                    };
                    let user = user.filter(may);
                    Ok(if user.is_some() { (attempt, user) } else { over })
                }
                Attempt::Wrong { .. } => {
                    let whose = user.as_ref().map(|user| &user.id);
                    events::note(conn, Kind::CodeWrong, whose, &source, flow.purpose.as_str(), now)?;
                    Ok((attempt, None))
                }
                Attempt::NotTried(_) => Ok((attempt, None)),
            }
        })
        .await
}

/// Finds what this browser asked for, if it can still be entered or renewed.
async fn waiting(app: &App, req: &HttpRequest) -> Result<Option<Waiting>, db::Error> {
    let Some(text) = cookies::read(req, &app.config, &app.keys, cookies::SIGN_IN_CODE, |keys| &keys.flow)
    else {
        return Ok(None);
    };
    let Some((id, remembers)) = text.split_once(' ') else { return Ok(None) };
    let Some(id) = Id::parse(id) else { return Ok(None) };
    let remember = if remembers == "1" { Remember::Yes } else { Remember::No };
    let flow = app.db.find(move |conn| verifications::alone(conn, &id)).await?;
    let flow = flow.filter(|flow| flow.ended_at.is_none());
    Ok(flow.map(|flow| Waiting { flow, remember }))
}

fn cookie(app: &App, flow: &Id, remember: Remember) -> Cookie<'static> {
    let remembers = u8::from(remember == Remember::Yes);
    let text = format!("{} {remembers}", flow.as_str());
    let mut cookie = cookies::build(&app.config, cookies::SIGN_IN_CODE, text);
    cookies::keep_for(&mut cookie, app.config.otp_lifetime * 2);
    cookies::seal(&app.keys.flow, cookie)
}

fn over() -> Answer {
    page::see_other(SIGN_IN_CODE.path()).saying(OVER.post())
}

impl Waiting {
    fn page(&self, now: Moment, problems: Problems) -> EntryPage {
        EntryPage {
            email: self.flow.email.clone(),
            code: CodeField::of(&self.flow, now),
            next: Next::parse(&self.flow.next_path),
            problems,
        }
    }
}

impl EntryPage {
    fn start_again(&self) -> String {
        self.next.after(SIGN_IN_CODE.path())
    }
}

impl AskPage {
    /// The page for the password, with what waits for signing in.
    fn with_password(&self, view: &View) -> String {
        Next::parse(&self.form.next).after(&view.sign_in())
    }
}

impl AskForm {
    /// What waits for signing in: a form that we sealed, or a path.
    fn waiting(&self, app: &App) -> String {
        match Carried::open(app, &self.carried, Why::SignIn) {
            Some(_) => self.carried.clone(),
            None => Next::parse(&self.next).as_str().to_owned(),
        }
    }

    fn remember(&self) -> Remember {
        if self.remember.is_empty() { Remember::No } else { Remember::Yes }
    }
}
