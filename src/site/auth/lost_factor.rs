//! "I lost my second factor": whoever gave the right password waits, every mailbox of the account is told, and then the second step of
//! signing in ends. Whoever reads one of the mails in time can stop it.

use actix_web::web::Data;
use askama::Template;

use super::second_step::{OVER, find, over};
use crate::accounts::two_factor::{self, RecoveryRules};
use crate::app::App;
use crate::identity::{Message, Moment, t, tn};
use crate::paths::auth::LOST_FACTOR;
use crate::records::events::{self, Kind};
use crate::records::two_factor::second_steps;
use crate::records::users;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{SignInRequest, Stranger};

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(LOST_FACTOR, show, submit));
}

#[derive(Template)]
#[template(path = "auth/lost_factor.html")]
struct LostFactorPage {
    /// When the password is enough; none: nobody has asked for that.
    ends_at: Option<Moment>,
    /// What happens, and how long that takes.
    promise: Message,
    button: Message,
}

async fn show(app: Data<App>, _: Stranger, browser: SignInRequest) -> Result<Answer, HttpError> {
    let Some(waiting) = find(&app, &browser).await? else { return Ok(over(&app, &OVER)) };
    let promise = t(
        "We can turn two-step sign-in off, but not at once: someone else might be asking. We'll email you now. After {wait} you can sign in with your password alone and set it up again.",
    );
    let button = t("Turn off two-step sign-in after {wait}");
    Ok(page::ok(LostFactorPage {
        ends_at: waiting.user.two_factor_ends_at,
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

async fn submit(app: Data<App>, _: Stranger, browser: SignInRequest) -> Result<Answer, HttpError> {
    let Some(waiting) = find(&app, &browser).await? else { return Ok(over(&app, &OVER)) };
    let (user, source) = (waiting.user, browser.client.source());
    let rules = RecoveryRules::new(&app.config, &app.keys);
    let now = app.clock.now();
    let is_open = app
        .db
        .write(move |conn| {
            let Some(user) = users::lock_if_unchanged(conn, &user)? else { return Ok(false) };
            let step = second_steps::by_id(conn, &waiting.step.id)?;
            if !step.is_some_and(|(step, user)| step.is_open(&user, now)) {
                return Ok(false);
            }
            let ends_at = two_factor::begin_recovery(conn, &user, rules, now)?;
            if user.two_factor_ends_at != Some(ends_at) {
                events::note(conn, Kind::TwoFactorRecoveryBegun, Some(&user.id), &source, "", now)?;
            }
            Ok::<_, FormError>(true)
        })
        .await?;
    app.wakeup.wake();
    Ok(if is_open { page::see_other(LOST_FACTOR.path()) } else { over(&app, &OVER) })
}
