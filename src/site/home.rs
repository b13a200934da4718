//! The welcome page, for whoever is not signed in.

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::paths::route;
use crate::web::page::{self, Chrome};
use crate::web::viewer::Anyone;
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::HOME, show));
}

#[derive(Template)]
#[template(path = "home.html")]
struct WelcomePage {
    chrome: Chrome,
}

async fn show(Anyone(viewer): Anyone, req: HttpRequest) -> HttpResponse {
    match viewer {
        Some(_) => page::see_other(route::PROFILE),
        None => page::ok(&WelcomePage { chrome: Chrome::plain().with_notice(req.query_string()) }),
    }
}
