//! For staff and superusers: how many people there are, by role and by standing.

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;

use crate::app::App;
use crate::db;
use crate::identity::Role;
use crate::paths::route;
use crate::records::users::{self, Census};
use crate::web::fault::Fault;
use crate::web::page::{self, Chrome};
use crate::web::viewer::Staff;
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::ADMIN, overview));
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    chrome: Chrome,
    name: String,
    role: Role,
    census: Census,
}

async fn overview(app: Data<App>, Staff(viewer): Staff) -> Result<HttpResponse, Fault> {
    let census = app.db.read(|conn| Ok::<_, db::Error>(users::census(conn)?)).await?;
    let (name, role) = (viewer.user.display_name().to_owned(), viewer.user.role);
    Ok(page::ok(&OverviewPage { chrome: Chrome::of(Some(&viewer)), name, role, census }))
}
