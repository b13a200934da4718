//! The audit log: who did what to whom, when, from where, with before and after. It can be read here and changed nowhere.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use diesel::QueryResult;
use serde::Deserialize;

use crate::app::App;
use crate::db::Connection;
use crate::identity::{Id, Message, Moment, Sentence, t};
use crate::paths::admin::{EVENTS, USER};
use crate::paths::with_query;
use crate::records::events::{self, Event, Filter, Kind, Source, Whose};
use crate::records::users::{self, Listed, directory};
use crate::site::listing::{day, known, one_more, one_page, parse_cursor, print_cursor};
use crate::site::telling::{Change, changes, detail};
use crate::web::errors::HttpError;
use crate::web::forms::{Problems, query};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::Face;
use crate::web::view::filters;
use crate::web::viewer::Staff;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(EVENTS, list));
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
    /// What happened, with `{user}` and `{actor}` as the people in it.
    pub told: Message,
    pub user: Who,
    pub actor: Who,
    pub source: Message,
    /// Why somebody did it to somebody else.
    pub reason: String,
    pub detail: Message,
    pub changes: Vec<Change>,
}

/// Somebody in an event.
#[derive(Clone)]
pub struct Who {
    pub name: Message,
    /// Their page and their face, while there is an account.
    pub path: Option<String>,
    pub face: Option<Face>,
}

impl Who {
    fn of(user: &Listed) -> Self {
        Self {
            name: Message::verbatim(user.username.as_str()),
            path: Some(USER.to([user.id.as_str()])),
            face: Some(Face::of_listed(user)),
        }
    }

    fn nameless(name: Sentence) -> Self {
        Self { name: name.into(), path: None, face: None }
    }
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

/// Shows events, with the people in them.
pub fn rows(conn: &mut Connection, events: Vec<Event>) -> QueryResult<Vec<Row>> {
    let users = events.iter().flat_map(|event| [&event.user_id, &event.actor_id]).flatten();
    let users: Vec<Id> = users.cloned().collect();
    let people = directory::people(conn, &users)?;
    let who = |id: &Option<Id>, nobody| match id {
        Some(id) => people.get(id).map_or_else(|| Who::nameless(t("(deleted account)")), Who::of),
        None => Who::nameless(nobody),
    };
    let row = |event: Event| Row {
        told: event.told(),
        detail: detail(&event),
        at: event.at,
        source: Source::name(&event.source),
        user: who(&event.user_id, t("somebody without an account")),
        actor: who(&event.actor_id, t("The operator")),
        changes: changes(&event),
        reason: event.reason().to_owned(),
    };
    Ok(events.into_iter().map(row).collect())
}
