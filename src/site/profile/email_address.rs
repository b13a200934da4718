//! Change one's e-mail address: asked for with the current password, confirmed with a code sent to the new
//! address, told to the old one with a link that undoes it for 72 hours.
//!
//! Nothing changes before the code is entered. Whether the new address has an account already is not told: then
//! its owner is mailed, and no code ever fits.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Email, Id, Moment, Otp, Purpose};
use crate::mail::{self, CodeMail, Mail, Posting, masked};
use crate::paths::{self, route};
use crate::records::events::{self, Kind};
use crate::records::links;
use crate::records::mail_budgets::{self, Budget};
use crate::records::users::{self, User};
use crate::records::verifications::{self, Attempt, CodeState, NewVerification, Verification};
use crate::site::{confirm, sign_up, verification};
use crate::web::client::Client;
use crate::web::fault::{DeadEnd, Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Browser, Viewer};
use crate::web::{filters, routes};

/// How long the old address can undo a change.
const UNDO: Duration = Duration::from_secs(72 * 3600);

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::form(route::CHANGE_EMAIL, show, ask))
        .service(routes::act(route::CHANGE_EMAIL_VERIFY, verify))
        .service(routes::act(route::CHANGE_EMAIL_RESEND, resend))
        .service(routes::act(route::CHANGE_EMAIL_CANCEL, cancel));
}

#[derive(Template)]
#[template(path = "profile/change_email.html")]
struct ChangeEmailPage {
    chrome: Chrome,
    current: String,
    form: ChangeEmailForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "profile/pending_email.html")]
