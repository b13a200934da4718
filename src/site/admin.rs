//! For staff, who see, and superusers, who also act: all accounts, what happened, and what is on its way.

mod acting;
mod apps;
mod bulk;
mod bulk_act;
mod events;
mod new_user;
mod outbox;
mod overview;
mod pending;
mod user;
mod users;
mod users_query;

use actix_web::web::{Data, Path};

use crate::app::App;
use crate::identity::{Message, Role};
use crate::paths::admin::{BULK, DELETE_USER, NEW_USER, USER_ACT};
use crate::web::carried::Carried;
use crate::web::errors::HttpError;
use crate::web::forms::Form;
use crate::web::page::Answer;
use crate::web::routes::Pages;
use crate::web::viewer::{By, Superuser};

pub(super) fn routes(pages: &mut Pages) {
    overview::routes(pages);
    // Before the pages of one account, whose paths have a hole where these have a word.
    new_user::routes(pages);
    bulk::routes(pages);
    users::routes(pages);
    user::routes(pages);
    pending::routes(pages);
    outbox::routes(pages);
    events::routes(pages);
    apps::routes(pages);
}

/// Whether a form at a path asks for an act of a superuser.
pub fn is_act(path: &str) -> bool {
    [NEW_USER.path(), BULK.path()].contains(&path)
        || DELETE_USER.parse(path).is_some()
        || USER_ACT.parse(path).is_some()
}

/// Does what a form asked for that waited for the password, as if it had been sent now.
///
/// # Errors
/// Those of the act.
pub async fn perform_carried(app: Data<App>, by: By, carried: &Carried) -> Result<Answer, HttpError> {
    if by.user().role != Role::Superuser {
        return Err(HttpError::Forbidden);
    }
    let by = Superuser(by);
    let path = carried.path.as_str();
    if path == NEW_USER.path() {
        return new_user::submit(app, by, form(carried)?).await;
    }
    if path == BULK.path() {
        return bulk::submit(app, by, form(carried)?).await;
    }
    if let Some([id]) = DELETE_USER.parse(path) {
        return user::delete(app, by, Path::from(id.to_owned()), form(carried)?).await;
    }
    match USER_ACT.parse(path) {
        Some([id, act]) => {
            user::act(app, by, Path::from((id.to_owned(), act.to_owned())), form(carried)?).await
        }
        None => Err(HttpError::BadRequest),
    }
}

fn form<T: serde::de::DeserializeOwned>(carried: &Carried) -> Result<Form<T>, HttpError> {
    carried.form().map(Form).ok_or(HttpError::BadRequest)
}

/// Says what a form asks for: the act, whom it is about, and why.
///
/// # Errors
/// When the database is away.
pub async fn describe_carried(app: &App, carried: &Carried) -> Result<Option<Message>, HttpError> {
    let path = carried.path.as_str();
    if path == NEW_USER.path() {
        return Ok(carried.form().map(|form| new_user::describe(&form)));
    }
    if path == BULK.path() {
        return Ok(carried.form().and_then(bulk::describe));
    }
    let act = DELETE_USER.parse(path).map(|[id]| [id, "delete"]).or_else(|| USER_ACT.parse(path));
    match act {
        Some([id, act]) => user::describe(app, id, act, carried.form().unwrap_or_default()).await,
        None => Ok(None),
    }
}
