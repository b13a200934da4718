//! Change or remove one's picture, and look at one.
//!
//! An upload has 2 MB at most, refused by its declared length before it is read. What is kept is drawn again
//! (see [`crate::pictures`]). A picture is shown to its person and to staff; to others there is none.

use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::{StreamExt, TryStreamExt};

use crate::app::App;
use crate::db;
use crate::identity::t;
use crate::language::filters;
use crate::limits::Limit;
use crate::paths::account::{CHANGE_PICTURE, PICTURE, PROFILE};
use crate::pictures::{self, DrawError, MAX_BYTES};
use crate::records::events::{self, Kind};
use crate::records::users;
use crate::web::errors::HttpError;
use crate::web::forms::{FormError, Problems};
use crate::web::layout::Layout;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::viewer::{By, Viewer};

/// On the profile page.
pub const SAVED: Notice = Notice::new("picture-saved", t("Your picture has been updated."));
/// On the profile page.
pub const REMOVED: Notice = Notice::new("picture-removed", t("Your picture has been removed."));

/// Room for the multipart form around the file.
const ENVELOPE: usize = 64 * 1024;
const MAX_PARTS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(CHANGE_PICTURE, show, submit)).service(routes::page(PICTURE, serve));
}

#[derive(Template)]
#[template(path = "account/picture.html")]
struct PicturePage {
    layout: Layout,
    problems: Problems,
}

/// What arrived.
#[derive(Default)]
struct Upload {
    file: Vec<u8>,
    is_too_large: bool,
    removes: bool,
}

/// What the form asks for.
enum Change {
    /// Keep this file, drawn again.
    New(Vec<u8>),
    /// Have no picture any more.
    Remove,
}

async fn show(viewer: Viewer) -> Answer {
    page::ok(PicturePage { layout: Layout::of(&viewer), problems: Problems::default() })
}

async fn submit(app: Data<App>, by: By, req: HttpRequest, body: Payload) -> Result<Answer, HttpError> {
    // Before a byte is read, for who is signed in: bodies of two megabytes are what this limit is about.
    let tokens = app.limits.take([Limit::Picture.of(by.user().id.as_str())]).await?;
    let upload = tokio::time::timeout(DEADLINE, Upload::read(&req, body)).await;
    let upload = upload.unwrap_or(Err(HttpError::Timeout))?;
    if upload.removes {
        // Nothing large was sent.
        app.limits.give_back(tokens).await;
    } else {
        tokens.spend();
    }
    match change(&app, &by, upload).await {
        Ok(notice) => Ok(page::see_other(PROFILE.path()).saying(notice.post())),
        Err(error) => {
            let problems = error.problems()?;
            Ok(page::form_again(PicturePage { layout: Layout::of(&by.viewer), problems }))
        }
    }
}

async fn change(app: &App, by: &By, upload: Upload) -> Result<&'static Notice, FormError> {
    match upload.parse()? {
        Change::New(file) => {
            let jpeg = app.pictures.draw(file).await.map_err(|error| explained(&error))?;
            let kept = app.pictures.keep(jpeg).await;
            let name =
                kept.map_err(|error| HttpError::Unavailable(format!("a picture cannot be kept: {error}")))?;
            set(app, by, Some(name)).await?;
            Ok(&SAVED)
        }
        Change::Remove => {
            set(app, by, None).await?;
            Ok(&REMOVED)
        }
    }
}

fn explained(error: &DrawError) -> FormError {
    let message = match error {
        DrawError::Format => t("We can't read this file. Choose a PNG, JPEG, WebP or GIF picture."),
        DrawError::Dimensions => t("This picture is too large. The limit is 4096 × 4096 pixels."),
        DrawError::Broken => t("This picture is damaged and can't be opened. Try another one."),
    };
    FormError::at("profile_picture", message)
}

