//! Change username, name, phone number and the text about oneself.

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::acts::Details;
use crate::app::App;
use crate::identity::{About, FullName, Phone, Username};
use crate::paths::{self, route};
use crate::records::events::{self, Kind};
use crate::records::users::{self, User};
use crate::records::verifications;
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::page::{self, Chrome};
use crate::web::viewer::Viewer;
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(route::DETAILS, show, submit));
}

#[derive(Template)]
#[template(path = "profile/details.html")]
struct DetailsPage {
    chrome: Chrome,
    form: DetailsForm,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DetailsForm {
    username: String,
    full_name: String,
    phone: String,
    about: String,
}

async fn show(viewer: Viewer) -> HttpResponse {
    let chrome = Chrome::of(Some(&viewer));
    page::ok(&DetailsPage { chrome, form: DetailsForm::of(viewer.user), problems: Problems::default() })
}

async fn submit(
    app: Data<App>,
    viewer: Viewer,
    client: Client,
    Form(form): Form<DetailsForm>,
) -> Result<HttpResponse, Fault> {
    match change(&app, &viewer, &client, &form).await {
        Ok(()) => Ok(page::see_other(&paths::with_notice(route::PROFILE, "saved"))),
        Err(refusal) => {
            let problems = refusal.problems()?;
            Ok(page::refused(&DetailsPage { chrome: Chrome::of(Some(&viewer)), form, problems }))
        }
    }
}

async fn change(app: &App, viewer: &Viewer, client: &Client, form: &DetailsForm) -> Result<(), Refusal> {
    let details = form.parse(&viewer.user)?;
    let (viewer, user) = (viewer.clone(), viewer.user.clone());
    let (origin, now) = (client.origin(), app.clock.now());
    app.db
        .write(move |conn| {
            viewer.still_may(conn, now)?;
            if !verifications::make_way(conn, &details.username.canonical(), Some(&user.id), now)? {
                let taken = "This username is taken. Please choose another one.";
                return Err(Refusal::at("username", taken));
            }
            let Details { username, full_name, phone, about } = &details;
            users::set_details(conn, &user.id, username, (full_name, phone, about))?;
            let detail = differences(&details, &user);
            Ok(events::note(conn, Kind::DetailsChanged, Some(&user.id), &origin, &detail, now)?)
        })
        .await
}

/// The names of what changed; for the username, which is public, before and after, too.
fn differences(new: &Details, user: &User) -> String {
    let mut changed = Vec::new();
    if new.username.as_str() != user.username {
        changed.push(format!("username {} to {}", user.username, new.username.as_str()));
    }
    let others = [
        ("full_name", new.full_name.as_str() == user.full_name),
        ("phone", new.phone.as_str() == user.phone),
        ("about", new.about.as_str() == user.about),
    ];
    changed.extend(others.into_iter().filter(|(_, same)| !same).map(|(name, _)| name.to_owned()));
    changed.join(", ")
}

impl DetailsForm {
    fn of(user: User) -> Self {
        Self { username: user.username, full_name: user.full_name, phone: user.phone, about: user.about }
    }

    fn parse(&self, user: &User) -> Result<Details, Problems> {
        parse([&self.username, &self.full_name, &self.phone, &self.about], user)
    }
}

/// The details as typed, in the order of the form; also where a superuser edits them.
pub(in crate::site) fn parse(typed: [&str; 4], user: &User) -> Result<Details, Problems> {
    let [username, full_name, phone, about] = typed;
    let mut problems = Problems::default();
    // A name that was given to them, reserved or not, is theirs to keep.
    let username = match Username::parse(username) {
        Err(_) if username == user.username => Ok(Username::kept(username)),
        parsed => parsed,
    };
    let username = problems.take("username", username);
    let full_name = problems.take("full_name", FullName::parse(full_name));
    let phone = problems.take("phone", Phone::parse(phone));
    let about = problems.take("about", About::parse(about));
    match (username, full_name, phone, about) {
        (Some(username), Some(full_name), Some(phone), Some(about)) => {
            Ok(Details { username, full_name, phone, about })
        }
        _ => Err(problems),
    }
}
