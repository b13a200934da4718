//! Undo a change of email address, by the link that its old address was mailed.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;

use super::links::{dead_link, open_link};
use crate::accounts::email::free_email;
use crate::accounts::passwords;
use crate::app::App;
use crate::identity::{Email, LinkPurpose, Username, t};
use crate::language::filters;
use crate::limits::Limit;
use crate::paths::auth::{FORGOT, UNDO_EMAIL};
use crate::records::events::{self, Kind};
use crate::records::links::{self, LinkState};
use crate::records::{sessions, users};
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
        "Your old email address has been restored and you've been signed out everywhere. Next, request a link to choose a new password.",
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

/// Brings the old address back, ends every session and sends the person to choose a new password: whoever changed the
/// address may know the old one.
async fn undo(app: Data<App>, client: Client, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    app.limits.take(Limit::Recovery, &client.network()).await?;
    let (link, user) = open_link(&app, &at, LinkPurpose::UndoEmail).await?;
    let source = client.source();
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            if !links::consume(conn, &link.id, now)? {
                return Err(dead_link(LinkState::Used, LinkPurpose::UndoEmail).into());
            }
            if !free_email(conn, &link.email, Some(&user.id))? {
                return Err(belongs_to_another().into());
            }
            users::set_email(conn, &user.id, &link.email)?;
            links::revoke_newer(conn, &link, now)?;
            sessions::end_all(conn, &user.id, None, now)?;
            passwords::revoke_pending(conn, &user.id, now)?;
            Ok::<_, FormError>(events::note(conn, Kind::EmailRestored, Some(&user.id), &source, "", now)?)
        })
        .await?;
    Ok(page::see_other(FORGOT.path()).saying(EMAIL_RESTORED.post()))
}

fn belongs_to_another() -> ErrorPage {
    let text = t(
        "Someone else has confirmed this address for their account. Contact the site's administrators if you need help.",
    );
    ErrorPage::new(StatusCode::GONE, t("This address is now used by another account"), text)
}
