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
pub(super) mod two_factor;
mod undo;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use diesel::QueryResult;

use super::auth::confirm::CONFIRMED;
use super::auth::keep_account::KEPT;
use super::auth::refresh::RENEWED;
use super::auth::verification::VERIFIED;
use crate::app::App;
use crate::db::Connection;
use crate::identity::{Email, Id, Phone};
use crate::paths::account::PROFILE;
use crate::records::sessions::{Life, profile_of};
use crate::records::users::{Head, Profile};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::SignedInAs;
use crate::web::view::filters;
use crate::web::viewer::{As, SignedIn};

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

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(PROFILE, show));
    activity::routes(pages);
    applications::routes(pages);
    details::routes(pages);
    download::routes(pages);
    email::routes(pages);
    leave::routes(pages);
    picture::routes(pages);
    password::routes(pages);
    secure::routes(pages);
    sessions::routes(pages);
    two_factor::routes(pages);
}

#[derive(Template)]
#[template(path = "account/overview.html")]
struct OverviewPage {
    me: SignedInAs,
    user: Profile,
    /// The address that waits for its code.
    pending: Option<Email>,
    /// What can be undone.
    undo: Vec<undo::Offer>,
}

/// Who looks at their profile, and all that it shows.
struct ProfileViewer {
    life: Life,
    user: Profile,
    pending: Option<Email>,
}

impl SignedIn for ProfileViewer {
    fn find(conn: &mut Connection, session: &Id) -> QueryResult<Option<Self>> {
        let found = profile_of(conn, session)?;
        Ok(found.map(|(life, user, pending)| Self { life, user, pending }))
    }

    fn life(&self) -> &Life {
        &self.life
    }

    fn head(&self) -> Head<'_> {
        self.user.head()
    }
}

async fn show(app: Data<App>, As(viewer): As<ProfileViewer>, req: HttpRequest) -> Answer {
    let ProfileViewer { user, pending, .. } = viewer;
    let undo = undo::offers(&app, &req, &user.id);
    page::ok(OverviewPage { me: SignedInAs::of(user.head()), user, pending, undo }).showing(NOTICES)
}

impl OverviewPage {
    fn phone(&self) -> String {
        Phone::written(&self.user.phone)
    }
}
