//! Add a person. They choose their password themselves, by a link that is mailed to them: no administrator ever types or
//! sees one.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::identity::{Email, Id, Password, Role, Username, random_name};
use crate::mail::{self, Mail};
use crate::paths::{self, route};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::users::{self, NewUser};
use crate::records::verifications;
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Superuser, Viewer};
use crate::web::{filters, routes};

/// How long the link of an invitation is good: the person did not ask for it and may not be waiting.
const LIFETIME: Duration = Duration::from_secs(72 * 3600);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::form(route::NEW_PERSON, show, submit));
}

#[derive(Template)]
#[template(path = "admin/newcomer.html")]
struct NewcomerPage {
    chrome: Chrome,
    form: NewcomerForm,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewcomerForm {
    username: String,
    email: String,
    role: String,
}

struct Newcomer {
    username: Username,
    email: Email,
    role: Role,
}

async fn show(app: Data<App>, Superuser(viewer): Superuser) -> Result<HttpResponse, Fault> {
    // Before anything is typed, so that nothing typed is lost: this page hands out power.
    viewer.is_recent(app.clock.now(), route::NEW_PERSON)?;
    let form = NewcomerForm { role: Role::User.as_str().to_owned(), ..NewcomerForm::default() };
    Ok(page::ok(&NewcomerPage { chrome: Chrome::of(Some(&viewer)), form, problems: Problems::default() }))
}

async fn submit(
    app: Data<App>,
    Superuser(viewer): Superuser,
    client: Client,
    Form(form): Form<NewcomerForm>,
) -> Result<HttpResponse, Fault> {
    match add(&app, &viewer, &client, &form).await {
        Ok(id) => Ok(page::see_other(&paths::with_notice(&paths::person(&id), "added"))),
        Err(refusal) => {
            let problems = refusal.problems()?;
            Ok(page::refused(&NewcomerPage { chrome: Chrome::of(Some(&viewer)), form, problems }))
        }
    }
}

async fn add(app: &App, viewer: &Viewer, client: &Client, form: &NewcomerForm) -> Result<Id, Refusal> {
    let Newcomer { username, email, role } = form.parse()?;
    let now = app.clock.now();
    viewer.is_recent(now, route::NEW_PERSON)?;
    // Until they choose one, a password that nobody knows.
    let hash = app.hasher.hash(Password::entered(&random_name())).await?;
    let (viewer, origin, id) = (viewer.clone(), client.origin(), Id::new());
    let added = id.clone();
    app.db
        .write(move |conn| {
            viewer.still_may(conn, now)?;
            if !verifications::make_way(conn, &username.canonical(), None, now)? {
                return Err(Refusal::at("username", "This username is taken. Please choose another one."));
            }
            if let Some(holder) = users::by_email(conn, &email.canonical())?
                && !users::remove_unverified(conn, &holder.id)?
            {
                return Err(Refusal::at("email", "This address has an account already."));
            }
            let new = NewUser {
                id: &id,
                username: &username,
                email: Some(&email),
                password_hash: &hash,
                role,
                verified_at: Some(now),
            };
            users::insert(conn, &new, now)?;
            let mail = |link| Mail::Invitation { username: username.as_str().to_owned(), link };
            mail::queue_password_link(conn, (&id, email.as_str()), mail, LIFETIME, now)?;
            let became = format!("{}, {}, {}", username.as_str(), email.as_str(), role.as_str());
            let event = NewEvent {
                kind: Kind::AccountAdded,
                user: Some(&id),
                actor: Some(&viewer.user.id),
                origin: &origin,
                detail: "",
                was: "",
                became: &became,
            };
            Ok::<_, Refusal>(events::insert(conn, &event, now)?)
        })
        .await?;
    app.bell.ring();
    Ok(added)
}

impl NewcomerForm {
    fn parse(&self) -> Result<Newcomer, Problems> {
        let mut problems = Problems::default();
        let username = problems.take("username", Username::parse(&self.username));
        let email = problems.take("email", Email::parse(&self.email));
        let role = problems.take("role", Role::parse(&self.role).ok_or_else(|| "Choose a role.".into()));
        match (username, email, role) {
            (Some(username), Some(email), Some(role)) => Ok(Newcomer { username, email, role }),
            _ => Err(problems),
        }
    }
}
