//! Undo a change of email address, by the link that its old address was mailed.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;

use super::links::{dead_link, open_link};
use crate::accounts::email::restore;
use crate::app::App;
use crate::identity::{Email, LinkPurpose, Username, t};
use crate::language::filters;
use crate::paths::auth::{FORGOT, UNDO_EMAIL};
use crate::records::events::{self, Kind};
use crate::records::links::{self, LinkState};
use crate::records::users;
use crate::web::client::Client;
use crate::web::errors::{ErrorPage, HttpError};
use crate::web::forms::FormError;
use crate::web::layout::Layout;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes;

/// On the page where a password link is requested.
pub const EMAIL_RESTORED: Notice = Notice::new(
    "email-restored",
    t(
        "Your old email address has been restored, you've been signed out everywhere, and your old password no longer works. Next, request a link to choose a new one.",
    ),
);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(UNDO_EMAIL, show, undo));
}

#[derive(Template)]
#[template(path = "auth/undo_email.html")]
struct UndoPage {
    layout: Layout,
    username: Username,
    email: Email,
}

async fn show(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::UndoEmail).await?;
    Ok(page::ok(UndoPage { layout: Layout::plain(), username: user.username, email: link.email }))
}

/// Brings the old address back, and sends the person to choose a new password: whoever changed the address may know the old one,
/// which therefore no longer works.
async fn undo(app: Data<App>, client: Client, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::UndoEmail).await?;
    let source = client.source();
    let now = app.clock.now();
    app.db
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
            Ok::<_, FormError>(events::note(conn, Kind::EmailRestored, Some(&user.id), &source, "", now)?)
        })
        .await?;
    app.wakeup.wake();
    Ok(page::see_other(FORGOT.path()).saying(EMAIL_RESTORED.post()))
}

fn belongs_to_another() -> ErrorPage {
    let text = t(
        "Someone else has confirmed this address for their account. Contact the site's administrators if you need help.",
    );
    ErrorPage::new(StatusCode::GONE, t("This address is now used by another account"), text)
}
