//! The outbox: what waits, was sent or failed, with the server's words. A mail that waits can be looked at, with its
//! secret masked; a superuser can have it tried again, or stop it.

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::listing::{begin, id, known, one_more, one_page, print_point};
use super::person::refusal;
use crate::acts::Actor;
use crate::acts::mails::MailAct;
use crate::app::App;
use crate::db;
use crate::identity::{Message, Moment, Role};
use crate::mail::{self, Mail, Stationery};
use crate::paths::{self, route};
use crate::records::outbox::{self, Filter, Listed, State};
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms;
use crate::web::language::Language;
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Staff, Superuser};
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::act(route::MAIL_ACT, act))
        .service(routes::page(route::MAIL, show))
        .service(routes::page(route::MAILS, list));
}

#[derive(Template)]
#[template(path = "admin/mails.html")]
struct MailsPage {
    chrome: Chrome,
    asked: Asked,
    rows: Vec<Row>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/mail.html")]
struct MailPage {
    chrome: Chrome,
    row: Row,
    /// What it says, its secret masked; none for what is no mail.
    text: Option<String>,
    retry: Option<String>,
    cancel: Option<String>,
}

/// A mail as pages show it.
pub(super) struct Row {
    pub path: String,
    pub name: Message,
    pub to: String,
    pub person: Option<String>,
    pub state: Message,
    pub tries: i32,
    pub written: Moment,
    pub due: Option<Moment>,
    pub ended: Option<Moment>,
    pub trouble: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    state: String,
    person: String,
    after: String,
}

impl Row {
    pub(super) fn of(mail: &Listed) -> Self {
        Self {
            path: paths::mail(&mail.id),
            name: mail::kind_name(&mail.kind),
            to: mail.recipient.clone(),
            person: mail.user_id.as_ref().map(paths::person),
            state: mail.state.name(),
            tries: mail.tries,
            written: mail.created_at,
            due: (mail.state == State::Waiting).then_some(mail.due_at),
            ended: mail.ended_at,
            trouble: mail.trouble.clone().unwrap_or_default(),
        }
    }
}

async fn list(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let asked: Asked = forms::query(&req)?;
    let state = known(&asked.state, |word| State::parse(word).filter(|state| *state != State::Withheld))?;
    let user = if asked.person.is_empty() { None } else { Some(id(&asked.person)?) };
    let (filter, after) = (Filter { user, state }, begin(&asked.after)?);
    let found = app
        .db
        .read(move |conn| Ok::<_, db::Error>(outbox::list(conn, &filter, after.as_ref(), one_more())?))
        .await?;
    let (found, next) = one_page(found, |mail| print_point(mail.created_at, &mail.id));
    let path = |after: String| {
        let fields = [("state", asked.state.as_str()), ("person", &asked.person), ("after", &after)];
        paths::with_query(route::MAILS, &fields)
    };
    let next = next.map(path);
    let chrome = Chrome::of(Some(&viewer)).with_notice(req.query_string());
    Ok(page::ok(&MailsPage { chrome, rows: found.iter().map(Row::of).collect(), next, asked }))
}

async fn show(
    app: Data<App>,
    Staff(viewer): Staff,
    at: Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, Fault> {
    let wanted = id(&at)?;
    let mail = app.db.find(move |conn| Ok::<_, db::Error>(outbox::by_id(conn, &wanted)?)).await?;
    let mail = mail.filter(|mail| mail.state != State::Withheld).ok_or(Fault::NotFound)?;
    let may_act = viewer.user.role == Role::Superuser;
    Ok(page::ok(&MailPage {
        chrome: Chrome::of(Some(&viewer)).with_notice(req.query_string()),
        text: preview(&app, &mail),
        retry: (may_act && mail.can_retry()).then(|| paths::mail_act(&mail.id, "retry")),
        cancel: (may_act && mail.state == State::Waiting).then(|| paths::mail_act(&mail.id, "cancel")),
        row: Row::of(&mail),
    }))
}

/// What the mail says, with dots where its secret stands. The secret itself is not even read.
fn preview(app: &App, mail: &Listed) -> Option<String> {
    let content: Mail = serde_json::from_str(&mail.fields).ok()?;
    let language = Language::default();
    let stationery =
        Stationery { public_url: app.config.public_url.clone(), keys: (*app.keys).clone(), language };
    let left = mail.expires_at.map(|expires| expires.since(app.clock.now())).unwrap_or_default();
    let mut letter = stationery.write(&content, "••••••", left)?;
    if let Some((_, address)) = letter.button.as_mut().filter(|_| mail.expires_at.is_some()) {
        // The link of a code is made of a key: it is a secret, too.
        "••••••".clone_into(address);
    }
    letter.text(language).ok()
}

async fn act(
    app: Data<App>,
    Superuser(viewer): Superuser,
    client: Client,
    at: Path<(String, String)>,
) -> Result<HttpResponse, Fault> {
    let (mail, now) = (id(&at.0)?, app.clock.now());
    let (act, said) = match at.1.as_str() {
        "retry" => (MailAct::Retry, "mail-retried"),
        _ => (MailAct::Cancel, "mail-cancelled"),
    };
    let actor = Actor { id: Some(viewer.user.id.clone()), origin: client.origin(), reason: String::new() };
    let wanted = mail.clone();
    let done = app
        .db
        .write(move |conn| {
            viewer.still_may(conn, now)?;
            act.perform(conn, &wanted, &actor, now).map_err(refusal)
        })
        .await;
    let said = match done {
        Ok(()) => said,
        Err(Refusal::Form(_)) => "too-late",
        Err(refusal) => return Err(refusal.into()),
    };
    app.bell.ring();
    Ok(page::see_other(&paths::with_notice(&paths::mail(&mail), said)))
}
