//! Change or remove one's picture, and look at one.
//!
//! An upload has 10 MB at most, refused by its declared length before it is read. What is kept is drawn again
//! (see [`crate::pictures`]). A picture is shown to its person and to staff; to others there is none.

mod crop;
mod removal;

use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::undo::{self, What};
use crate::app::App;
use crate::db;
use crate::identity::{Id, Sentence, t};
use crate::limits::Limit;
use crate::paths::account::{CHANGE_PICTURE, CROP, PICTURE, PROFILE};
use crate::pictures::{self, DrawError, Kept, MAX_BYTES};
use crate::records::events::{self, Kind, NewEvent, PICTURE_REMOVED, UNDONE};
use crate::records::users::{self, User};
use crate::web::carried::Owner;
use crate::web::errors::HttpError;
use crate::web::forms::{FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::SignedInAs;
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer, somebody_elses};

/// On the profile page.
pub const SAVED: Notice = Notice::new("picture-saved", t("Your picture has been updated."));
/// On the profile page.
pub const REMOVED: Notice = Notice::new("picture-removed", t("Your picture has been removed."));

/// Room for the multipart form around the file.
const ENVELOPE: usize = 64 * 1024;
const MAX_PARTS: usize = 8;
/// Longer than any seal of a form's owner.
const MAX_SEAL: usize = 1024;
/// A phone on a slow line sends ten megabytes within it.
const DEADLINE: Duration = Duration::from_secs(120);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(CHANGE_PICTURE, show, submit)).service(routes::page(PICTURE, serve));
    crop::routes(pages);
    removal::routes(pages);
}

#[derive(Template)]
#[template(path = "account/picture.html")]
struct PicturePage {
    me: SignedInAs,
    problems: Problems,
}

/// How many bytes of pictures are held at once, whoever sends them: the machine has memory for so many.
const MAX_HELD: usize = 96 * 1024 * 1024;
static HELD: Semaphore = Semaphore::const_new(MAX_HELD);

/// What arrived.
#[derive(Default)]
struct Upload {
    file: Vec<u8>,
    /// For the memory that it takes.
    held: Option<SemaphorePermit<'static>>,
    is_too_large: bool,
    removes: bool,
    /// Whose form it is, under seal.
    owner: String,
}

/// What the form asks for.
enum Change {
    /// Keep this file, drawn again.
    New(Vec<u8>, Option<SemaphorePermit<'static>>),
    /// Have no picture any more.
    Remove,
}

async fn show(viewer: Viewer) -> Answer {
    page::ok(PicturePage::new(&viewer, Problems::default())).showing(&[&crop::TOO_LATE])
}

async fn submit(app: Data<App>, by: By, req: HttpRequest, body: Payload) -> Result<Answer, HttpError> {
    // Before a byte is read, for who is signed in: bodies of ten megabytes are what this limit is about.
    let tokens = app.limits.take([Limit::Picture.of(by.user().id.as_str())]).await?;
    let upload = tokio::time::timeout(DEADLINE, Upload::read(&req, body)).await;
    let upload = match upload.unwrap_or(Err(HttpError::Timeout)) {
        Err(HttpError::TooLarge) => {
            let page = PicturePage::new(&by.viewer, Problems::one("profile_picture", too_large()));
            return Ok(page::with_status(StatusCode::PAYLOAD_TOO_LARGE, page));
        }
        upload => upload?,
    };
    if let Some(owner) = upload.owner(&app).filter(|owner| owner.id != by.user().id) {
        return Err(somebody_elses(&owner, &by.user().username).into());
    }
    if upload.removes {
        // Nothing large was sent.
        app.limits.give_back(tokens).await;
    } else {
        tokens.spend();
    }
    let changed = change(&app, &by, upload).await;
    if changed.is_ok() {
        crop::forget(&app, &req, by.user()).await;
    }
    match changed {
        Ok(Changed::Removed(undo)) => {
            let answer = page::see_other(PROFILE.path()).saying(REMOVED.post());
            Ok(match undo {
                Some((event, was)) => {
                    answer.with_cookie(undo::seal(&app, by.user(), What::Picture, &event, was))
                }
                None => answer,
            })
        }
        Ok(Changed::Kept) => Ok(page::see_other(PROFILE.path()).saying(SAVED.post())),
        Ok(Changed::Drawn(source)) => Ok(page::see_other(CROP.path())
            .saying(SAVED.post())
            .with_cookie(crop::seal(&app, by.user(), &source))),
        Err(error) => {
            let problems = error.problems()?;
            Ok(page::form_again(PicturePage::new(&by.viewer, problems)))
        }
    }
}

/// What has become of the picture.
enum Changed {
    /// The event, and the name under which the picture is kept for a while, so that it can be put back.
    Removed(Option<(Id, String)>),
    /// Its middle is kept.
    Kept,
    /// Its middle is kept; the name of the whole, of which another part can be chosen.
    Drawn(String),
}

async fn change(app: &App, by: &By, upload: Upload) -> Result<Changed, FormError> {
    match upload.parse()? {
        Change::New(file, _held) => {
            let drawn = app.pictures.draw(file).await.map_err(|error| explained(&error))?;
            keep(app, by, drawn.square).await?;
            // No row names it: housekeeping takes it away after an hour. Without it there is nothing to crop, and nothing lost.
            let source = app.pictures.keep(Kept::Source, drawn.source).await;
            source.map(Changed::Drawn).or_else(|error| {
                log::warn!("a picture can't be kept for cropping: {error}");
                Ok(Changed::Kept)
            })
        }
        Change::Remove => {
            let copy = removal::copy_for_undo(app, by).await;
            let event = set(app, by, None, None).await?;
            Ok(Changed::Removed(event.zip(copy)))
        }
    }
}

/// Keeps a drawn picture as that of an account.
async fn keep(app: &App, by: &By, jpeg: Vec<u8>) -> Result<(), FormError> {
    let name = app.pictures.keep(Kept::Picture, jpeg).await.map_err(|error| not_kept(&error))?;
    set(app, by, Some(name), None).await.map(drop)
}

/// Forgets what this person was cropping from.
pub(super) async fn forget_source(app: &App, req: &HttpRequest, user: &User) {
    crop::forget(app, req, user).await;
}

fn not_kept(error: &std::io::Error) -> HttpError {
    HttpError::Unavailable(format!("a picture cannot be kept: {error}"))
}

fn too_large() -> Sentence {
    t("Picture must be 10 MB or smaller. Choose a smaller file.")
}

fn explained(error: &DrawError) -> FormError {
    let message = match error {
        DrawError::Format => t("We can't read this file. Choose a PNG, JPEG, WebP or GIF picture."),
        DrawError::Dimensions => t(
            "Picture must be 12,000 × 12,000 pixels or smaller and, unless it's a JPEG, 50 megapixels at most. Choose a smaller one.",
        ),
        DrawError::Broken => t("This picture is damaged and can't be opened. Try another one."),
    };
    FormError::at("profile_picture", message)
}

/// Stores the new picture's name and removes the file that nobody needs any more; with `after` only while that is the newest change.
/// Returns the event.
async fn set(app: &App, by: &By, new: Option<String>, after: Option<Id>) -> Result<Option<Id>, FormError> {
    let by = by.clone();
    let picture = new.clone();
    let changed = app
        .db
        .write(move |conn| {
            // Drawing takes its time: whoever has been blocked in the meantime changes nothing more.
            by.still_may(conn)?;
            let user = &by.user().id;
            if let Some(after) = &after
                && !events::is_newest(conn, user, Kind::PictureChanged, after)?
            {
                return Ok((picture.clone(), None));
            }
            let detail = match &picture {
                Some(_) if after.is_some() => UNDONE,
                Some(_) => "",
                None => PICTURE_REMOVED,
            };
            let event = NewEvent {
                kind: Kind::PictureChanged,
                user: Some(user),
                actor: None,
                source: &by.source(),
                detail,
                was: "",
                became: "",
            };
            let event = events::insert(conn, &event, by.now)?;
            Ok::<_, FormError>((users::set_picture(conn, user, picture.as_deref())?, Some(event)))
        })
        .await;
    let unwanted = match &changed {
        Ok((old, _)) => old.clone(),
        // It may have been written after all: housekeeping looks later.
        Err(FormError::Database(db::Error::Unavailable(_) | db::Error::Lost(_))) => None,
        Err(_) => new,
    };
    if let Some(name) = unwanted {
        app.pictures.remove(Kept::Picture, &name).await;
    }
    changed.map(|(_, event)| event)
}

impl PicturePage {
    fn new(viewer: &Viewer, problems: Problems) -> Self {
        Self { me: SignedInAs::of(viewer.user.head()), problems }
    }
}

impl Upload {
    fn owner(&self, app: &App) -> Option<Owner> {
        Owner::open(app, &self.owner)
    }

