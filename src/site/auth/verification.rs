//! Confirm the address of a new account with the code that was mailed, then be signed in.
//!
//! The code works for ten minutes and five tries; then another one is requested, at most once a minute. Whoever opens the
//! link in another browser than the one that signed up must also give the password chosen then (checked first, and a wrong
//! one costs no try), so that nobody can be made to confirm a stranger's account.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use super::blocked::blocked;
use super::password_check::check_password;
use crate::accounts::codes::{self, CodeRules};
use crate::accounts::email;
use crate::app::App;
use crate::db;
use crate::identity::{
    AccountStatus, Argument, CodePurpose, Email, Id, LinkToken, Message, Moment, Otp, t, tn,
};
use crate::limits::{Limit, LimitKey};
use crate::paths::Next;
use crate::paths::account::PROFILE;
use crate::paths::auth::{RESEND, SIGN_IN, SIGN_UP, SIGN_UP_ANY, VERIFY};
use crate::records::events::{self, Kind};
use crate::records::mail_budgets::Asker;
use crate::records::sessions::{self, Remember, Session, SessionKind, SignedInBy};
use crate::records::users::{self, UNVERIFIED_LIFETIME, User};
use crate::records::verifications::{self, Attempt, CodeState, MAX_TRIES, Verification};
use crate::web::client::Client;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::forms::{self, Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::{device_cookie, flow_cookie};

/// On the profile page.
pub const VERIFIED: Notice = Notice::new("verified", t("Welcome! Your email address is confirmed."));
/// On the page where a code is entered.
pub const CODE_SENT: Notice =
    Notice::new("code-sent", t("We've sent you a new code. Older codes no longer work."));

/// On the page where a code is entered, after the right password of an account that waits for it.
pub const UNCONFIRMED: Notice = Notice::new(
    "unconfirmed",
    t("Your email address isn't confirmed yet. Enter the code from our email, or request a new one."),
);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(VERIFY, show, submit)).service(routes::act(RESEND, VERIFY, resend));
}

#[derive(Template)]
#[template(path = "auth/verification.html")]
struct VerifyPage {
    email: Email,
    code: CodeField,
    needs_password: bool,
    verify: String,
    resend: String,
    start_again: String,
    /// The code of the mail's own link.
    prefilled: String,
    problems: Problems,
}

/// What a page says where a code is entered.
pub struct CodeField {
    /// Whether there is one to enter.
    pub is_open: bool,
    /// How long and how often it can be tried, or why there is none.
    pub hint: Message,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VerifyForm {
    otp: String,
    password: String,
}

/// The code in the mail's own link. It is only drawn into its field: scanners that follow the link change nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CodeQuery {
    code: String,
}

/// A sign-up that waits for its code, reached by its link.
struct Waiting {
    flow: Verification,
    user: User,
    token: LinkToken,
    /// Whether this is another browser than the one that signed up.
    needs_password: bool,
}

async fn show(
    app: Data<App>,
    browser: SignInRequest,
    link: Path<(String, String)>,
) -> Result<Answer, HttpError> {
    let waiting = find(&app, &browser, &link).await?;
    let code: CodeQuery = forms::query(&browser.req).unwrap_or_default();
    // Nothing but a code: whatever else an address says is not drawn.
    let prefilled = Otp::parse(&code.code).map(|code| code.expose().to_owned()).unwrap_or_default();
    let page = VerifyPage { prefilled, ..waiting.page(app.clock.now(), Problems::default()) };
    Ok(page::ok(page).showing(&[&CODE_SENT, &UNCONFIRMED]))
}

async fn submit(
    app: Data<App>,
    browser: SignInRequest,
    link: Path<(String, String)>,
    Form(form): Form<VerifyForm>,
) -> Result<Answer, HttpError> {
    let waiting = find(&app, &browser, &link).await?;
    app.limits.take([waiting.limit_key()]).await?.spend();
    match verify(&app, &browser, &waiting, &form).await {
        Ok(session) => {
            browser.point_to(&session, app.clock.now())?;
            let answer = match Next::parse(&waiting.flow.next_path).as_str() {
                next if next.is_empty() || next == PROFILE.path() => {
                    page::see_other(PROFILE.path()).saying(VERIFIED.post())
                }
                next => page::see_other(next),
            };
            Ok(answer.with_cookie(flow_cookie::forget(&app)).with_cookie(device_cookie::remember(
                &app,
                &browser.req,
                &waiting.user,
            )))
        }
        Err(error) => {
            let problems = error.problems()?;
            // Anew: the try that was just counted may have been the last.
            let waiting = find(&app, &browser, &link).await?;
            Ok(page::form_again(waiting.page(app.clock.now(), problems)))
        }
    }
}

