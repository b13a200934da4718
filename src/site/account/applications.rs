//! The applications that one may open: when each was last used, on which devices one is signed in there, and a way to sign out of one.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::config::Application;
use crate::identity::{Id, Message, Moment, browser_name, t};
use crate::paths::account::{APPLICATIONS, LEAVE_APPLICATION};
use crate::records::app_sessions::{self, AppSession};
use crate::records::events::{self, Kind};
use crate::records::sessions::Session;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::Face;
use crate::web::view::filters;
use crate::web::viewer::{By, Viewer};

const LEFT: Notice =
    Notice::new("application-left", t("You've signed out of that application on all your devices."));
const NOT_THERE: Notice =
    Notice::new("application-not-there", t("You were already signed out of that application."));

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(APPLICATIONS, show)).service(routes::act(
        LEAVE_APPLICATION,
        APPLICATIONS,
        leave,
    ));
}

#[derive(Template)]
#[template(path = "account/applications.html")]
struct ApplicationsPage {
    rows: Vec<Row>,
}

/// An application on the page.
struct Row {
    name: String,
    host: String,
    url: String,
    /// What stands in the place of its icon.
    face: Face,
    last_used: Option<Moment>,
    /// Where one is signed in there.
    devices: Vec<Device>,
}

struct Device {
    name: Message,
    is_this: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LeaveForm {
    host: String,
}

impl Row {
    fn of(application: &Application, used: &[(AppSession, Session)], this: &Id, now: Moment) -> Self {
        let there = || used.iter().filter(|(at, _)| at.host == application.host);
        let mut live: Vec<&Session> = Vec::new();
        for (at, session) in there() {
            let is_counted = live.iter().any(|counted| counted.life.id == session.life.id);
            if at.is_open() && session.life.is_live(now) && !is_counted {
                live.push(session);
            }
        }
        let device = |session: &&Session| Device {
            name: if session.name.is_empty() {
                browser_name(&session.device)
            } else {
                Message::verbatim(&session.name)
            },
            is_this: session.life.id == *this,
        };
        Self {
            name: application.name.clone(),
            host: application.host.clone(),
            url: application.url(),
            face: Face::of_name(&application.name),
            last_used: there().map(|(at, _)| at.last_used_at).max(),
            devices: live.iter().map(device).collect(),
        }
    }
}

async fn show(app: Data<App>, viewer: Viewer) -> Result<Answer, HttpError> {
    let id = viewer.user.id.clone();
    let used = app.db.read(move |conn| app_sessions::used_by(conn, &id)).await?;
    let now = app.clock.now();
    let open = app.config.applications.iter().filter(|application| application.is_for(viewer.user.role));
    let rows = open.map(|application| Row::of(application, &used, &viewer.session.life.id, now)).collect();
    Ok(page::ok(ApplicationsPage { rows }).showing(&[&LEFT, &NOT_THERE]))
}

async fn leave(app: Data<App>, by: By, Form(form): Form<LeaveForm>) -> Result<Answer, HttpError> {
    let Some(host) = app.config.applications.at(&form.host).map(|application| application.host.clone())
    else {
        return Ok(page::see_other(APPLICATIONS.path()).saying(NOT_THERE.post()));
    };
    let ended = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            let user = &by.user().id;
            let ended = app_sessions::end_at(conn, user, &host, by.now)?;
            if ended > 0 {
                events::note(conn, Kind::ApplicationLeft, Some(user), &by.source(), &host, by.now)?;
            }
            Ok::<_, FormError>(ended)
        })
        .await?;
    let notice = if ended > 0 { &LEFT } else { &NOT_THERE };
    Ok(page::see_other(APPLICATIONS.path()).saying(notice.post()))
}
