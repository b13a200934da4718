//! The audit trail: who did what to whom, when, from where, with before and after. It can be read here and changed nowhere.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::listing::{begin, day, known, one_more, one_page, print_point};
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Id, Message, Moment};
use crate::paths::{self, route};
use crate::records::events::{self, Event, Filter, Kind};
use crate::records::users;
use crate::records::users::directory;
use crate::web::fault::Fault;
use crate::web::forms::{self, Problems};
use crate::web::page::{self, Chrome};
use crate::web::viewer::Staff;
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::EVENTS, list));
}

#[derive(Template)]
#[template(path = "admin/events.html")]
struct EventsPage {
    chrome: Chrome,
    asked: Asked,
    rows: Vec<Row>,
    next: Option<String>,
    problems: Problems,
}

/// An event as pages show it.
pub(super) struct Row {
    pub at: Moment,
    pub what: Message,
    pub whom: Option<Who>,
    pub by: Option<Who>,
    pub from: String,
    pub detail: String,
    pub was: String,
    pub became: String,
}

/// Somebody in an event.
pub(super) struct Who {
    pub name: Message,
    /// Their page, while there is one.
    pub path: Option<String>,
}

/// The list, as its address says it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// To whom: a username, or an identifier.
    person: String,
    /// By whom, in the same way.
    by: String,
    kind: String,
    from: String,
    until: String,
    after: String,
}

async fn list(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let asked: Asked = forms::query(&req)?;
    let after = begin(&asked.after)?;
    let (filter, problems) = asked.understand()?;
    let (person, by) = (asked.person.clone(), asked.by.clone());
    let (rows, next) = app
        .db
        .read(move |conn| {
            let mut filter = filter.clone();
            (filter.user, filter.actor) = (somebody(conn, &person)?, somebody(conn, &by)?);
            let found = events::list(conn, &filter, after.as_ref(), one_more())?;
            let (events, next) = one_page(found, |event| print_point(event.at, &event.id));
            Ok::<_, db::Error>((rows(conn, events)?, next))
        })
        .await?;
    let next = next.map(|after| asked.path(&after));
    let page = EventsPage { chrome: Chrome::of(Some(&viewer)), asked, rows, next, problems };
    Ok(if page.problems.is_empty() { page::ok(&page) } else { page::refused(&page) })
}

/// Whom a field names: by identifier, also of an account that is gone, or by username. A name that nobody has is nobody,
/// of whom there are no events.
fn somebody(conn: &mut Connection, typed: &str) -> Result<Option<Id>, db::Error> {
    let typed = typed.trim().to_ascii_lowercase();
    if typed.is_empty() {
        return Ok(None);
    }
    if let Some(id) = Id::parse(&typed) {
        return Ok(Some(id));
    }
    let user = if typed.is_ascii() { users::by_username(conn, &typed)? } else { None };
    Ok(Some(user.map_or_else(|| Id::from_stored(String::new()), |user| user.id)))
}

impl Asked {
    fn understand(&self) -> Result<(Filter, Problems), Fault> {
        let mut problems = Problems::default();
        let kind = known(&self.kind, Kind::parse)?;
        let from = day(&self.from, "from", &mut problems);
        let before = day(&self.until, "until", &mut problems).map(Moment::next_day);
        Ok((Filter { kind, from, before, ..Filter::default() }, problems))
    }

    fn path(&self, after: &str) -> String {
        let fields = [
            ("person", self.person.as_str()),
            ("by", &self.by),
            ("kind", &self.kind),
            ("from", &self.from),
            ("until", &self.until),
            ("after", after),
        ];
        paths::with_query(route::EVENTS, &fields)
    }
}

/// The events with the names of those in them.
pub(super) fn rows(conn: &mut Connection, events: Vec<Event>) -> Result<Vec<Row>, db::Error> {
    let people = events.iter().flat_map(|event| [&event.user_id, &event.actor_id]).flatten();
    let people: Vec<Id> = people.cloned().collect();
    let names = directory::names(conn, &people)?;
    let who = |id: Id| match names.get(&id) {
        Some(name) => Who { name: Message::new("{name}").with("name", name), path: Some(paths::person(&id)) },
        None => Who { name: "A deleted account".into(), path: None },
    };
    let row = |event: Event| Row {
        what: event.name(),
        at: event.at,
        whom: event.user_id.map(who),
        by: event.actor_id.map(who),
        from: event.address,
        detail: event.detail,
        was: event.was,
        became: event.became,
    };
    Ok(events.into_iter().map(row).collect())
}
