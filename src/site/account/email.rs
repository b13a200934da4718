//! Change one's email address: requested with the current password, confirmed with a code sent to the new address, reported to
//! the old one with a link that undoes it for 72 hours.
//!
//! Nothing changes before the code is entered. Whether the new address already has an account is not shown: then its owner is
//! mailed, and no code ever fits.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::accounts::codes::CodeRules;
use crate::accounts::email::{begin_change, change};
use crate::app::App;
use crate::db;
use crate::identity::{CodePurpose, Email, Otp, Username, t};
use crate::limits::Limit;
use crate::paths::account::{
    CHANGE_EMAIL, CHANGE_EMAIL_CANCEL, CHANGE_EMAIL_RESEND, CHANGE_EMAIL_VERIFY, PROFILE,
};
use crate::records::events::{self, Kind};
use crate::records::mail_budgets::Asker;
use crate::records::sessions::{Rotation, Session};
use crate::records::verifications::{self, Attempt, Verification};
use crate::site::auth::passkey_check::require_instead_of_code;
use crate::site::auth::password_check::{ProofForm, require_proof};
use crate::site::auth::verification::{CODE_SENT, CodeField, problem_of, send_code, too_early};
use crate::web::carried;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer};

/// On the profile page.
pub const CHANGED: Notice =
    Notice::new("email-changed", t("Your email address has been changed. We've let your old address know."));
/// On the profile page.
pub const CANCELLED: Notice =
    Notice::new("email-cancelled", t("Change cancelled. Your email address stays the same."));
/// On the page where the code is entered.
const REQUESTED: Notice = Notice::new(
    "email-requested",
    t("We've sent a code to your new address. Enter it to finish the change."),
);

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::form(CHANGE_EMAIL, show, request))
        .service(routes::act(CHANGE_EMAIL_VERIFY, CHANGE_EMAIL, verify))
        .service(routes::act(CHANGE_EMAIL_RESEND, CHANGE_EMAIL, resend))
        .service(routes::act(CHANGE_EMAIL_CANCEL, CHANGE_EMAIL, cancel));
}

#[derive(Template)]
#[template(path = "account/email.html")]
struct ChangeEmailPage {
    username: Username,
    current: Option<Email>,
    /// Whether a code is asked for, too.
    asks_code: bool,
    /// Whether it was typed before its person was signed out.
    is_carried: bool,
    form: ChangeEmailForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "account/pending_email.html")]
