//! The applications that people reach by signing in here: who may open each, how much it is used, and who used it when.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::config::Application;
use crate::identity::{Message, Moment, Sentence, browser_name, t};
use crate::paths::admin::{APP, APPS, EVENTS, USER};
use crate::paths::with_query;
use crate::records::app_sessions::{self, AppSessionRow, Usage};
use crate::records::events::Kind;
use crate::records::sessions::Session;
use crate::records::users::User;
use crate::site::listing::{known, one_more, one_page, parse_cursor, print_cursor};
use crate::web::errors::HttpError;
use crate::web::forms::query;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::Face;
use crate::web::view::filters;
use crate::web::viewer::Staff;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(APPS, list)).service(routes::page(APP, show));
}

#[derive(Template)]
#[template(path = "admin/apps.html")]
struct AppsPage {
    rows: Vec<AppRow>,
}

/// An application in the list.
struct AppRow {
    application: Application,
    usage: Usage,
}

#[derive(Template)]
#[template(path = "admin/app.html")]
struct AppPage {
    application: Application,
    rows: Vec<UseRow>,
    /// The list of those from before.
    events: String,
    first: Option<String>,
    next: Option<String>,
}

/// Somebody's use of an application.
struct UseRow {
    face: Face,
    username: String,
    user: String,
    device: Message,
    opened: Moment,
    last_used: Moment,
    state: Sentence,
    /// Its place in the list.
    cursor: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UseQuery {
    after: String,
}

impl AppRow {
    fn roles(&self) -> Vec<Sentence> {
        self.application.roles.iter().map(|role| role.name()).collect()
    }

    /// What else it asks for.
    fn rule(&self) -> Option<Message> {
        let within = self.application.password_within?;
        Some(t("Asks for the password again after {time}").with("time", within))
    }
}

/// The events of opening an application.
fn events_of_opening() -> String {
    with_query(EVENTS.path(), &[("kind", Kind::ApplicationOpened.as_str())])
}

impl UseRow {
    fn of((row, session, user): &(AppSessionRow, Session, User), now: Moment) -> Self {
        let is_signed_in = row.at.is_open() && session.life.is_live(now);
        Self {
            face: Face::of_user(user),
            username: user.username.to_string(),
            user: USER.to([user.id.as_str()]),
            device: browser_name(&session.device),
            opened: row.created_at,
            last_used: row.at.last_used_at,
            state: if is_signed_in { t("Signed in") } else { t("Signed out") },
            cursor: print_cursor(row.created_at, &row.at.id),
        }
    }
}

async fn list(app: Data<App>, _: Staff) -> Result<Answer, HttpError> {
    let now = app.clock.now();
    let usage = app.db.read(move |conn| app_sessions::usage(conn, now)).await?;
    let row = |application: &Application| AppRow {
        usage: usage.get(&application.host).copied().unwrap_or_default(),
        application: application.clone(),
    };
    Ok(page::ok(AppsPage { rows: app.config.applications.iter().map(row).collect() }))
}

async fn show(app: Data<App>, _: Staff, host: Path<String>, req: HttpRequest) -> Result<Answer, HttpError> {
    let application = app.config.applications.at(&host).ok_or(HttpError::NotFound)?.clone();
    let asked: UseQuery = query(&req)?;
    let after = known(&asked.after, parse_cursor)?;
    let now = app.clock.now();
    let host = application.host.clone();
    let found = app.db.read(move |conn| app_sessions::list(conn, &host, after.as_ref(), one_more())).await?;
    let rows = found.iter().map(|row| UseRow::of(row, now)).collect();
    let (rows, next) = one_page(rows, |row: &UseRow| row.cursor.clone());
    let path = APP.to([application.host.as_str()]);
    let next = next.map(|after| with_query(&path, &[("after", &after)]));
    let first = (!asked.after.is_empty()).then_some(path);
    Ok(page::ok(AppPage { application, rows, events: events_of_opening(), first, next }))
}
