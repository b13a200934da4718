//! The welcome page, for whoever is not signed in.

use actix_web::web::ServiceConfig;
use askama::Template;

use crate::paths::HOME;
use crate::paths::account::PROFILE;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::view::filters;
use crate::web::viewer::Anyone;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(HOME, show));
}

#[derive(Template)]
#[template(path = "auth/home.html")]
struct WelcomePage {}

async fn show(Anyone(viewer): Anyone) -> Answer {
    match viewer {
        Some(_) => page::see_other(PROFILE.path()),
        None => page::ok(WelcomePage {}),
    }
}
