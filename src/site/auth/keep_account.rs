//! Keep an account that is about to be deleted, by the link of the farewell mail; or take it back, when somebody else asked for
//! that.

use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use super::links::{dead_link, open_link};
use super::secure_account::take_back;
use crate::accounts::leaving;
use crate::app::App;
use crate::identity::{LinkPurpose, Moment, Role, Username, t};
use crate::paths::auth::{KEEP, SIGN_IN};
use crate::records::events::{self, Kind};
use crate::records::links::{self, LinkState};
use crate::records::users;
use crate::web::client::Client;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;

/// On the sign-in page, and on the profile.
pub const KEPT: Notice = Notice::new("account-kept", t("Your account won't be deleted."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(KEEP, show, submit));
}

#[derive(Template)]
#[template(path = "auth/keep_account.html")]
struct KeepPage {
    username: Username,
    /// None when somebody has kept it already.
    leaves_at: Option<Moment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeepForm {
    /// On, when somebody else asked for the deletion.
    not_me: String,
}

async fn show(app: Data<App>, at: Path<(String, String)>) -> Result<Answer, HttpError> {
    let (_, user) = open_link(&app, &at, LinkPurpose::KeepAccount).await?;
    Ok(page::ok(KeepPage { username: user.username, leaves_at: user.leaves_at }))
}

async fn submit(
    app: Data<App>,
    client: Client,
    at: Path<(String, String)>,
    Form(form): Form<KeepForm>,
) -> Result<Answer, HttpError> {
    if !form.not_me.is_empty() {
        return take_back(&app, &client, &at, LinkPurpose::KeepAccount).await;
    }
    let role = keep(&app, &client, &at).await?;
    Ok(page::see_other(SIGN_IN.to([role.as_str()])).saying(KEPT.post()))
}

async fn keep(app: &App, client: &Client, at: &(String, String)) -> Result<Role, HttpError> {
    let (link, user) = open_link(app, at, LinkPurpose::KeepAccount).await?;
    let role = user.role;
    let source = client.source();
    let now = app.clock.now();
    app.db
        .write(move |conn| {
            let dead = |state| FormError::from(dead_link(state, LinkPurpose::KeepAccount));
            let Some(user) = users::lock(conn, &user.id)? else { return Err(dead(LinkState::Revoked)) };
            if !links::consume(conn, &link.id, now)? || !leaving::keep(conn, &user, now)? {
                return Err(dead(LinkState::Used));
            }
            Ok(events::note(conn, Kind::DeletionCancelled, Some(&user.id), &source, "", now)?)
        })
        .await?;
    app.wakeup.wake();
    Ok(role)
}
