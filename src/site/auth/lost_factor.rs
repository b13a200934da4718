//! "I lost my second factor": whoever gave the right password waits, every mailbox of the account is told, and then the second step of
//! signing in ends. Whoever reads one of the mails in time can stop it.

use actix_web::web::Data;
use askama::Template;

use super::second_step::{Found, OVER, find, over};
use crate::accounts::two_factor::{self, WaitRules};
use crate::app::App;
use crate::identity::{Id, Message, Moment, t, tn};
use crate::mail::WhyEnding;
use crate::paths::account::TWO_FACTOR;
use crate::paths::auth::{CONFIRM, LOST_FACTOR, SECOND_STEP, SIGN_IN};
use crate::records::two_factor::second_steps::{self, FirstStep};
use crate::records::users::{self, User};
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::Remaining;

/// On the sign-in page.
pub const PASSWORD_FIRST: Notice = Notice::new(
    "password-first",
    t(
        "Sign in with your password first. Where we then ask for a code, choose “Can't get a code?” or “Can't use your passkey or app?”.",
    ),
);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(LOST_FACTOR, show, submit));
}

#[derive(Template)]
#[template(path = "auth/lost_factor.html")]
struct LostFactorPage {
    /// When the password is enough; none: nobody has asked for that.
    ends_at: Option<Moment>,
    code_page: &'static str,
    /// What happens, and how long that takes.
    promise: Message,
    button: Message,
}

/// Whoever has lost it: at the second step of signing in, or signed in on a device that needs no code.
struct Lost {
    user: User,
    /// What the password was given for; none: a session.
    step: Option<Id>,
    /// Where a code is entered.
    code_page: &'static str,
}

async fn find_lost(
    app: &App,
    browser: &SignInRequest,
    signed_in: Result<Remaining, HttpError>,
) -> Result<Result<Lost, Answer>, HttpError> {
    if let Ok(Remaining(by)) = signed_in {
        let lost = Lost { user: by.viewer.user, step: None, code_page: CONFIRM.path() };
        return Ok(if lost.user.has_two_factor() {
            Ok(lost)
        } else {
            Err(page::see_other(TWO_FACTOR.path()))
        });
    }
    Ok(match find(app, browser).await? {
        // A mailbox is not the password, and waits for nothing.
        Found::Waiting(waiting) if waiting.step.first_step == FirstStep::EmailedCode => {
            let sign_in_page = SIGN_IN.to([waiting.user.role.as_str()]);
            Err(page::see_other(sign_in_page).saying(PASSWORD_FIRST.post()))
        }
        Found::Waiting(waiting) => {
            Ok(Lost { user: waiting.user, step: Some(waiting.step.id), code_page: SECOND_STEP.path() })
        }
        Found::Over(step) => Err(over(app, &OVER, step.as_deref())),
    })
}

async fn show(
    app: Data<App>,
    signed_in: Result<Remaining, HttpError>,
    browser: SignInRequest,
) -> Result<Answer, HttpError> {
    let lost = match find_lost(&app, &browser, signed_in).await? {
        Ok(lost) => lost,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let promise = t(
        "We can turn off two-step sign-in, but you'll have to wait {wait}, in case it's someone else asking. We'll email you now. After {wait}, sign in with just your password and set it up again.",
    );
    let button = t("Turn it off in {wait}");
    Ok(page::ok(LostFactorPage {
        ends_at: lost.user.two_factor_recovery(app.clock.now()),
        code_page: lost.code_page,
        promise: promise.with("wait", wait(&app)),
        button: button.with("wait", wait(&app)),
    }))
}

fn wait(app: &App) -> Message {
    let hours = usize::try_from(app.config.two_factor.recovery_wait.as_secs() / 3600).unwrap_or(usize::MAX);
    // Nobody counts a single day in days.
    match (hours / 24, hours % 24) {
        (days @ 2.., 0) => tn("1 day", "{count} days", days),
        _ => tn("1 hour", "{count} hours", hours),
    }
}

async fn submit(
    app: Data<App>,
    signed_in: Result<Remaining, HttpError>,
    browser: SignInRequest,
) -> Result<Answer, HttpError> {
    let Lost { user, step, .. } = match find_lost(&app, &browser, signed_in).await? {
        Ok(lost) => lost,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let source = browser.client.source();
    let rules = WaitRules::new(&app.config, &app.keys);
    let now = app.clock.now();
    let is_open = app
        .db
        .write(move |conn| {
            let Some(user) = users::lock_if_unchanged(conn, &user)? else { return Ok(false) };
            if let Some(step) = &step {
                let step = second_steps::by_id(conn, step)?;
                if !step.is_some_and(|(step, user)| step.is_open(&user, now)) {
                    return Ok(false);
                }
            }
            two_factor::begin_recovery(conn, &user, WhyEnding::Lost, rules, &source, now)?;
            Ok::<_, FormError>(true)
        })
        .await?;
    app.wakeup.wake();
    Ok(if is_open { page::see_other(LOST_FACTOR.path()) } else { over(&app, &OVER, None) })
}
