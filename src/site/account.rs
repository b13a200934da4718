//! One's own account: what is known about oneself, and a page for each thing that can be changed.

mod activity;
pub(super) mod details;
mod email;
mod password;
mod picture;
mod sessions;

use actix_web::web::{Data, ServiceConfig};
use askama::Template;

use super::auth::confirm::CONFIRMED;
use super::auth::refresh::RENEWED;
use super::auth::verification::VERIFIED;
use crate::app::App;
use crate::identity::{CodePurpose, Email, Phone};
use crate::paths::account::PROFILE;
use crate::records::users::User;
use crate::records::verifications;
use crate::web::errors::HttpError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::signed_in::SignedInAs;
use crate::web::view::filters;
use crate::web::viewer::Viewer;

/// What may have happened on the way here.
const NOTICES: &[&Notice] = &[
    &CONFIRMED,
    &RENEWED,
    &VERIFIED,
    &details::SAVED,
    &email::CHANGED,
    &email::CANCELLED,
    &password::CHANGED,
    &picture::SAVED,
    &picture::REMOVED,
];

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(PROFILE, show));
    activity::routes(config);
    details::routes(config);
    email::routes(config);
    picture::routes(config);
    password::routes(config);
    sessions::routes(config);
}

#[derive(Template)]
#[template(path = "account/overview.html")]
struct OverviewPage {
    user: User,
    me: SignedInAs,
    /// The address that waits for its code.
    pending: Option<Email>,
}

async fn show(app: Data<App>, viewer: Viewer) -> Result<Answer, HttpError> {
    let user = viewer.user.id.clone();
    let pending =
        app.db.find(move |conn| verifications::pending(conn, &user, CodePurpose::ChangeEmail)).await?;
    let me = SignedInAs::of(&viewer.user);
    let page = OverviewPage { pending: pending.map(|flow| flow.email), me, user: viewer.user };
    Ok(page::ok(page).showing(NOTICES))
}

impl OverviewPage {
    fn phone(&self) -> String {
        Phone::written(&self.user.phone)
    }
}