async fn resend(
    app: Data<App>,
    browser: SignInRequest,
    link: Path<(String, String)>,
) -> Result<Answer, HttpError> {
    let waiting = find(&app, &browser, &link).await?;
    app.limits.take([waiting.limit_key()]).await?.spend();
    match send_code(&app, &browser.client, &waiting.flow, &waiting.user).await? {
        Ok(()) => Ok(page::see_other(waiting.path()).saying(CODE_SENT.post())),
        Err(wait) => Ok(page::form_again(waiting.page(app.clock.now(), too_early(wait)))),
    }
}

/// Finds the sign-up of a link, or the page that says why there is none.
async fn find(
    app: &App,
    browser: &SignInRequest,
    (uid, token): &(String, String),
) -> Result<Waiting, HttpError> {
    let unknown = || {
        let text = t("Part of it may be missing. Copy the whole link from the email, or sign up again.");
        ErrorPage::new(StatusCode::NOT_FOUND, t("This link doesn't work"), text)
            .way_on(t("Sign up"), SIGN_UP_ANY.path())
    };
    let (id, token) = Id::parse(uid).zip(LinkToken::parse(token)).ok_or_else(unknown)?;
    if !app.keys.all().any(|keys| token.is_of_flow(&keys.link, &id, CodePurpose::SignUp)) {
        return Err(unknown().into());
    }
    let wanted = id.clone();
    let found = app.db.find(move |conn| verifications::by_id(conn, &wanted)).await?;
    let now = app.clock.now();
    // The link is one of ours, so there was such a sign-up once.
    let Some((flow, user)) = found.filter(|(flow, _)| now < flow.created_at.plus(UNVERIFIED_LIFETIME)) else {
        return Err(expired().into());
    };
    if let AccountStatus::Blocked(reason) = user.status() {
        return Err(blocked(&reason).into());
    }
    if flow.ended_at.is_some() {
        return Err(already_confirmed(&user).into());
    }
    let needs_password = flow_cookie::read(app, &browser.req).as_ref() != Some(&id);
    Ok(Waiting { flow, user, token, needs_password })
}

fn expired() -> ErrorPage {
    let text = t(
        "The email address wasn't confirmed in time, or a newer sign-up has replaced this one. Sign up again, or sign in if you've already confirmed your address.",
    );
    ErrorPage::new(StatusCode::GONE, t("This sign-up has expired"), text)
        .way_on(t("Sign up again"), SIGN_UP_ANY.path())
}

fn already_confirmed(user: &User) -> ErrorPage {
    let text = t("There's nothing more to do here. You can sign in.");
    ErrorPage::new(StatusCode::GONE, t("You've already confirmed this address"), text)
        .way_on(t("Sign in"), SIGN_IN.to([user.role.as_str()]))
}

/// Checks password and code; returns the session that begins.
async fn verify(
    app: &App,
    browser: &SignInRequest,
    waiting: &Waiting,
    form: &VerifyForm,
) -> Result<Session, FormError> {
    if waiting.needs_password {
        let key = Limit::SignIn.of(format!("flow {}", waiting.flow.id.as_str()));
        let wrong = t("That isn't the password you chose when you signed up.");
        let wrong = FormError::at("password", wrong);
        check_password(app, key, &browser.client, &waiting.user, &form.password, wrong).await?;
    }
    let code = Otp::parse(&form.otp).map_err(|message| FormError::at("otp", message))?;
    match try_code(app, browser, waiting, code).await? {
        Tried::Confirmed(session) => Ok(*session),
        Tried::No(attempt) => Err(match problem_of(attempt) {
            Some(problem) => problem,
            None => why_over(app, browser, waiting).await.into(),
        }),
    }
}

/// The flow was used or replaced a moment ago: its page says why.
async fn why_over(app: &App, browser: &SignInRequest, waiting: &Waiting) -> HttpError {
    let link = (waiting.flow.id.as_str().to_owned(), waiting.token.expose());
    find(app, browser, &link).await.err().unwrap_or(HttpError::BadRequest)
}

enum Tried {
    Confirmed(Box<Session>),
    No(Attempt),
}

