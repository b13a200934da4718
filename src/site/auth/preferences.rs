//! Choose theme and time zone: kept with the account of whoever is signed in, otherwise in this browser.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db;
use crate::identity::{Theme, Zone, t};
use crate::paths::account::PASSWORD;
use crate::paths::auth::PREFERENCES;
use crate::paths::service::CHANGE_PASSWORD;
use crate::records::users;
use crate::web::carried;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::preferences::Preferences;
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::Anyone;

/// On this page.
const SAVED: Notice = Notice::new("preferences-saved", t("Your changes have been saved."));

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::form(PREFERENCES, show, submit))
        .service(routes::page(CHANGE_PASSWORD, lead_to_password));
}

#[derive(Template)]
#[template(path = "auth/preferences.html")]
struct PreferencesPage {
    form: PreferencesForm,
    zones: Vec<String>,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PreferencesForm {
    theme: String,
    time_zone: String,
}

async fn show(Anyone(viewer): Anyone, req: HttpRequest) -> Answer {
    let carried = viewer.as_ref().and_then(|viewer| carried::take_returned(&req, &viewer.user.id)?.form());
    let form = if let Some(carried) = carried {
        carried
    } else if let Some(viewer) = viewer {
        PreferencesForm { theme: viewer.user.theme, time_zone: viewer.user.time_zone }
    } else {
        let Preferences { theme, zone, .. } = Preferences::read(&req);
        PreferencesForm { theme: theme.as_str().to_owned(), time_zone: zone.name().to_owned() }
    };
    page::ok(PreferencesPage::new(form, Problems::default())).showing(&[&SAVED])
}

async fn submit(
    app: Data<App>,
    Anyone(viewer): Anyone,
    req: HttpRequest,
    Form(form): Form<PreferencesForm>,
) -> Result<Answer, HttpError> {
    let (theme, zone) = match form.parse() {
        Ok(parsed) => parsed,
        Err(problems) => return Ok(page::form_again(PreferencesPage::new(form, problems))),
    };
    let cookie = Preferences { theme, zone: zone.clone(), ..Preferences::read(&req) }.cookie(&app);
    if let Some(viewer) = viewer {
        let user = viewer.user.id;
        app.db
            .write(move |conn| users::set_preferences(conn, &user, theme, &zone).map_err(db::Error::from))
            .await?;
    }
    Ok(page::see_other(PREFERENCES.path()).saying(SAVED.post()).with_cookie(cookie))
}

/// Where password managers go (W3C, A Well-Known URL for Changing Passwords).
async fn lead_to_password() -> Answer {
    page::see_other(PASSWORD.path())
}

impl PreferencesPage {
    fn new(form: PreferencesForm, problems: Problems) -> Self {
        Self { form, zones: Zone::names(), problems }
    }
}

impl PreferencesForm {
    fn parse(&self) -> Result<(Theme, Zone), Problems> {
        let mut problems = Problems::default();
        let theme =
            problems.take("theme", Theme::parse(&self.theme).ok_or_else(|| t("Choose a theme.").into()));
        let zone = Zone::parse(&self.time_zone).ok_or_else(|| t("Choose a time zone from the list.").into());
        let zone = problems.take("time_zone", zone);
        theme.zip(zone).ok_or(problems)
    }
}