    fn parse(self) -> Result<Change, FormError> {
        let problem = |message| FormError::at("profile_picture", message);
        if self.removes {
            Ok(Change::Remove)
        } else if self.is_too_large {
            Err(problem(too_large()))
        } else if self.file.is_empty() {
            Err(problem(t("Choose a picture.")))
        } else {
            Ok(Change::New(self.file, self.held))
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

    fn hold(&mut self, bytes: usize) -> Result<(), HttpError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = HELD.try_acquire_many(bytes).map_err(|_| {
            HttpError::Unavailable("too many pictures are being sent at the same time".to_owned())
        })?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    async fn take(&mut self, part: &mut Field) -> Result<(), HttpError> {
        let is_file = part.name() == Some("profile_picture");
        let is_tick = part.name() == Some("remove_profile_picture");
        let is_owner = part.name() == Some("for");
        if is_file && !self.file.is_empty() {
            return Err(HttpError::BadRequest);
        }
        let mut size = 0_usize;
        while let Some(chunk) = part.try_next().await.map_err(|error| unreadable(&error))? {
            size += chunk.len();
            if is_file && size <= MAX_BYTES {
                self.hold(chunk.len())?;
                self.file.extend_from_slice(&chunk);
            } else if is_owner && size <= MAX_SEAL {
                self.owner.push_str(&String::from_utf8_lossy(&chunk));
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
    // One's own is known already.
    if viewer.user.picture.as_ref() != Some(&name) {
        let wanted = [name.clone()];
        let sees_others = viewer.user.role.sees_admin();
        if !sees_others || app.db.find(move |conn| users::pictures_among(conn, &wanted)).await?.is_empty() {
            return Err(HttpError::NotFound);
        }
    }
    let jpeg = app
        .pictures
        .read(Kept::Picture, &name)
        .await
        .map_err(|error| HttpError::Unavailable(error.to_string()))?;
    Ok(image(jpeg.ok_or(HttpError::NotFound)?, "private, max-age=3600"))
}

/// A picture, which runs nothing wherever it is opened.
fn image(jpeg: Vec<u8>, caching: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/jpeg"))
        .insert_header((CONTENT_DISPOSITION, "inline; filename=\"picture.jpg\""))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((CACHE_CONTROL, caching))
        .body(jpeg)
}