async fn try_code(
    app: &App,
    browser: &SignInRequest,
    waiting: &Waiting,
    code: Otp,
) -> Result<Tried, db::Error> {
    let flow = waiting.flow.clone();
    let user = waiting.user.clone();
    let keys = app.keys.codes();
    let source = browser.client.source();
    let device = browser.device();
    let config = app.config.sessions;
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            // Blocked, or given another role, since the password was checked: its page says so.
            if users::lock_if_unchanged(conn, &user)?.is_none() {
                return Ok(Tried::No(Attempt::NotTried(CodeState::Ended)));
            }
            let attempt = verifications::attempt(conn, &flow, &code, &keys, now)?;
            match attempt {
                Attempt::Right => {
                    // Others may have waited for the same address; whoever was first to confirm it has it.
                    if !email::confirm(conn, &user, &flow.email, now)? {
                        return Ok(Tried::No(Attempt::NotTried(CodeState::Ended)));
                    }
                    events::note(conn, Kind::Verified, Some(&user.id), &source, "", now)?;
                    let kind = SessionKind::of(user.role, Remember::No);
                    let session =
                        sessions::begin(conn, &user.id, kind, SignedInBy::Code, &device, config, now)?;
                    Ok(Tried::Confirmed(Box::new(session)))
                }
                Attempt::Wrong { .. } => {
                    events::note(conn, Kind::CodeWrong, Some(&user.id), &source, "sign-up", now)?;
                    Ok(Tried::No(attempt))
                }
                Attempt::NotTried(_) => Ok(Tried::No(attempt)),
            }
        })
        .await
}

/// What a try that did not succeed says at the field; `None` when the flow is over.
pub fn problem_of(attempt: Attempt) -> Option<FormError> {
    let spent = t("Too many wrong codes. Request a new one.");
    let message = match attempt {
        Attempt::Right | Attempt::NotTried(CodeState::Ended) => return None,
        Attempt::Wrong { left: 0 } | Attempt::NotTried(CodeState::Spent) => spent.into(),
        Attempt::Wrong { left } => tn(
            "That code isn't right. You have 1 try left.",
            "That code isn't right. You have {count} tries left.",
            left,
        ),
        Attempt::NotTried(CodeState::Open | CodeState::Expired) => {
            t("This code has expired. Request a new one.").into()
        }
    };
    Some(FormError::at("otp", message))
}

/// Leads to the page where the code is entered, in the browser that signed up.
pub(super) fn lead_to_page(app: &App, flow: &Id) -> Answer {
    let token = LinkToken::of_flow(&app.keys.link, flow, CodePurpose::SignUp);
    page::see_other(VERIFY.to([flow.as_str(), &token.expose()])).with_cookie(flow_cookie::seal(app, flow))
}

/// Sends another code for a flow, or returns how long to wait until that may be.
pub async fn send_code(
    app: &App,
    client: &Client,
    flow: &Verification,
    user: &User,
) -> Result<Result<(), Duration>, db::Error> {
    let flow = flow.clone();
    let user = user.clone();
    let rules = CodeRules::new(&app.config, &app.keys);
    let asker = Asker::Network(client.neighbourhood());
    let now = app.clock.now();
    let sent = app
        .db
        .write(move |conn| codes::renew(conn, &user, &flow, &rules, &asker, now).map_err(db::Error::from))
        .await?;
    app.wakeup.wake();
    Ok(sent)
}

/// What is said when another code was requested too early.
pub fn too_early(wait: Duration) -> Problems {
    Problems::one("resend", t("You can request another code in {wait}.").with("wait", wait))
}

impl CodeField {
    /// Says what can be done with the newest code of a flow.
    pub fn of(flow: &Verification, now: Moment) -> Self {
        let left = flow.code_expires_at.since(now);
        let state = flow.state(now);
        let hint = match state {
            CodeState::Open => tn(
                "The code works for {left}, until {time}. You have 1 try.",
                "The code works for {left}, until {time}. You have {count} tries.",
                MAX_TRIES - flow.tries,
            )
            .with("time", Argument::Clock(flow.code_expires_at))
            .with("left", left),
            CodeState::Spent => t("Too many wrong codes. We can send you a new one.").into(),
            CodeState::Expired | CodeState::Ended => {
                t("This code has expired. We can send you a new one.").into()
            }
        };
        Self { is_open: state == CodeState::Open, hint }
    }
}

impl Waiting {
    /// Tries and resends of this sign-up: what neighbours do must not keep anybody from entering their code.
    fn limit_key(&self) -> LimitKey {
        Limit::Code.of(self.flow.id.as_str())
    }

    fn path(&self) -> String {
        VERIFY.to([self.flow.id.as_str(), &self.token.expose()])
    }

    fn page(&self, now: Moment, problems: Problems) -> VerifyPage {
        let sign_up = SIGN_UP.to([self.user.role.as_str()]);
        VerifyPage {
            email: self.flow.email.clone(),
            code: CodeField::of(&self.flow, now),
            needs_password: self.needs_password,
            verify: self.path(),
            resend: RESEND.to([self.flow.id.as_str(), &self.token.expose()]),
            start_again: Next::parse(&self.flow.next_path).after(&sign_up),
            prefilled: String::new(),
            problems,
        }
    }
}
