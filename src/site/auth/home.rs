//! The welcome page, for whoever is not signed in.

use askama::Template;

use crate::paths::HOME;
use crate::paths::account::PROFILE;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::Anyone;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(HOME, show));
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