struct PendingPage {
    current: Option<Email>,
    email: Email,
    code: CodeField,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChangeEmailForm {
    email: String,
    #[serde(flatten)]
    proof: ProofForm,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CodeForm {
    otp: String,
}

async fn show(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<Answer, HttpError> {
    let problems = Problems::default();
    if let Some(flow) = pending(&app, &viewer).await? {
        let page = PendingPage::new(&app, &viewer, flow, problems);
        return Ok(page::ok(page).showing(&[&REQUESTED, &CODE_SENT]));
    }
    require_instead_of_code(&app, &viewer, CHANGE_EMAIL.path()).await?;
    let carried = carried::take_returned(&req, &viewer.user.id).and_then(|carried| carried.form());
    let is_carried = carried.is_some();
    let page = ChangeEmailPage::new(&app, &viewer, carried.unwrap_or_default(), problems);
    Ok(page::ok(ChangeEmailPage { is_carried, ..page }))
}

async fn request(app: Data<App>, by: By, Form(form): Form<ChangeEmailForm>) -> Result<Answer, HttpError> {
    match begin(&app, &by, &form).await {
        Ok(()) => Ok(page::see_other(CHANGE_EMAIL.path()).saying(REQUESTED.post())),
        Err(error) => Ok(page::form_again(ChangeEmailPage::new(&app, &by.viewer, form, error.problems()?))),
    }
}

async fn verify(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    Form(form): Form<CodeForm>,
) -> Result<Answer, HttpError> {
    let flow = pending(&app, &by.viewer).await?.ok_or_else(nothing_pending)?;
    app.limits.take([Limit::Code.of(flow.id.as_str())]).await?.spend();
    match confirm(&app, &by, flow, &form).await {
        Ok(session) => {
            browser.point_to(&session, by.now)?;
            Ok(page::see_other(PROFILE.path()).saying(CHANGED.post()))
        }
        Err(error) => pending_again(&app, &by.viewer, error.problems()?).await,
    }
}

async fn resend(app: Data<App>, by: By) -> Result<Answer, HttpError> {
    let flow = pending(&app, &by.viewer).await?.ok_or_else(nothing_pending)?;
    app.limits.take([Limit::Code.of(flow.id.as_str())]).await?.spend();
    match send_code(&app, &by.client, &flow, by.user()).await? {
        Ok(()) => Ok(page::see_other(CHANGE_EMAIL.path()).saying(CODE_SENT.post())),
        Err(wait) => pending_again(&app, &by.viewer, too_early(wait)).await,
    }
}

async fn cancel(app: Data<App>, by: By) -> Result<Answer, HttpError> {
    app.db
        .write(move |conn| {
            verifications::end_all(conn, &by.user().id, CodePurpose::ChangeEmail, by.now)
                .map_err(db::Error::from)
        })
        .await?;
    Ok(page::see_other(PROFILE.path()).saying(CANCELLED.post()))
}

async fn pending(app: &App, viewer: &Viewer) -> Result<Option<Verification>, db::Error> {
    let user = viewer.user.id.clone();
    app.db.find(move |conn| verifications::pending(conn, &user, CodePurpose::ChangeEmail)).await
}

async fn pending_again(app: &App, viewer: &Viewer, problems: Problems) -> Result<Answer, HttpError> {
    // Anew: the try that was just counted may have been the last.
    let flow = pending(app, viewer).await?.ok_or_else(nothing_pending)?;
    Ok(page::form_again(PendingPage::new(app, viewer, flow, problems)))
}

fn nothing_pending() -> ErrorPage {
    let text =
        t("This change has already been confirmed or cancelled. Your profile shows your current address.");
    ErrorPage::new(StatusCode::GONE, t("There's nothing to confirm"), text)
        .way_on(t("Go to your profile"), PROFILE.path())
}

async fn begin(app: &Data<App>, by: &By, form: &ChangeEmailForm) -> Result<(), FormError> {
    let email = form.parse(by.user().email.as_ref())?;
    require_proof(app, by, &form.proof).await?;
    // This mails strangers: so many for an account, and for a network whose people have many.
    let network = by.client.keys(Limit::ChangeEmail).into_iter().map(|key| key.times(4));
    let account = Limit::ChangeEmail.of(by.user().id.as_str());
    app.limits.take(network.chain([account])).await?.spend();
    let asker = Asker::Network(by.client.neighbourhood());
    let rules = CodeRules::new(&app.config, &app.keys);
    let by = by.clone();
    app.db
        .write(move |conn| {
            let user = &by.still_may(conn)?;
            begin_change(conn, user, &email, &rules, &asker, by.now)?;
            let masked = email.masked();
            let noted =
                events::note(conn, Kind::EmailChangeAsked, Some(&user.id), &by.source(), &masked, by.now);
            noted.map_err(FormError::from)
        })
        .await?;
    app.wakeup.wake();
    Ok(())
}

/// What a code led to.
enum Tried {
    Changed(Box<Session>),
    No(Attempt),
}

async fn confirm(app: &App, by: &By, flow: Verification, form: &CodeForm) -> Result<Session, FormError> {
    let code = Otp::parse(&form.otp).map_err(|message| FormError::at("otp", message))?;
    let keys = app.keys.codes();
    let config = app.config.sessions;
    let by = by.clone();
    let seal = app.keys.outbox;
    let tried = app
        .db
        .write(move |conn| {
            // Nobody changes the address of an account that has just been taken back from them.
            let user = &by.still_may(conn)?;
            let source = by.source();
            let attempt = verifications::attempt(conn, &flow, &code, &keys, by.now)?;
            match attempt {
                Attempt::Right => {
                    if !change(conn, user, &flow.email, &seal, by.now)? {
                        return Err(belongs_to_another());
                    }
                    let old = user.email.as_ref().map(Email::masked).unwrap_or_default();
                    let detail = format!("{old} to {}", flow.email.masked());
                    events::note(conn, Kind::EmailChanged, Some(&user.id), &source, &detail, by.now)?;
                    let session = by.rotate(conn, Rotation::Renewed, config)?;
                    Ok(Tried::Changed(Box::new(session)))
                }
                Attempt::Wrong { .. } => {
                    events::note(conn, Kind::CodeWrong, Some(&user.id), &source, "change-email", by.now)?;
                    Ok(Tried::No(attempt))
                }
                Attempt::NotTried(_) => Ok(Tried::No(attempt)),
            }
        })
        .await?;
    app.wakeup.wake();
    match tried {
        Tried::Changed(session) => Ok(*session),
        Tried::No(attempt) => Err(problem_of(attempt).unwrap_or_else(|| nothing_pending().into())),
    }
}

fn belongs_to_another() -> FormError {
    FormError::at("otp", t("This address can no longer be used. Cancel the change and choose another one."))
}

impl ChangeEmailPage {
    fn new(app: &App, viewer: &Viewer, form: ChangeEmailForm, problems: Problems) -> Self {
        let username = viewer.user.username.clone();
        let asks_code = viewer.asks_code(app.clock.now());
        Self { username, current: viewer.user.email.clone(), asks_code, is_carried: false, form, problems }
    }
}

impl PendingPage {
    fn new(app: &App, viewer: &Viewer, flow: Verification, problems: Problems) -> Self {
        let code = CodeField::of(&flow, app.clock.now());
        let current = viewer.user.email.clone();
        Self { current, email: flow.email, code, problems }
    }
}

impl ChangeEmailForm {
    fn parse(&self, current: Option<&Email>) -> Result<Email, Problems> {
        let mut problems = Problems::default();
        let email = problems.take("email", Email::parse(&self.email));
        if email.is_some() && email.as_ref() == current {
            problems.add("email", t("That's your current email address."));
        }
        if self.proof.current_password.is_empty() {
            problems.add("current_password", t("Enter your current password."));
        }
        email.filter(|_| problems.is_empty()).ok_or(problems)
    }
}
