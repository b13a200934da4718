//! Change username, name, phone number and the text about oneself.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::{Deserialize, Serialize};

use super::undo::{self, What};
use crate::accounts::details::changed;
use crate::accounts::usernames::{TAKEN, free_username};
use crate::app::App;
use crate::identity::{About, Details, FullName, Id, Phone, Username, t};
use crate::paths::account::{DETAILS, PROFILE, UNDO_DETAILS};
use crate::records::events::{self, Kind, NewEvent, UNDONE};
use crate::records::users::{self, User};
use crate::web::carried;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer};

/// On the profile page.
pub const SAVED: Notice = Notice::new("details-saved", t("Your changes have been saved."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(DETAILS, show, submit)).service(routes::act(
        UNDO_DETAILS,
        PROFILE,
        undo_change,
    ));
}

#[derive(Template)]
#[template(path = "account/details.html")]
struct DetailsPage {
    form: DetailsForm,
    /// Whether it was typed before its person was signed out.
    is_carried: bool,
    problems: Problems,
}

/// The details as typed; also where a superuser edits them.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DetailsForm {
    pub username: String,
    pub full_name: String,
    pub phone: String,
    pub about: String,
}

async fn show(viewer: Viewer, req: HttpRequest) -> Answer {
    let carried = carried::take_returned(&req, &viewer.user.id).and_then(|carried| carried.form());
    let is_carried = carried.is_some();
    let form = carried.unwrap_or_else(|| DetailsForm::of(&viewer.user));
    page::ok(DetailsPage { form, is_carried, problems: Problems::default() })
}

async fn submit(app: Data<App>, by: By, Form(form): Form<DetailsForm>) -> Result<Answer, HttpError> {
    match change(&app, &by, &form).await {
        Ok(saved) => {
            let answer = page::see_other(PROFILE.path()).saying(SAVED.post());
            Ok(match saved {
                Some((event, before)) => {
                    let was = serde_json::to_string(&DetailsForm::of(&before)).unwrap_or_default();
                    answer.with_cookie(undo::seal(&app, &before, What::Details, &event, was))
                }
                None => answer,
            })
        }
        Err(error) => {
            let problems = error.problems()?;
            Ok(page::form_again(DetailsPage { form, is_carried: false, problems }))
        }
    }
}

async fn change(app: &App, by: &By, form: &DetailsForm) -> Result<Option<(Id, User)>, FormError> {
    let details = form.parse(by.user())?;
    save(app, by, details, None).await
}

async fn undo_change(app: Data<App>, by: By, req: HttpRequest) -> Result<Answer, HttpError> {
    let before = undo::take(&app, &req, What::Details, by.user());
    let was = before.and_then(|(event, was)| Some((event, serde_json::from_str(&was).ok()?)));
    undo::answer(match was {
        Some((event, was)) => put_back(&app, &by, event, &was).await,
        None => Ok(false),
    })
}

/// Puts back what was before a change, while that is the newest one; returns whether it was.
async fn put_back(app: &App, by: &By, event: Id, was: &DetailsForm) -> Result<bool, FormError> {
    // A name that was theirs before, reserved or not, may be theirs again.
    let then = User { username: Username::from_stored(was.username.clone()), ..by.user().clone() };
    let details = was.parse(&then)?;
    Ok(save(app, by, details, Some(event)).await?.is_some())
}

/// Stores details, with `after` only while that is the newest change, which is undone then; returns the event and the account
/// before, none when nothing changed.
async fn save(
    app: &App,
    by: &By,
    details: Details,
    after: Option<Id>,
) -> Result<Option<(Id, User)>, FormError> {
    let by = by.clone();
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            let kind = Kind::DetailsChanged;
            if let Some(after) = &after
                && !events::is_newest(conn, &user.id, kind, after)?
            {
                return Ok(None);
            }
            if !free_username(conn, &details.username, Some(&user.id), by.now)? {
                return Err(FormError::at("username", TAKEN));
            }
            users::set_details(conn, &user.id, &details)?;
            let Some((was, became)) = changed(&user, &details) else { return Ok(None) };
            let event = NewEvent {
                kind,
                user: Some(&user.id),
                actor: None,
                source: &by.source(),
                detail: if after.is_some() { UNDONE } else { "" },
                was: &was,
                became: &became,
            };
            let event = events::insert(conn, &event, by.now)?;
            Ok(Some((event, user)))
        })
        .await
}

impl DetailsForm {
    /// The form as it stands for an account.
    pub fn of(user: &User) -> Self {
        Self {
            username: user.username.to_string(),
            full_name: user.full_name.clone(),
            phone: user.phone.clone(),
            about: user.about.clone(),
        }
    }

    /// Reads the details of an account.
    ///
    /// # Errors
    /// Everything that is wrong in them.
    pub fn parse(&self, user: &User) -> Result<Details, Problems> {
        let mut problems = Problems::default();
        // A name that was given to them, reserved or not, is theirs to keep.
        let username = if self.username == user.username.as_str() {
            Ok(user.username.clone())
        } else {
            Username::parse(&self.username)
        };
        let username = problems.take("username", username);
        let full_name = problems.take("full_name", FullName::parse(&self.full_name));
        let phone = problems.take("phone", Phone::parse(&self.phone));
        let about = problems.take("about", About::parse(&self.about));
        match (username, full_name, phone, about) {
            (Some(username), Some(full_name), Some(phone), Some(about)) => {
                Ok(Details { username, full_name, phone, about })
            }
            _ => Err(problems),
        }
    }
}
