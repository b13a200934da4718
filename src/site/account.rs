//! One's own account: what is known about oneself, and a page for each thing that can be changed.

mod activity;
mod applications;
pub(super) mod details;
pub(super) mod download;
mod email;
pub(super) mod leave;
mod password;
mod picture;
pub(super) mod secure;
mod sessions;
mod undo;

use actix_web::HttpRequest;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;

use super::auth::confirm::CONFIRMED;
use super::auth::keep_account::KEPT;
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
    &undo::UNDONE,
    &undo::TOO_LATE,
    &undo::NAME_GONE,
    &KEPT,
];

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(PROFILE, show));
    activity::routes(config);
    applications::routes(config);
    details::routes(config);
    download::routes(config);
    email::routes(config);
    leave::routes(config);
    picture::routes(config);
    password::routes(config);
    secure::routes(config);
    sessions::routes(config);
}

#[derive(Template)]
#[template(path = "account/overview.html")]
struct OverviewPage {
    user: User,
    me: SignedInAs,
    /// The address that waits for its code.
    pending: Option<Email>,
    /// What can be undone.
    undo: Vec<undo::Offer>,
}

async fn show(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<Answer, HttpError> {
    let undo = undo::offers(&app, &req, &viewer.user);
    let user = viewer.user.id.clone();
    let pending =
        app.db.find(move |conn| verifications::pending(conn, &user, CodePurpose::ChangeEmail)).await?;
    let me = SignedInAs::of(&viewer.user);
    let pending = pending.map(|flow| flow.email);
    let page = OverviewPage { pending, undo, me, user: viewer.user };
    Ok(page::ok(page).showing(NOTICES))
}

impl OverviewPage {
    fn phone(&self) -> String {
        Phone::written(&self.user.phone)
    }
}
