//! One's own profile: what is known about oneself, and a page for each thing that can be changed.

pub(super) mod details;
mod email_address;
mod password;
mod picture;

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::app::App;
use crate::db;
use crate::identity::Purpose;
use crate::paths::route;
use crate::records::users::User;
use crate::records::verifications;
use crate::web::fault::Fault;
use crate::web::page::{self, Chrome};
use crate::web::viewer::Viewer;
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::PROFILE, show));
    details::routes(config);
    email_address::routes(config);
    picture::routes(config);
    password::routes(config);
}

#[derive(Template)]
#[template(path = "profile/show.html")]
struct ProfilePage {
    chrome: Chrome,
    user: User,
    /// The address that waits for its code.
    pending: Option<String>,
}

async fn show(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let user = viewer.user.id.clone();
    let pending = app
        .db
        .find(move |conn| Ok::<_, db::Error>(verifications::pending(conn, &user, Purpose::ChangeEmail)?))
        .await?;
    let chrome = Chrome::of(Some(&viewer)).with_notice(req.query_string());
    Ok(page::ok(&ProfilePage { chrome, pending: pending.map(|flow| flow.address), user: viewer.user }))
}
