//! Undo a change of email address, by the link that its old address was mailed.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;

use super::links::{dead_link, open_link};
use crate::accounts::email::restore;
use crate::app::App;
use crate::identity::{AccountStatus, Email, LinkPurpose, Username, t};
use crate::paths::auth::{RESET, SIGN_IN_ANY, UNDO_EMAIL};
use crate::records::events::{self, Kind};
use crate::records::links::{self, LinkState};
use crate::records::users;
use crate::web::client::Client;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::view::filters;

/// On the page where a new password is chosen.
pub const EMAIL_RESTORED: Notice = Notice::new(
    "email-restored",
    t(
        "Your old email address has been restored and every device has been signed out. Now choose a new password.",
    ),
);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(UNDO_EMAIL, show, undo));
}

#[derive(Template)]
#[template(path = "auth/undo_email.html")]
struct UndoPage {
    username: Username,
    email: Email,
}

async fn show(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::UndoEmail).await?;
    Ok(page::ok(UndoPage { username: user.username, email: link.email }))
}

/// Brings the old address back, and sends the person to choose a new password: whoever changed the address may know the old one,
/// which therefore no longer works.
async fn undo(app: Data<App>, client: Client, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::UndoEmail).await?;
    let is_blocked = user.status() != AccountStatus::Active;
    let source = client.source();
    let now = app.clock.now();
    let lifetime = app.config.reset_lifetime;
    let (reset, token) = app
        .db
        .write(move |conn| {
            if !links::consume(conn, &link.id, now)? {
                return Err(dead_link(LinkState::Used, LinkPurpose::UndoEmail).into());
            }
            // As it is now: it may have moved on since the link was looked at.
            let Some(user) = users::lock(conn, &user.id)? else {
                return Err(dead_link(LinkState::Revoked, LinkPurpose::UndoEmail).into());
            };
            if !restore(conn, &user, &link, now)? {
                return Err(belongs_to_another().into());
            }
            events::note(conn, Kind::EmailRestored, Some(&user.id), &source, "", now)?;
            // Whoever follows the link has just proved that the mailbox is theirs.
            let purpose = LinkPurpose::ResetPassword;
            Ok::<_, FormError>(links::issue(conn, &user.id, purpose, &link.email, lifetime, now)?)
        })
        .await?;
    app.wakeup.wake();
    let page = if is_blocked { SIGN_IN_ANY.to_string() } else { RESET.to([reset.as_str(), &token.expose()]) };
    Ok(page::see_other(page).saying(EMAIL_RESTORED.post()))
}

fn belongs_to_another() -> ErrorPage {
    let text = t("Another account has confirmed it since, so we can't restore it to yours.");
    ErrorPage::new(StatusCode::GONE, t("This email address is now used by another account"), text).with_help()
}
