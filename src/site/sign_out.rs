//! Sign out of this browser, at once and for good.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderName;
use actix_web::web::{Data, ServiceConfig};

use crate::app::App;
use crate::db;
use crate::paths::{self, route};
use crate::records::events::{self, Kind};
use crate::records::sign_ins;
use crate::web::fault::Fault;
use crate::web::viewer::{Browser, Viewer};
use crate::web::{page, routes};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::act(route::SIGN_OUT, sign_out));
}

async fn sign_out(app: Data<App>, viewer: Viewer, browser: Browser) -> Result<HttpResponse, Fault> {
    let (sign_in, user, now) = (viewer.sign_in.id, viewer.user.id, app.clock.now());
    let origin = browser.client.origin();
    app.db
        .write(move |conn| {
            sign_ins::end(conn, &sign_in, now)?;
            Ok::<_, db::Error>(events::note(conn, Kind::SignedOut, Some(&user), &origin, "", now)?)
        })
        .await?;
    browser.session.purge();
    let mut on = page::see_other(&paths::with_notice(&paths::sign_in(viewer.user.role), "signed-out"));
    // The Back button must not show what the account's pages held.
    on.headers_mut().insert(CLEAR_SITE_DATA, actix_web::http::header::HeaderValue::from_static("\"cache\""));
    Ok(on)
}
