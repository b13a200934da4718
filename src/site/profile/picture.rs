//! Change or remove one's picture, and look at one.
//!
//! An upload has 2 MB at most, refused by its declared length before it is read. What is kept is drawn anew
//! (see [`crate::records::pictures`]). A picture is shown to its person and to staff; to others there is none.

use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::TryStreamExt;

use crate::app::App;
use crate::db;
use crate::paths::{self, route};
use crate::records::events::{self, Kind};
use crate::records::pictures::{self, MAX_BYTES, Unfit};
use crate::records::users;
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::Problems;
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::viewer::Viewer;
use crate::web::{filters, routes};

/// Room for the multipart form around the file.
const ENVELOPE: usize = 64 * 1024;
const MAX_PARTS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::form(route::CHANGE_PICTURE, show, submit))
        .service(routes::page(route::PICTURE, serve));
}

#[derive(Template)]
#[template(path = "profile/picture.html")]
struct PicturePage {
    chrome: Chrome,
    problems: Problems,
}

/// What the form asks for.
#[derive(Default)]
struct PictureForm {
    upload: Vec<u8>,
    too_large: bool,
    remove: bool,
}

async fn show(viewer: Viewer) -> HttpResponse {
    page::ok(&PicturePage { chrome: Chrome::of(Some(&viewer)), problems: Problems::default() })
}

async fn submit(
    app: Data<App>,
    viewer: Viewer,
    client: Client,
    req: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Fault> {
    // Only now: not a byte is read for anybody who is not signed in.
    let form =
        tokio::time::timeout(DEADLINE, PictureForm::read(&req, body)).await.unwrap_or(Err(Fault::Timeout))?;
    let notice = if form.remove { "picture-removed" } else { "picture-saved" };
    match change(&app, &viewer, &client, form).await {
        Ok(()) => Ok(page::see_other(&paths::with_notice(route::PROFILE, notice))),
        Err(refusal) => {
            let problems = refusal.problems()?;
            Ok(page::refused(&PicturePage { chrome: Chrome::of(Some(&viewer)), problems }))
        }
    }
}

async fn change(app: &App, viewer: &Viewer, client: &Client, form: PictureForm) -> Result<(), Refusal> {
    let new = if form.remove { None } else { Some(form.drawn(app, viewer).await?) };
    let new = match new {
        Some(jpeg) => {
            let kept = app.pictures.keep(jpeg).await;
            Some(kept.map_err(|error| Fault::Unavailable(format!("a picture cannot be kept: {error}")))?)
        }
        None => None,
    };
    let (viewer, user, picture) = (viewer.clone(), viewer.user.id.clone(), new.clone());
    let (origin, now) = (client.origin(), app.clock.now());
    let changed = app
        .db
        .write(move |conn| {
            // Drawing takes its time: whoever was blocked meanwhile changes nothing more.
            viewer.still_may(conn, now)?;
            let detail = if picture.is_some() { "changed" } else { "removed" };
            events::note(conn, Kind::PictureChanged, Some(&user), &origin, detail, now)?;
            Ok::<_, Refusal>(users::set_picture(conn, &user, picture.as_deref())?)
        })
        .await;
    let unwanted = match &changed {
        Ok(old) => old.clone(),
        // It may have been written after all: housekeeping looks later.
        Err(Refusal::Database(db::Error::Unavailable(_) | db::Error::Lost(_))) => None,
        Err(_) => new,
    };
    if let Some(name) = unwanted {
        app.pictures.remove(&name).await;
    }
    changed.map(drop)
}

impl PictureForm {
    async fn drawn(self, app: &App, viewer: &Viewer) -> Result<Vec<u8>, Refusal> {
        let problem = |message: &'static str| Refusal::at("profile_picture", message);
        if self.too_large {
            return Err(problem("This file is larger than 2 MB. Choose a smaller one."));
        }
        if self.upload.is_empty() {
            return Err(problem("Choose a picture first."));
        }
        app.limits.take(Limit::Picture, viewer.user.id.as_str()).await?;
        app.pictures.draw(self.upload).await.map_err(|unfit| match unfit {
            Unfit::Format => {
                problem("This is no picture that we can use. Choose a PNG, JPEG, WebP or GIF file.")
            }
            Unfit::Dimensions => problem("This picture has too many pixels: 4096 × 4096 are the limit."),
            Unfit::Broken => problem("This picture is damaged and cannot be opened. Try another one."),
        })
    }

    async fn read(req: &HttpRequest, body: Payload) -> Result<Self, Fault> {
        let declared =
            req.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > MAX_BYTES + ENVELOPE) {
            return Err(Fault::TooLarge);
        }
        let mut form = Self::default();
        let mut parts = Multipart::new(req.headers(), body);
        let (mut seen, mut left) = (0, MAX_BYTES + ENVELOPE);
        while let Some(mut part) = parts.try_next().await.map_err(|_| Fault::BadRequest)? {
            seen += 1;
            if seen > MAX_PARTS {
                return Err(Fault::BadRequest);
            }
            form.take(&mut part, &mut left).await?;
        }
        Ok(form)
    }

    async fn take(&mut self, part: &mut Field, left: &mut usize) -> Result<(), Fault> {
        let is_file = part.name() == Some("profile_picture");
        let is_tick = part.name() == Some("remove_profile_picture");
        if is_file && !self.upload.is_empty() {
            return Err(Fault::BadRequest);
        }
        let mut size = 0_usize;
        while let Some(chunk) = part.try_next().await.map_err(|_| Fault::BadRequest)? {
            *left = left.checked_sub(chunk.len()).ok_or(Fault::TooLarge)?;
            size += chunk.len();
            if is_file && size <= MAX_BYTES {
                self.upload.extend_from_slice(&chunk);
            }
        }
        self.too_large |= is_file && size > MAX_BYTES;
        self.remove |= is_tick && size > 0;
        Ok(())
    }
}

async fn serve(app: Data<App>, viewer: Viewer, name: Path<String>) -> Result<HttpResponse, Fault> {
    let name = Some(name.into_inner()).filter(|name| pictures::is_ours(name)).ok_or(Fault::NotFound)?;
    let wanted = name.clone();
    let owner = app.db.find(move |conn| Ok::<_, db::Error>(users::picture_owner(conn, &wanted)?)).await?;
    let owner = owner.ok_or(Fault::NotFound)?;
    if owner != viewer.user.id && !viewer.user.role.sees_admin() {
        return Err(Fault::NotFound);
    }
    let jpeg = app.pictures.read(&name).await.map_err(|error| Fault::Unavailable(error.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/jpeg"))
        .insert_header((CONTENT_DISPOSITION, "inline; filename=\"picture.jpg\""))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((CACHE_CONTROL, "private, max-age=3600"))
        .body(jpeg.ok_or(Fault::NotFound)?))
}
