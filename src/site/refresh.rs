//! Renew the session: a new id, its idle life from the start again; its absolute life stays as it is.

use actix_web::HttpResponse;
use actix_web::web::ServiceConfig;
use serde::Deserialize;

use crate::paths::{self, Next, route};
use crate::web::fault::Fault;
use crate::web::forms::Form;
use crate::web::viewer::{Browser, Viewer};
use crate::web::{page, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::act(route::REFRESH, refresh));
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefreshForm {
    next: String,
}

async fn refresh(
    viewer: Viewer,
    browser: Browser,
    Form(form): Form<RefreshForm>,
) -> Result<HttpResponse, Fault> {
    viewer.rotate(&browser.req, &browser.session, false).await?;
    let usual = paths::with_notice(route::PROFILE, "refreshed");
    Ok(page::see_other(&Next::parse(&form.next).or(&usual)))
}
