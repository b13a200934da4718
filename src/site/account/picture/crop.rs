//! Choose which part of the picture that was just uploaded is kept: nine places, three distances, seen at once.
//!
//! The middle is kept already; whoever is content just goes on. What is cropped from is kept for an hour, named in a sealed
//! cookie, and shown to its person alone.

use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::{SAVED, explained, image, keep};
use crate::app::App;
use crate::identity::t;
use crate::paths::account::{CHANGE_PICTURE, CROP, CROP_SOURCE, PROFILE};
use crate::pictures::{Crop, Kept, Zoom};
use crate::records::users::User;
use crate::web::cookies;
use crate::web::errors::{HttpError, Redirect};
use crate::web::forms::{Form, FormError};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer};

/// As long as housekeeping leaves what is cropped from.
const LIFETIME: Duration = Duration::from_secs(3600);

/// On the page where a picture is chosen.
pub const TOO_LATE: Notice =
    Notice::new("crop-too-late", t("That took too long. Choose the picture again to crop it."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(CROP, show, submit)).service(routes::page(CROP_SOURCE, serve));
}

#[derive(Template)]
#[template(path = "account/crop.html")]
struct CropPage;

#[derive(Default, Deserialize)]
#[serde(default)]
struct CropForm {
    /// 0 to 8, row by row.
    place: String,
    /// 0 to 2, from the whole to the nearest.
    zoom: String,
}

/// Names what is cropped from, for its person's browser alone.
pub(super) fn seal(app: &App, user: &User, source: &str) -> Cookie<'static> {
    let sealed = app.keys.carried.seal(&format!("crop {} {source}", user.id.as_str()));
    let mut cookie = cookies::build(&app.config, cookies::CROP, sealed);
    cookies::keep_for(&mut cookie, LIFETIME);
    cookie
}

/// Finds the name of what is cropped from, in the browser of its person.
fn named(app: &App, req: &HttpRequest, user: &User) -> Option<String> {
    let cookie = cookies::get(req, &app.config, cookies::CROP)?;
    let text = app.keys.open_carried(cookie.value())?;
    let (owner, name) = text.strip_prefix("crop ")?.split_once(' ')?;
    (owner == user.id.as_str()).then(|| name.to_owned())
}

/// Reads what is cropped from.
async fn source(app: &App, req: &HttpRequest, user: &User) -> Result<Vec<u8>, HttpError> {
    let gone = || Redirect::Elsewhere(CHANGE_PICTURE.to_string());
    let name = named(app, req, user).ok_or_else(gone)?;
    let found = app
        .pictures
        .read(Kept::Source, &name)
        .await
        .map_err(|error| HttpError::Unavailable(error.to_string()))?;
    Ok(found.ok_or_else(gone)?)
}

/// Removes what was cropped from before: it is not needed any more.
pub(super) async fn forget(app: &App, req: &HttpRequest, user: &User) {
    if let Some(name) = named(app, req, user) {
        app.pictures.remove(Kept::Source, &name).await;
        cookies::forget_later(req, cookies::CROP);
    }
}

async fn show(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<Answer, HttpError> {
    source(&app, &req, &viewer.user).await?;
    Ok(page::ok(CropPage).showing(&[&SAVED]))
}

async fn serve(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<HttpResponse, HttpError> {
    // Its address stays when another picture is sent.
    Ok(image(source(&app, &req, &viewer.user).await?, "no-store"))
}

async fn submit(
    app: Data<App>,
    by: By,
    req: HttpRequest,
    Form(form): Form<CropForm>,
) -> Result<Answer, HttpError> {
    let crop = form.parse().ok_or(HttpError::BadRequest)?;
    let source = match source(&app, &req, by.user()).await {
        Err(HttpError::Redirect(_)) => {
            return Ok(page::see_other(CHANGE_PICTURE.path()).saying(TOO_LATE.post()));
        }
        source => source?,
    };
    let drawn = app.pictures.crop(source, crop).await.map_err(|error| explained(&error));
    let kept = match drawn {
        Ok(jpeg) => keep(&app, &by, jpeg).await,
        Err(error) => Err(error),
    };
    kept.map_err(FormError::problems).map_err(|problems| problems.err().unwrap_or(HttpError::BadRequest))?;
    forget(&app, &req, by.user()).await;
    Ok(page::see_other(PROFILE.path()).saying(SAVED.post()))
}

impl CropForm {
    fn parse(&self) -> Option<Crop> {
        let place: u8 = if self.place.is_empty() { 4 } else { self.place.parse().ok()? };
        let zoom = match self.zoom.as_str() {
            "" | "0" => Zoom::Whole,
            "1" => Zoom::Near,
            "2" => Zoom::Nearer,
            _ => return None,
        };
        (place < 9).then_some(Crop { column: place % 3, row: place / 3, zoom })
    }
}
