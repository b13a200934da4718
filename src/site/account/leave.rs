//! Leave this site: told before, typed, and then days of grace in which a sign-in, or a link by mail, keeps the account.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::picture;
use crate::accounts::leaving::{self, LeaveRules, Removed, Wish};
use crate::app::App;
use crate::config::Privacy;
use crate::identity::{AccountStatus, Message, Moment, Role, Username, t, tn};
use crate::paths::account::{LEAVE, PROFILE, STAY};
use crate::paths::auth::SIGN_IN;
use crate::pictures::Kept;
use crate::records::events::{self, Kind, NewEvent};
use crate::records::users;
use crate::site::auth::keep_account::KEPT;
use crate::site::auth::passkey_check::require_instead_of_code;
use crate::site::auth::password_check::{ProofForm, require_proof};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Remaining};

/// On the sign-in page.
pub const LEAVES: Notice = Notice::counted(
    "leaves",
    "You've been signed out, and your account will be deleted in 1 day. Changed your mind? Sign in before then and choose “Keep my account”, or use the link in our email.",
    "You've been signed out, and your account will be deleted in {count} days. Changed your mind? Sign in before then and choose “Keep my account”, or use the link in our email.",
);
/// On the sign-in page.
pub const LEFT: Notice = Notice::new("left", t("Your account has been deleted."));

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(LEAVE, show, submit)).service(routes::act(STAY, LEAVE, stay));
}

#[derive(Template)]
#[template(path = "account/leave.html")]
struct LeavePage {
    username: Username,
    /// For how long the account waits; none for not at all.
    grace: Option<Message>,
    /// For how many days the audit log keeps whose its events were; none for not at all.
    events_kept_days: Option<u64>,
    /// Whether a code is asked for, too.
    asks_code: bool,
    form: LeaveForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "account/leaving.html")]
struct LeavingPage {
    leaves_at: Moment,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LeaveForm {
    username: String,
    #[serde(flatten)]
    proof: ProofForm,
}

async fn show(app: Data<App>, Remaining(by): Remaining) -> Result<Answer, HttpError> {
    if let Some(leaves_at) = by.user().leaves_at {
        return Ok(page::ok(LeavingPage { leaves_at }));
    }
    require_instead_of_code(&app, &by.viewer, LEAVE.path()).await?;
    Ok(page::ok(LeavePage::new(&app, &by, LeaveForm::default(), Problems::default()).await?))
}

async fn submit(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    req: HttpRequest,
    Form(form): Form<LeaveForm>,
) -> Result<Answer, HttpError> {
    let notice = match leave(&app, &by, &form).await {
        Ok(Left::WillBeGone(at)) => LEAVES.of(days(at.since(by.now))),
        Ok(Left::Gone(removed)) => {
            picture::forget_source(&app, &req, by.user()).await;
            if let Some(picture) = removed.picture {
                app.pictures.remove(Kept::Picture, &picture).await;
            }
            LEFT.post()
        }
        Err(error) => {
            let problems = error.problems()?;
            return Ok(page::form_again(LeavePage::new(&app, &by, form, problems).await?));
        }
    };
    app.wakeup.wake();
    browser.cookie_session.purge();
    Ok(page::see_other(SIGN_IN.to([by.user().role.as_str()])).saying(notice))
}

/// What became of an account whose person leaves.
enum Left {
    /// It is deleted then, unless it is kept.
    WillBeGone(Moment),
    Gone(Removed),
}

async fn leave(app: &Data<App>, by: &By, form: &LeaveForm) -> Result<Left, FormError> {
    form.check(&by.user().username)?;
    require_proof(app, by, &form.proof).await?;
    let rules = LeaveRules::new(&app.config, &app.keys);
    let by = by.clone();
    app.db
        .write(move |conn| {
            let id = &by.user().id;
            // Before anything else is locked, as everywhere.
            if by.user().role == Role::Superuser && users::lock_superusers_and_count_others(conn, id)? == 0 {
                let message =
                    t("You're the last superuser who can sign in. Make someone else a superuser first.");
                return Err(FormError::at("username", message));
            }
            let user = by.still_may(conn)?;
            let Some(at) = leaving::leaves_at(conn, &user, rules, by.now)? else {
                return Ok(Left::Gone(leaving::leave_at_once(conn, &user, rules.removal, by.now)?));
            };
            leaving::begin(conn, &user, at, Wish::OfItsPerson, rules, by.now)?;
            let event = NewEvent {
                kind: Kind::DeletionAsked,
                user: Some(id),
                actor: None,
                source: &by.source(),
                detail: "",
                was: AccountStatus::Active.as_str(),
                became: AccountStatus::Leaving.as_str(),
            };
            events::insert(conn, &event, by.now)?;
            Ok(Left::WillBeGone(at))
        })
        .await
}

async fn stay(app: Data<App>, Remaining(by): Remaining) -> Result<Answer, HttpError> {
    let is_kept = app
        .db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            if !leaving::keep(conn, &user, by.now)? {
                return Ok(false);
            }
            events::note(conn, Kind::DeletionCancelled, Some(&user.id), &by.source(), "", by.now)?;
            Ok::<_, FormError>(true)
        })
        .await?;
    app.wakeup.wake();
    let answer = page::see_other(PROFILE.path());
    Ok(if is_kept { answer.saying(KEPT.post()) } else { answer })
}

/// Begun days count.
fn days(span: Duration) -> usize {
    usize::try_from(span.as_secs().div_ceil(DAY.as_secs())).unwrap_or(usize::MAX)
}

impl LeavePage {
    async fn new(app: &App, by: &By, form: LeaveForm, problems: Problems) -> Result<Self, HttpError> {
        let rules = LeaveRules::new(&app.config, &app.keys);
        let (user, now) = (by.user().clone(), by.now);
        let at = app.db.read(move |conn| leaving::leaves_at(conn, &user, rules, now)).await?;
        let grace = at.map(|at| tn("1 day", "{count} days", days(at.since(now))));
        let is_strict = app.config.lifecycle.privacy == Privacy::Strict;
        let events_kept_days = (!is_strict).then(|| app.config.events_kept.as_secs() / DAY.as_secs());
        Ok(Self {
            username: by.user().username.clone(),
            grace,
            events_kept_days,
            asks_code: by.viewer.asks_code(by.now),
            form,
            problems,
        })
    }

    fn hint(&self) -> Message {
        t("Your username is {name}.").with("name", self.username.as_str())
    }
}

impl LeaveForm {
    fn check(&self, username: &Username) -> Result<(), Problems> {
        let mut problems = Problems::default();
        if !self.username.trim().eq_ignore_ascii_case(username.as_str()) {
            let message = t("The username doesn't match. Enter {name} to confirm.");
            problems.add("username", message.with("name", username.as_str()));
        }
        if self.proof.current_password.is_empty() {
            problems.add("current_password", t("Enter your current password."));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
