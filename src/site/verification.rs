//! Confirm the address of a new account with the code that was mailed, then be signed in.
//!
//! The code is good for ten minutes and five tries; then another one is asked for, at most once a minute. Whoever
//! opens the link in another browser than the one that signed up must also give the password chosen then
//! (checked first, and a wrong one costs no try), so that nobody can be made to confirm a stranger's account.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db;
use crate::identity::{Id, LinkToken, Message, Moment, Otp, Password, Purpose, Standing};
use crate::mail;
use crate::paths::{self, Next, route};
use crate::records::events::{self, Kind};
use crate::records::sign_ins::{self, SignIn};
use crate::records::users::{self, UNVERIFIED_LIFETIME, User};
use crate::records::verifications::{self, Attempt, CodeState, Verification};
use crate::site::confirm;
use crate::web::fault::{DeadEnd, Fault, Refusal, human_wait};
use crate::web::forms::{Form, Problems};
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::viewer::Browser;
use crate::web::{filters, flow_cookie, routes, session};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(route::VERIFY, show, submit)).service(routes::act(route::RESEND, resend));
}

#[derive(Template)]
#[template(path = "verification.html")]
struct VerifyPage {
    chrome: Chrome,
    address: String,
    state: CodeState,
    needs_password: bool,
    confirm: String,
    resend: String,
    start_again: String,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VerifyForm {
    otp: String,
    password: String,
}

/// A sign-up that waits for its code, reached by its link.
struct Waiting {
    flow: Verification,
    user: User,
    token: LinkToken,
    /// Whether this is another browser than the one that signed up.
    needs_password: bool,
}

async fn show(app: Data<App>, browser: Browser, link: Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let waiting = find(&app, &browser, &link).await?;
    let page = waiting.page(app.clock.now(), Problems::default());
    let chrome = Chrome::plain().with_notice(browser.req.query_string());
    Ok(page::ok(&VerifyPage { chrome, ..page }))
}

async fn submit(
    app: Data<App>,
    browser: Browser,
    link: Path<(String, String)>,
    Form(form): Form<VerifyForm>,
) -> Result<HttpResponse, Fault> {
    let waiting = find(&app, &browser, &link).await?;
    app.limits.take(Limit::Code, &browser.client.network()).await?;
    match verify(&app, &browser, &waiting, &form).await {
        Ok(sign_in) => {
            session::point_to(&browser.req, &browser.session, &sign_in, app.clock.now())?;
            let usual = paths::with_notice(route::PROFILE, "verified");
            let mut on = page::see_other(&Next::parse(&waiting.flow.next_path).or(&usual));
            on.add_cookie(&flow_cookie::forget(&app)).map_err(|error| Fault::Internal(error.to_string()))?;
            Ok(on)
        }
        Err(refusal) => {
            let problems = refusal.problems()?;
            // Anew: the try that was just counted may have been the last.
            let waiting = find(&app, &browser, &link).await?;
            Ok(page::refused(&waiting.page(app.clock.now(), problems)))
        }
    }
}

async fn resend(
    app: Data<App>,
    browser: Browser,
    link: Path<(String, String)>,
) -> Result<HttpResponse, Fault> {
    let waiting = find(&app, &browser, &link).await?;
    app.limits.take(Limit::Code, &browser.client.network()).await?;
    let back = paths::verify(&waiting.flow.id, &waiting.token);
    let sent = send_code(&app, &waiting.flow, &waiting.user).await?;
    match sent {
        Ok(()) => Ok(page::see_other(&paths::with_notice(&back, "code-sent"))),
        Err(wait) => Ok(page::refused(&waiting.page(app.clock.now(), too_early(wait)))),
    }
}

/// The sign-up of that link, or the dead end that it leads to.
async fn find(app: &App, browser: &Browser, (uid, token): &(String, String)) -> Result<Waiting, Fault> {
    let unknown = || {
        DeadEnd::new(
            StatusCode::NOT_FOUND,
            "This link is not known",
            "It may have been cut off on its way. Copy the whole link from the mail, or sign up again.",
        )
        .way_on("Sign up", route::SIGN_UP_ANY)
    };
    let (id, token) = Id::parse(uid).zip(LinkToken::parse(token)).ok_or_else(unknown)?;
    if !app.keys.all().any(|keys| token.is_of_flow(&keys.link, &id, Purpose::SignUp)) {
        return Err(unknown().into());
    }
    let wanted = id.clone();
    let found = app.db.find(move |conn| Ok::<_, db::Error>(verifications::by_id(conn, &wanted)?)).await?;
    let now = app.clock.now();
    // The link is one of ours, so there was such a sign-up once.
    let Some((flow, user)) = found.filter(|(flow, _)| now < flow.created_at.plus(UNVERIFIED_LIFETIME)) else {
        let text = "It was not confirmed in time, or the same address or name was used for a newer one: then please sign up again. Or it was confirmed long ago: then just sign in.";
        let gone = DeadEnd::new(StatusCode::GONE, "This sign-up is over", text);
        return Err(gone.way_on("Sign up again", route::SIGN_UP_ANY).into());
    };
    if let Standing::Blocked(reason) = user.standing() {
        return Err(confirm::blocked(&reason).into());
    }
    if flow.ended_at.is_some() {
        return Err(already_confirmed(&user).into());
    }
    let needs_password = flow_cookie::read(app, &browser.req).as_ref() != Some(&id);
    Ok(Waiting { flow, user, token, needs_password })
}

fn already_confirmed(user: &User) -> DeadEnd {
    DeadEnd::new(
        StatusCode::GONE,
        "This address is confirmed already",
        "There is nothing more to do here. You can sign in.",
    )
    .way_on("Sign in", paths::sign_in(user.role))
}

/// Checks password and code; the sign-in that follows.
async fn verify(
    app: &App,
    browser: &Browser,
    waiting: &Waiting,
    form: &VerifyForm,
) -> Result<SignIn, Refusal> {
    if waiting.needs_password {
        let given = Password::entered(&form.password);
        let wrong = "This is not the password that was chosen at sign-up.";
        confirm::check_password(app, &waiting.user, given, &browser.client, ("password", wrong)).await?;
    }
    let code = Otp::parse(&form.otp).map_err(|message| Refusal::at("otp", message))?;
    let (flow, user, keys, now) =
        (waiting.flow.clone(), waiting.user.clone(), app.keys.codes(), app.clock.now());
    let (client, config) = (browser.client.clone(), app.config.sessions);
    let tried = app
        .db
        .write(move |conn| {
            // Blocked, or given another role, since the password was looked at: its page tells.
            if !users::is_unchanged(conn, &user)? {
                return Ok((Attempt::Refused(CodeState::Ended), None));
            }
            let attempt = verifications::attempt(conn, &flow, &code, &keys, now)?;
            let sign_in = match attempt {
                Attempt::Right => {
                    users::set_verified(conn, &user.id, now)?;
                    events::note(conn, Kind::Verified, Some(&user.id), &client.origin(), "", now)?;
                    let kind = sign_ins::Kind::of(user.role, false);
                    Some(sign_ins::begin(conn, &user.id, kind, &client.device(), config, now)?)
                }
                Attempt::Wrong { .. } => {
                    events::note(conn, Kind::CodeWrong, Some(&user.id), &client.origin(), "sign-up", now)?;
                    None
                }
                Attempt::Refused(_) => None,
            };
            Ok::<_, db::Error>((attempt, sign_in))
        })
        .await?;
    match tried {
        (_, Some(sign_in)) => Ok(sign_in),
        // Used or replaced a moment ago: what its page says now, another look tells.
        (attempt, None) => match refusal(attempt) {
            Some(refusal) => Err(refusal),
            None => {
                find(app, browser, &waiting.link()).await.and(Err(Fault::BadRequest)).map_err(Refusal::from)
            }
        },
    }
}

/// What a try that did not succeed says at the field; `None` when the flow is over.
pub(super) fn refusal(attempt: Attempt) -> Option<Refusal> {
    let message: Message = match attempt {
        Attempt::Right | Attempt::Refused(CodeState::Ended) => return None,
        Attempt::Wrong { left: 0 } | Attempt::Refused(CodeState::Spent) => {
            "All tries for this code are used up. Ask for a new code.".into()
        }
        Attempt::Wrong { left: 1 } => "This is not the code. One try is left.".into(),
        Attempt::Wrong { left } => {
            Message::new("This is not the code. {left} tries are left.").with("left", left)
        }
        Attempt::Refused(_) => "This code has run out. Ask for a new one.".into(),
    };
    Some(Refusal::at("otp", message))
}

/// On to the page where the code is entered, in the browser that signed up.
pub(super) fn lead_to_page(app: &App, flow: &Id) -> Result<HttpResponse, Fault> {
    let token = LinkToken::of_flow(&app.keys.link, flow, Purpose::SignUp);
    let mut on = page::see_other(&paths::verify(flow, &token));
    on.add_cookie(&flow_cookie::seal(app, flow)).map_err(|error| Fault::Internal(error.to_string()))?;
    Ok(on)
}

/// Sends another code for a flow, or tells how long to wait for it.
pub(super) async fn send_code(
    app: &App,
    flow: &Verification,
    user: &User,
) -> Result<Result<(), Duration>, Fault> {
    let (flow, user, key, now) = (flow.clone(), user.clone(), app.keys.code, app.clock.now());
    let lifetime = app.config.otp_lifetime;
    let sent = app
        .db
        .write(move |conn| Ok::<_, db::Error>(mail::renew_code(conn, (&flow, &user), &key, lifetime, now)?))
        .await?;
    app.bell.ring();
    Ok(sent)
}

/// What is said when another code was asked for too early.
pub(super) fn too_early(wait: Duration) -> Problems {
    Problems::one(
        "otp",
        Message::new("You can ask for another code in {wait}.").with("wait", human_wait(wait)),
    )
}

impl Waiting {
    fn link(&self) -> (String, String) {
        (self.flow.id.as_str().to_owned(), self.token.expose())
    }

    fn page(&self, now: Moment, problems: Problems) -> VerifyPage {
        VerifyPage {
            chrome: Chrome::plain(),
            address: self.flow.address.clone(),
            state: self.flow.state(now),
            needs_password: self.needs_password,
            confirm: paths::verify(&self.flow.id, &self.token),
            resend: paths::resend(&self.flow.id, &self.token),
            start_again: Next::parse(&self.flow.next_path).after(&paths::sign_up(self.user.role)),
            problems,
        }
    }
}
