//! Take an account back by the link of a mail: "This wasn't me" in an alarm, or the undoing of a change of address.
//!
//! GET only shows; what it ends is told before. The next step is a new password, for whoever follows the link has just proved
//! that the mailbox is theirs.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;

use super::links::{dead_link, open_link};
use crate::accounts::passwords::{LinkRules, queue_link};
use crate::accounts::securing::secure;
use crate::accounts::two_factor::WaitRules;
use crate::app::App;
use crate::identity::{AccountStatus, Email, LinkPurpose, Username, t};
use crate::mail::AccountSecured;
use crate::paths::auth::{RESET, SECURE, SIGN_IN_ANY, UNDO_EMAIL};
use crate::records::events::{self, Kind};
use crate::records::links::{self, LinkState};
use crate::records::users::{self, User};
use crate::site::telling::{Happened, since};
use crate::web::client::Client;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;

/// On the page where a new password is chosen.
pub const EMAIL_RESTORED: Notice = Notice::new(
    "email-restored",
    t(
        "Your old email address has been restored and every device has been signed out. Now choose a new password.",
    ),
);
/// On the page where a new password is chosen.
pub const SECURED: Notice = Notice::new(
    "account-secured",
    t("Every device has been signed out. Now choose a new password that you don't use anywhere else."),
);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(UNDO_EMAIL, show_undo, undo)).service(routes::form(
        SECURE,
        show_secure,
        secure_account,
    ));
}

#[derive(Template)]
#[template(path = "auth/undo_email.html")]
struct UndoPage {
    username: Username,
    email: Email,
}

#[derive(Template)]
#[template(path = "auth/secure_account.html")]
struct SecurePage {
    username: Username,
    /// The address that the account gets back, where it has another one now.
    restored: Option<Email>,
    /// Whether the second step was turned on since, and ends after the wait.
    ends_two_factor: bool,
    /// What was done since the alarm.
    done: Vec<Happened>,
}

async fn show_undo(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::UndoEmail).await?;
    Ok(page::ok(UndoPage { username: user.username, email: link.email }))
}

async fn undo(app: Data<App>, client: Client, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    take_back(&app, &client, &at, LinkPurpose::UndoEmail).await
}

async fn show_secure(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::SecureAccount).await?;
    let (whose, from) = (user.clone(), link.created_at);
    let done = app.db.read(move |conn| since(conn, &whose, from)).await?;
    let is_other = has_moved(&user, &link.email);
    let ends_two_factor = user.two_factor_since.is_some_and(|on| on >= link.created_at);
    let restored = is_other.then_some(link.email);
    Ok(page::ok(SecurePage { username: user.username, restored, ends_two_factor, done }))
}

async fn secure_account(
    app: Data<App>,
    client: Client,
    at: Path<(String, String)>,
) -> Result<Answer, HttpError> {
    take_back(&app, &client, &at, LinkPurpose::SecureAccount).await
}

/// Gives the account back to the mailbox that the link was mailed to, and leads its person to a new password: whoever had the
/// account in hand may know the old one.
///
/// # Errors
/// The page that says why the link does not work.
pub async fn take_back(
    app: &App,
    client: &Client,
    at: &(String, String),
    purpose: LinkPurpose,
) -> Result<Answer, HttpError> {
    let (link, user) = open_link(app, at, purpose).await?;
    let is_blocked = matches!(user.status(), AccountStatus::Blocked(_));
    let kind = match purpose {
        LinkPurpose::UndoEmail => Kind::EmailRestored,
        LinkPurpose::SecureAccount
        | LinkPurpose::KeepAccount
        | LinkPurpose::KeepTwoFactor
        | LinkPurpose::ResetPassword => Kind::AccountSecured,
    };
    let source = client.source();
    let now = app.clock.now();
    let rules = LinkRules { lifetime: app.config.reset_lifetime, seal: app.keys.outbox };
    let recovery = WaitRules::new(&app.config, &app.keys);
    let (is_restored, (reset, token)) = app
        .db
        .write(move |conn| {
            // As it is now: it may have moved on since the link was looked at.
            let Some(user) = users::lock(conn, &user.id)? else {
                return Err(dead_link(LinkState::Revoked, purpose).into());
            };
            if !links::consume(conn, &link.id, now)? {
                return Err(dead_link(LinkState::Used, purpose).into());
            }
            if !secure(conn, &user, &link.email, link.created_at, recovery, now)? {
                return Err(belongs_to_another().into());
            }
            events::note(conn, kind, Some(&user.id), &source, "", now)?;
            if !is_blocked {
                // For whoever closes the page before they have chosen one.
                let name = user.display_name().to_owned();
                let mail = |link| AccountSecured { name, link }.into();
                queue_link(conn, &user.id, &link.email, rules, now, mail)?;
            }
            let purpose = LinkPurpose::ResetPassword;
            let reset = links::issue(conn, &user.id, purpose, &link.email, rules.lifetime, now)?;
            Ok::<_, FormError>((has_moved(&user, &link.email), reset))
        })
        .await?;
    app.wakeup.wake();
    let notice = if is_restored { &EMAIL_RESTORED } else { &SECURED };
    let page = if is_blocked { SIGN_IN_ANY.to_string() } else { RESET.to([reset.as_str(), &token.expose()]) };
    Ok(page::see_other(page).saying(notice.post()))
}

/// Whether an account has another address than that by now.
fn has_moved(user: &User, email: &Email) -> bool {
    user.email.as_ref().is_none_or(|current| !current.is_same_as(email))
}

fn belongs_to_another() -> ErrorPage {
    let text = t("Another account has confirmed it since, so we can't restore it to yours.");
    ErrorPage::new(StatusCode::GONE, t("This email address is now used by another account"), text).with_help()
}
