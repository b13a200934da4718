//! Renew the session: a new id, its idle life from the start again; its absolute life stays as it is.

use actix_web::web::Data;
use serde::Deserialize;

use crate::app::App;
use crate::identity::t;
use crate::paths::Next;
use crate::paths::account::PROFILE;
use crate::paths::auth::REFRESH;
use crate::records::sessions::Rotation;
use crate::web::errors::HttpError;
use crate::web::forms::Form;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::viewer::By;

/// On the profile page.
pub const RENEWED: Notice = Notice::new("renewed", t("Your session has been renewed."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::act(REFRESH, PROFILE, refresh));
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefreshForm {
    next: String,
}

async fn refresh(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    Form(form): Form<RefreshForm>,
) -> Result<Answer, HttpError> {
    let config = app.config.sessions;
    let rotated = {
        let by = by.clone();
        app.db.write(move |conn| by.rotate(conn, Rotation::Renewed, config)).await?
    };
    browser.point_to(&rotated, by.now)?;
    Ok(match Next::parse(&form.next).as_str() {
        "" => page::see_other(PROFILE.path()).saying(RENEWED.post()),
        next => page::see_other(next),
    })
}
