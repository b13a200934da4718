//! Sign out of this browser, at once and for good.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, LOCATION};
use actix_web::web::{Data, ServiceConfig};

use crate::app::App;
use crate::db;
use crate::identity::t;
use crate::paths::HOME;
use crate::paths::auth::{SIGN_IN, SIGN_OUT};
use crate::records::events::{self, Kind};
use crate::records::sessions;
use crate::web::errors::HttpError;
use crate::web::notice::Notice;
use crate::web::page::Answer;
use crate::web::routes;
use crate::web::viewer::{Remaining, SignInRequest};

/// On the sign-in page.
pub const SIGNED_OUT: Notice = Notice::new("signed-out", t("You've signed out."));

/// The Back button must not show what the account's pages held.
const CLEAR_CACHE: (HeaderName, &str) = (HeaderName::from_static("clear-site-data"), "\"cache\"");

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::act(SIGN_OUT, HOME, sign_out));
}

async fn sign_out(
    app: Data<App>,
    Remaining(by): Remaining,
    browser: SignInRequest,
) -> Result<Answer, HttpError> {
    let role = by.user().role;
    app.db
        .write(move |conn| {
            sessions::end(conn, &by.viewer.session.id, by.now)?;
            events::note(conn, Kind::SignedOut, Some(&by.user().id), &by.source(), "", by.now)
                .map_err(db::Error::from)
        })
        .await?;
    browser.cookie_session.purge();
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((LOCATION, SIGN_IN.to([role.as_str()]))).insert_header(CLEAR_CACHE);
    Ok(Answer::from(answer.finish()).saying(SIGNED_OUT.post()))
}