/// Stores the new picture's name and removes the file that nobody needs any more.
async fn set(app: &App, by: &By, new: Option<String>) -> Result<(), FormError> {
    let by = by.clone();
    let picture = new.clone();
    let changed = app
        .db
        .write(move |conn| {
            // Drawing takes its time: whoever has been blocked in the meantime changes nothing more.
            by.still_may(conn)?;
            let user = &by.user().id;
            let detail = if picture.is_some() { "changed" } else { "removed" };
            events::note(conn, Kind::PictureChanged, Some(user), &by.source(), detail, by.now)?;
            Ok::<_, FormError>(users::set_picture(conn, user, picture.as_deref())?)
        })
        .await;
    let unwanted = match &changed {
        Ok(old) => old.clone(),
        // It may have been written after all: housekeeping looks later.
        Err(FormError::Database(db::Error::Unavailable(_) | db::Error::Lost(_))) => None,
        Err(_) => new,
    };
    if let Some(name) = unwanted {
        app.pictures.remove(&name).await;
    }
    changed.map(drop)
}

impl Upload {
    fn parse(self) -> Result<Change, FormError> {
        let problem = |message| FormError::at("profile_picture", message);
        if self.removes {
            Ok(Change::Remove)
        } else if self.is_too_large {
            Err(problem(t("This file is larger than 2 MB. Choose a smaller one.")))
        } else if self.file.is_empty() {
            Err(problem(t("Choose a picture.")))
        } else {
            Ok(Change::New(self.file))
        }
    }

    async fn read(req: &HttpRequest, body: Payload) -> Result<Self, HttpError> {
        let length = req.headers().get(CONTENT_LENGTH);
        let declared = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > MAX_BYTES + ENVELOPE) {
            return Err(HttpError::TooLarge);
        }
        let mut upload = Self::default();
        // All of it counts: also what stands before the first part, and behind the last.
        let mut left = MAX_BYTES + ENVELOPE;
        let counted = body.map(move |chunk| {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len()).ok_or(PayloadError::Overflow)?;
            Ok(chunk)
        });
        let mut parts = Multipart::new(req.headers(), counted);
        let mut seen = 0;
        while let Some(mut part) = parts.try_next().await.map_err(|error| unreadable(&error))? {
            seen += 1;
            if seen > MAX_PARTS {
                return Err(HttpError::BadRequest);
            }
            upload.take(&mut part).await?;
        }
        Ok(upload)
    }

    async fn take(&mut self, part: &mut Field) -> Result<(), HttpError> {
        let is_file = part.name() == Some("profile_picture");
        let is_tick = part.name() == Some("remove_profile_picture");
        if is_file && !self.file.is_empty() {
            return Err(HttpError::BadRequest);
        }
        let mut size = 0_usize;
        while let Some(chunk) = part.try_next().await.map_err(|error| unreadable(&error))? {
            size += chunk.len();
            if is_file && size <= MAX_BYTES {
                self.file.extend_from_slice(&chunk);
            }
        }
        self.is_too_large |= is_file && size > MAX_BYTES;
        self.removes |= is_tick && size > 0;
        Ok(())
    }
}

fn unreadable(error: &MultipartError) -> HttpError {
    match error {
        MultipartError::Payload(PayloadError::Overflow) => HttpError::TooLarge,
        _ => HttpError::BadRequest,
    }
}

async fn serve(app: Data<App>, viewer: Viewer, name: Path<String>) -> Result<HttpResponse, HttpError> {
    let name = Some(name.into_inner()).filter(|name| pictures::is_ours(name)).ok_or(HttpError::NotFound)?;
    let wanted = name.clone();
    let owner = app.db.find(move |conn| users::picture_owner(conn, &wanted)).await?;
    let owner = owner.ok_or(HttpError::NotFound)?;
    if owner != viewer.user.id && !viewer.user.role.sees_admin() {
        return Err(HttpError::NotFound);
    }
    let jpeg = app.pictures.read(&name).await.map_err(|error| HttpError::Unavailable(error.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/jpeg"))
        .insert_header((CONTENT_DISPOSITION, "inline; filename=\"picture.jpg\""))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((CACHE_CONTROL, "private, max-age=3600"))
        .body(jpeg.ok_or(HttpError::NotFound)?))
}