struct PendingPage {
    chrome: Chrome,
    current: String,
    address: String,
    state: CodeState,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChangeEmailForm {
    email: String,
    current_password: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CodeForm {
    otp: String,
}

async fn show(app: Data<App>, viewer: Viewer, req: actix_web::HttpRequest) -> Result<HttpResponse, Fault> {
    let chrome = Chrome::of(Some(&viewer)).with_notice(req.query_string());
    let current = viewer.user.email.clone().unwrap_or_default();
    let problems = Problems::default();
    let Some(flow) = pending(&app, &viewer).await? else {
        return Ok(page::ok(&ChangeEmailPage {
            chrome,
            current,
            form: ChangeEmailForm::default(),
            problems,
        }));
    };
    let state = flow.state(app.clock.now());
    Ok(page::ok(&PendingPage { chrome, current, address: flow.address, state, problems }))
}

async fn ask(
    app: Data<App>,
    viewer: Viewer,
    client: Client,
    Form(form): Form<ChangeEmailForm>,
) -> Result<HttpResponse, Fault> {
    match begin(&app, &viewer, &client, &form).await {
        Ok(()) => Ok(page::see_other(&paths::with_notice(route::CHANGE_EMAIL, "email-code-sent"))),
        Err(refusal) => {
            let problems = refusal.problems()?;
            let (chrome, current) = (Chrome::of(Some(&viewer)), viewer.user.email.unwrap_or_default());
            Ok(page::refused(&ChangeEmailPage { chrome, current, form, problems }))
        }
    }
}

async fn verify(
    app: Data<App>,
    viewer: Viewer,
    browser: Browser,
    Form(form): Form<CodeForm>,
) -> Result<HttpResponse, Fault> {
    app.limits.take(Limit::Code, &browser.client.network()).await?;
    let flow = pending(&app, &viewer).await?.ok_or_else(nothing_pending)?;
    match confirm_code(&app, &viewer.user, &browser.client, &flow, &form).await {
        Ok(()) => {
            viewer.rotate(&browser.req, &browser.session, false).await?;
            Ok(page::see_other(&paths::with_notice(route::PROFILE, "email-changed")))
        }
        Err(refusal) => pending_again(&app, &viewer, refusal.problems()?).await,
    }
}

async fn resend(app: Data<App>, viewer: Viewer, client: Client) -> Result<HttpResponse, Fault> {
    app.limits.take(Limit::Code, &client.network()).await?;
    let flow = pending(&app, &viewer).await?.ok_or_else(nothing_pending)?;
    match verification::send_code(&app, &flow, &viewer.user).await? {
        Ok(()) => Ok(page::see_other(&paths::with_notice(route::CHANGE_EMAIL, "code-sent"))),
        Err(wait) => pending_again(&app, &viewer, verification::too_early(wait)).await,
    }
}

async fn cancel(app: Data<App>, viewer: Viewer) -> Result<HttpResponse, Fault> {
    let (user, now) = (viewer.user.id, app.clock.now());
    app.db
        .write(move |conn| {
            Ok::<_, db::Error>(verifications::end_all(conn, &user, Purpose::ChangeEmail, now)?)
        })
        .await?;
    Ok(page::see_other(&paths::with_notice(route::PROFILE, "email-cancelled")))
}

async fn pending(app: &App, viewer: &Viewer) -> Result<Option<Verification>, Fault> {
    let user = viewer.user.id.clone();
    let find = move |conn: &mut Connection| {
        Ok::<_, db::Error>(verifications::pending(conn, &user, Purpose::ChangeEmail)?)
    };
    Ok(app.db.find(find).await?)
}

async fn pending_again(app: &App, viewer: &Viewer, problems: Problems) -> Result<HttpResponse, Fault> {
    // Anew: the try that was just counted may have been the last.
    let flow = pending(app, viewer).await?.ok_or_else(nothing_pending)?;
    let (chrome, current) = (Chrome::of(Some(viewer)), viewer.user.email.clone().unwrap_or_default());
    let state = flow.state(app.clock.now());
    Ok(page::refused(&PendingPage { chrome, current, address: flow.address, state, problems }))
}

fn nothing_pending() -> Fault {
    let text = "The change was confirmed or cancelled meanwhile. Your profile shows the address that counts.";
    DeadEnd::new(StatusCode::GONE, "No change of address is pending", text)
        .way_on("Go to your profile", route::PROFILE)
        .into()
}

/// Begins a change; an earlier one is cancelled.
async fn begin(app: &App, viewer: &Viewer, client: &Client, form: &ChangeEmailForm) -> Result<(), Refusal> {
    let email = form.parse(&viewer.user)?;
    app.limits.take(Limit::Code, &client.network()).await?;
    confirm::current_password(app, &viewer.user, &form.current_password, client).await?;
    let (viewer, origin, now) = (viewer.clone(), client.origin(), app.clock.now());
    let (key, lifetime) = (app.keys.code, app.config.otp_lifetime);
    app.db
        .write(move |conn| {
            viewer.still_may(conn, now)?;
            let user = &viewer.user;
            verifications::end_all(conn, &user.id, Purpose::ChangeEmail, now)?;
            let may_mail = mail_budgets::take(conn, &email.canonical(), Budget::Code, now)?.is_ok();
            let owner = users::by_email(conn, &email.canonical())?
                .filter(|owner| owner.verified_at.is_some() && owner.id != user.id);
            let (flow, code) = (Id::new(), Otp::random());
            let digest = code.digest(&key, &flow, Purpose::ChangeEmail, email.as_str());
            let verification = NewVerification {
                id: &flow,
                user_id: &user.id,
                purpose: Purpose::ChangeEmail,
                address: email.as_str(),
                claim: None,
                code_digest: owner.is_none().then_some(&digest),
                // Over the budget nothing is mailed, and nothing can be guessed: the page offers another code.
                lifetime: if may_mail { lifetime } else { Duration::ZERO },
                next_path: "",
            };
            verifications::insert(conn, &verification, now)?;
            events::note(
                conn,
                Kind::EmailChangeAsked,
                Some(&user.id),
                &origin,
                &masked(email.as_str()),
                now,
            )?;
            let told = match &owner {
                Some(owner) if may_mail => sign_up::tell_owner(conn, owner, now)?,
                _ => false,
            };
            if !told {
                let new = CodeMail {
                    user: &user.id,
                    username: &user.username,
                    flow: &flow,
                    purpose: Purpose::ChangeEmail,
                    address: email.as_str(),
                    code: (owner.is_none() && may_mail).then_some(&code),
                    lifetime,
                };
                mail::queue_code(conn, &new, now)?;
            }
            Ok::<_, Refusal>(())
        })
        .await?;
    app.bell.ring();
    Ok(())
}

async fn confirm_code(
    app: &App,
    user: &User,
    client: &Client,
    flow: &Verification,
    form: &CodeForm,
) -> Result<(), Refusal> {
    let code = Otp::parse(&form.otp).map_err(|message| Refusal::at("otp", message))?;
    let (flow, user, keys) = (flow.clone(), user.clone(), app.keys.codes());
    let (origin, now) = (client.origin(), app.clock.now());
    let attempt = app
        .db
        .write(move |conn| {
            let attempt = verifications::attempt(conn, &flow, &code, &keys, now)?;
            match attempt {
                Attempt::Right => {
                    change(conn, &user, &flow.address, now)?;
                    let detail = format!(
                        "{} to {}",
                        masked(user.email.as_deref().unwrap_or_default()),
                        masked(&flow.address)
                    );
                    events::note(conn, Kind::EmailChanged, Some(&user.id), &origin, &detail, now)?;
                }
                Attempt::Wrong { .. } => {
                    events::note(conn, Kind::CodeWrong, Some(&user.id), &origin, "change-email", now)?;
                }
                Attempt::Refused(_) => {}
            }
            Ok::<_, Refusal>(attempt)
        })
        .await?;
    app.bell.ring();
    match attempt {
        Attempt::Right => Ok(()),
        attempt => Err(verification::refusal(attempt).unwrap_or_else(|| nothing_pending().into())),
    }
}

/// The address is theirs now; the old one is told, and reset links that went there stop working.
fn change(conn: &mut Connection, user: &User, address: &str, now: Moment) -> Result<(), Refusal> {
    let email = Email::parse(address).map_err(|message| Refusal::at("otp", message))?;
    if let Some(holder) = users::by_email(conn, &email.canonical())?
        && holder.id != user.id
        && !users::remove_unverified(conn, &holder.id)?
    {
        return Err(Refusal::at(
            "otp",
            "This address can no longer be used. Cancel the change and choose another one.",
        ));
    }
    users::set_email(conn, &user.id, &email)?;
    links::revoke(conn, &user.id, Purpose::ResetPassword, now)?;
    let Some(old) = user.email.as_deref() else { return Ok(()) };
    let (link, token) = links::issue(conn, &user.id, Purpose::UndoEmail, old, UNDO, now)?;
    let mail = Mail::AddressChanged {
        username: user.username.clone(),
        new_address: masked(address),
        link: link.as_str().to_owned(),
    };
    Ok(mail::queue(conn, &mail, &Posting::to(&user.id, old).with_secret(&token.expose(), UNDO), now)?)
}

impl ChangeEmailForm {
    fn parse(&self, user: &User) -> Result<Email, Problems> {
        let mut problems = Problems::default();
        let email = problems.take("email", Email::parse(&self.email));
        if email.as_ref().is_some_and(|email| Some(email.as_str()) == user.email.as_deref()) {
            problems.add("email", "This is your address already.");
        }
        if self.current_password.is_empty() {
            problems.add("current_password", "Enter your current password.");
        }
        email.filter(|_| problems.is_empty()).ok_or(problems)
    }
}
