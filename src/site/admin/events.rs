//! The audit log: who did what to whom, when, from where, with before and after. It can be read here and changed nowhere.

use actix_web::HttpRequest;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use diesel::QueryResult;
use serde::Deserialize;

use super::listing::{day, known, one_more, one_page, parse_cursor, print_cursor};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{Id, Message, Moment, browser_name, t};
use crate::paths::admin::{EVENTS, USER};
use crate::paths::with_query;
use crate::records::events::{self, Event, Filter, Kind, Source, Whose};
use crate::records::users;
use crate::records::users::directory;
use crate::web::errors::HttpError;
use crate::web::forms::{Problems, query};
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::view::filters;
use crate::web::viewer::Staff;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(EVENTS, list));
}

#[derive(Template)]
#[template(path = "admin/events.html")]
struct EventsPage {
    query: EventsQuery,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
    problems: Problems,
}

/// An event as pages show it.
pub struct Row {
    pub at: Moment,
    pub what: Message,
    pub user: Option<Who>,
    pub actor: Option<Who>,
    pub source: Message,
    pub detail: Message,
    pub changes: Vec<Change>,
}

/// One thing that changed; the same before and after where the audit log holds its name alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub was: String,
    pub became: String,
}

impl Change {
    /// Pairs what was with what became of it: a line for each thing, in the same order.
    fn pairs(was: &str, became: &str) -> Vec<Self> {
        let count = was.lines().count().max(became.lines().count());
        let line = |text: &str, number: usize| text.lines().nth(number).unwrap_or_default().to_owned();
        (0..count).map(|number| Self { was: line(was, number), became: line(became, number) }).collect()
    }
}

/// Somebody in an event.
pub struct Who {
    pub name: Message,
    /// Their page, while there is one.
    pub path: Option<String>,
}

/// The list, as its address says it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct EventsQuery {
    /// To whom: a username, an email address or an identifier.
    person: String,
    /// By whom, in the same way.
    by: String,
    kind: String,
    from: String,
    until: String,
    after: String,
}

async fn list(app: Data<App>, _: Staff, req: HttpRequest) -> Result<Answer, HttpError> {
    let asked: EventsQuery = query(&req)?;
    let after = known(&asked.after, parse_cursor)?;
    let (filter, problems) = asked.parse()?;
    let wanted = asked.clone();
    let (rows, next) = app
        .db
        .read(move |conn| {
            let user = whose(conn, &wanted.person)?;
            let actor = whose(conn, &wanted.by)?;
            let filter = Filter { user, actor, ..filter.clone() };
            let found = events::list(conn, &filter, after.as_ref(), one_more())?;
            let (events, next) = one_page(found, |event| print_cursor(event.at, &event.id));
            Ok((rows(conn, events)?, next))
        })
        .await?;
    let next = next.map(|after| asked.path_after(&after));
    let first = (!asked.after.is_empty()).then(|| asked.path_after(""));
    let page = EventsPage { query: asked, rows, first, next, problems };
    Ok(if page.problems.is_empty() { page::ok(page) } else { page::form_again(page) })
}

/// Whom a field names: by identifier, also of an account that is gone, or by any name of an account.
fn whose(conn: &mut Connection, typed: &str) -> QueryResult<Whose> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(Whose::Anybody);
    }
    if let Some(id) = Id::parse(&typed.to_ascii_lowercase()) {
        return Ok(Whose::One(id));
    }
    Ok(users::by_any_name(conn, typed)?.map_or(Whose::Nobody, |user| Whose::One(user.id)))
}

impl EventsQuery {
    fn parse(&self) -> Result<(Filter, Problems), HttpError> {
        let mut problems = Problems::default();
        let kind = known(&self.kind, Kind::parse)?;
        let from = day(&self.from, "from", &mut problems);
        let before = day(&self.until, "until", &mut problems).map(Moment::next_day);
        Ok((Filter { kind, from, before, ..Filter::default() }, problems))
    }

    fn path_after(&self, after: &str) -> String {
        let fields = [
            ("person", self.person.as_str()),
            ("by", &self.by),
            ("kind", &self.kind),
            ("from", &self.from),
            ("until", &self.until),
            ("after", after),
        ];
        with_query(EVENTS.path(), &fields)
    }

    fn is_narrowed(&self) -> bool {
        [&self.person, &self.by, &self.kind, &self.from, &self.until].iter().any(|field| !field.is_empty())
    }
}

/// What else there is to say: of a sign-in the device, as people name it.
fn detail(event: &Event) -> Message {
    if event.is_of(Kind::SignedIn) { browser_name(&event.detail) } else { Message::verbatim(&event.detail) }
}

/// Shows events, with the names of those in them.
pub fn rows(conn: &mut Connection, events: Vec<Event>) -> QueryResult<Vec<Row>> {
    let users = events.iter().flat_map(|event| [&event.user_id, &event.actor_id]).flatten();
    let users: Vec<Id> = users.cloned().collect();
    let names = directory::names(conn, &users)?;
    let who = |id: Id| match names.get(&id) {
        Some(name) => Who { name: Message::verbatim(name), path: Some(USER.to([id.as_str()])) },
        None => Who { name: t("A deleted account").into(), path: None },
    };
    let row = |event: Event| Row {
        what: event.name(),
        detail: detail(&event),
        at: event.at,
        source: Source::name(&event.source),
        user: event.user_id.map(who),
        actor: event.actor_id.map(who),
        changes: Change::pairs(&event.was, &event.became),
    };
    Ok(events.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_stands_a_line_each_and_a_reason_stays_whole() {
        let shown = |was: &str, became: &str| {
            let changes = Change::pairs(was, became);
            changes.into_iter().map(|change| (change.was, change.became)).collect::<Vec<_>>()
        };
        let pair = |was: &str, became: &str| (was.to_owned(), became.to_owned());
        assert_eq!(
            shown("username “a”\nphone", "username “b”\nphone"),
            [pair("username “a”", "username “b”"), pair("phone", "phone")]
        );
        assert_eq!(
            shown("blocked: spam; and worse, too", "active"),
            [pair("blocked: spam; and worse, too", "active")]
        );
        assert_eq!(shown("", "ann@example.org"), [pair("", "ann@example.org")]);
        assert_eq!(shown("", ""), []);
    }
}
