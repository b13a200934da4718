//! Put a picture back that has just been removed: a copy of it is kept for as long as that can be undone, and then until
//! housekeeping comes by.

use actix_web::HttpRequest;
use actix_web::web::Data;

use super::super::undo::{self, What};
use super::{not_kept, set};
use crate::app::App;
use crate::identity::Id;
use crate::paths::account::{PROFILE, UNDO_PICTURE};
use crate::pictures::Kept;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::page::Answer;
use crate::web::routes::{self, Pages};
use crate::web::viewer::By;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::act(UNDO_PICTURE, PROFILE, undo_removal));
}

/// Copies the picture that is about to be removed; without a copy it cannot be put back, and is removed all the same.
pub(super) async fn copy_for_undo(app: &App, by: &By) -> Option<String> {
    let name = by.user().picture.as_deref()?;
    let copied = match app.pictures.read(Kept::Picture, name).await {
        Ok(Some(jpeg)) => app.pictures.keep(Kept::Source, jpeg).await,
        Ok(None) => return None,
        Err(error) => Err(error),
    };
    copied.inspect_err(|error| log::warn!("a picture can't be kept for undoing its removal: {error}")).ok()
}

async fn undo_removal(app: Data<App>, by: By, req: HttpRequest) -> Result<Answer, HttpError> {
    undo::answer(match undo::take(&app, &req, What::Picture, by.user()) {
        Some((event, copy)) => put_back(&app, &by, event, &copy).await,
        None => Ok(false),
    })
}

/// Puts a picture back while its removal is the newest change of it; returns whether it was.
async fn put_back(app: &App, by: &By, event: Id, copy: &str) -> Result<bool, FormError> {
    let jpeg = app.pictures.read(Kept::Source, copy).await.map_err(|error| not_kept(&error))?;
    let Some(jpeg) = jpeg else { return Ok(false) };
    let name = app.pictures.keep(Kept::Picture, jpeg).await.map_err(|error| not_kept(&error))?;
    let is_back = set(app, by, Some(name), Some(event)).await?.is_some();
    if is_back {
        app.pictures.remove(Kept::Source, copy).await;
    }
    Ok(is_back)
}
