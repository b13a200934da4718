//! Keep the second step of signing in, by the link of the mail that says that somebody wants it to end.

use actix_web::web::{Data, Path};
use askama::Template;

use super::links::{dead_link, open_link};
use crate::accounts::two_factor;
use crate::app::App;
use crate::identity::{LinkPurpose, Moment, Username, t};
use crate::paths::auth::{FORGOT, KEEP_TWO_FACTOR};
use crate::records::events::{self, Kind};
use crate::records::links::{self, LinkState};
use crate::records::users;
use crate::web::client::Client;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;

/// On the page where a new password is requested.
pub const KEPT: Notice = Notice::new(
    "two-factor-kept",
    t("Two-step sign-in stays on. Someone else knows your password, so choose a new one now."),
);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(KEEP_TWO_FACTOR, show, submit));
}

#[derive(Template)]
#[template(path = "auth/keep_two_factor.html")]
struct KeepTwoFactorPage {
    username: Username,
    ends_at: Option<Moment>,
}

async fn show(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (_, user) = open_link(&app, &at, LinkPurpose::KeepTwoFactor).await?;
    Ok(page::ok(KeepTwoFactorPage { username: user.username, ends_at: user.two_factor_ends_at }))
}

async fn submit(app: Data<App>, client: Client, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (link, user) = open_link(&app, &at, LinkPurpose::KeepTwoFactor).await?;
    let source = client.source();
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            let dead = |state| FormError::from(dead_link(state, LinkPurpose::KeepTwoFactor));
            let Some(user) = users::lock(conn, &user.id)? else { return Err(dead(LinkState::Revoked)) };
            if !links::consume(conn, &link.id, now)? || !two_factor::stop_recovery(conn, &user, now)? {
                return Err(dead(LinkState::Used));
            }
            Ok(events::note(conn, Kind::TwoFactorRecoveryStopped, Some(&user.id), &source, "", now)?)
        })
        .await?;
    Ok(page::see_other(FORGOT.path()).saying(KEPT.post()))
}
