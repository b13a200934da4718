//! Codes and reset links that were sent: to whom, when, until when, how they stand; never what is in them. A superuser
//! can make one worthless.

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::listing::{begin, id, one_more, one_page, print_point};
use crate::app::App;
use crate::db;
use crate::identity::{Id, Message, Moment, Purpose, Role};
use crate::paths::{self, route};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::links::{self, Link, LinkState};
use crate::records::users::User;
use crate::records::verifications::{self, CodeState, Verification};
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms;
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Staff, Superuser, Viewer};
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::act(route::CANCEL_CODE, cancel_code))
        .service(routes::page(route::CODES, codes))
        .service(routes::act(route::CANCEL_RESET, cancel_reset))
        .service(routes::page(route::RESETS, resets));
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Code,
    Reset,
}

#[derive(Template)]
#[template(path = "admin/pending.html")]
struct PendingPage {
    chrome: Chrome,
    title: Message,
    about: Message,
    rows: Vec<Row>,
    next: Option<String>,
    may_act: bool,
    /// Whether tries are counted: codes have them, links do not.
    has_tries: bool,
}

/// A code or a link as pages show it.
pub(super) struct Row {
    pub username: String,
    pub person: String,
    pub what: Message,
    pub address: String,
    pub asked: Moment,
    pub expires: Moment,
    pub tries: Option<i32>,
    pub state: Message,
    /// Where it is cancelled, while it works.
    pub cancel: Option<String>,
    /// Its place in the list.
    place: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    after: String,
}

impl Row {
    pub(super) fn of_code(flow: &Verification, user: &User, now: Moment) -> Self {
        let state = flow.state(now);
        // A sign-up that only looks like one: no code was sent, and none fits.
        let has_code = flow.code_digest.is_some();
        let name: Message = match state {
            _ if !has_code => "No code: the address has an account".into(),
            CodeState::Open => "Waits".into(),
            CodeState::Spent => "All tries used up".into(),
            CodeState::Expired => "Ran out or cancelled".into(),
            CodeState::Ended => "Used or cancelled".into(),
        };
        Self {
            username: user.username.clone(),
            person: paths::person(&user.id),
            what: match flow.purpose {
                Purpose::ChangeEmail => "Change of address".into(),
                _ => "Sign-up".into(),
            },
            address: flow.address.clone(),
            asked: flow.created_at,
            expires: flow.code_expires_at,
            tries: Some(flow.tries),
            state: name,
            cancel: (state == CodeState::Open && has_code).then(|| paths::cancel_code(&flow.id)),
            place: print_point(flow.created_at, &flow.id),
        }
    }

    pub(super) fn of_link(link: &Link, user: &User, now: Moment) -> Self {
        let state = link.state(now);
        let name: Message = match state {
            LinkState::Open => "Waits".into(),
            LinkState::Used => "Used".into(),
            LinkState::Revoked => "Cancelled".into(),
            LinkState::Expired => "Ran out".into(),
        };
        Self {
            username: user.username.clone(),
            person: paths::person(&user.id),
            what: "Password".into(),
            address: link.address.clone(),
            asked: link.created_at,
            expires: link.expires_at,
            tries: None,
            state: name,
            cancel: (state == LinkState::Open).then(|| paths::cancel_reset(&link.id)),
            place: print_point(link.created_at, &link.id),
        }
    }
}

async fn codes(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let asked: Asked = forms::query(&req)?;
    let (after, now) = (begin(&asked.after)?, app.clock.now());
    let found = app
        .db
        .read(move |conn| Ok::<_, db::Error>(verifications::list(conn, None, after.as_ref(), one_more())?))
        .await?;
    let rows = found.iter().map(|(flow, user)| Row::of_code(flow, user, now)).collect();
    Ok(page::ok(&PendingPage::new(Pending::Code, &viewer, &req, rows)))
}

async fn resets(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let asked: Asked = forms::query(&req)?;
    let (after, now) = (begin(&asked.after)?, app.clock.now());
    let purpose = Purpose::ResetPassword;
    let found = app
        .db
        .read(move |conn| Ok::<_, db::Error>(links::list(conn, purpose, None, after.as_ref(), one_more())?))
        .await?;
    let rows = found.iter().map(|(link, user)| Row::of_link(link, user, now)).collect();
    Ok(page::ok(&PendingPage::new(Pending::Reset, &viewer, &req, rows)))
}

async fn cancel_code(
    app: Data<App>,
    superuser: Superuser,
    client: Client,
    at: Path<String>,
) -> Result<HttpResponse, Fault> {
    cancel(Pending::Code, &app, superuser, &client, id(&at)?).await
}

async fn cancel_reset(
    app: Data<App>,
    superuser: Superuser,
    client: Client,
    at: Path<String>,
) -> Result<HttpResponse, Fault> {
    cancel(Pending::Reset, &app, superuser, &client, id(&at)?).await
}

async fn cancel(
    pending: Pending,
    app: &App,
    Superuser(viewer): Superuser,
    client: &Client,
    id: Id,
) -> Result<HttpResponse, Fault> {
    let (origin, now) = (client.origin(), app.clock.now());
    let (list, kind, done) = match pending {
        Pending::Code => (route::CODES, Kind::CodeCancelled, "code-cancelled"),
        Pending::Reset => (route::RESETS, Kind::ResetCancelled, "reset-cancelled"),
    };
    let cancelled = app
        .db
        .write(move |conn| {
            viewer.still_may(conn, now)?;
            let owner = match pending {
                Pending::Code => verifications::cancel_code(conn, &id, now)?,
                Pending::Reset => links::cancel(conn, &id, Purpose::ResetPassword, now)?,
            };
            if owner.is_some() {
                let (user, actor) = (owner.as_ref(), Some(&viewer.user.id));
                let (was, became) = ("waits", "cancelled");
                let event = NewEvent { kind, user, actor, origin: &origin, detail: "", was, became };
                events::insert(conn, &event, now)?;
            }
            Ok::<_, Refusal>(owner.is_some())
        })
        .await?;
    Ok(page::see_other(&paths::with_notice(list, if cancelled { done } else { "too-late" })))
}

impl PendingPage {
    fn new(pending: Pending, viewer: &Viewer, req: &HttpRequest, rows: Vec<Row>) -> Self {
        let (rows, next) = one_page(rows, |row: &Row| row.place.clone());
        let (title, about, list) = match pending {
            Pending::Code => (
                "One-time codes",
                "Codes of the last 72 hours. Only those who got them can read them.",
                route::CODES,
            ),
            Pending::Reset => (
                "Password resets",
                "Links to choose a password, kept for three days after their end. Each works once.",
                route::RESETS,
            ),
        };
        Self {
            chrome: Chrome::of(Some(viewer)).with_notice(req.query_string()),
            title: title.into(),
            about: about.into(),
            rows,
            next: next.map(|after| paths::with_query(list, &[("after", &after)])),
            may_act: viewer.user.role == Role::Superuser,
            has_tries: pending == Pending::Code,
        }
    }
}
