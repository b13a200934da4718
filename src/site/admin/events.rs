//! The audit log: who did what to whom, when, from where, with before and after. It can be read here and changed nowhere.

use actix_web::HttpRequest;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;
use diesel::QueryResult;
use serde::Deserialize;

use super::listing::{day, known, one_more, one_page, parse_cursor, print_cursor};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{AccountStatus, CodePurpose, Id, Message, Moment, Role, Sentence, browser_name, t};
use crate::mail::Mail;
use crate::paths::admin::{EVENTS, USER};
use crate::paths::with_query;
use crate::records::events::{self, Event, Filter, Kind, Source, Whose};
use crate::records::outbox::State;
use crate::records::users::{self, User, directory};
use crate::web::errors::HttpError;
use crate::web::forms::{Problems, query};
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::signed_in::Face;
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

/// One thing that changed; the same before and after where the audit log holds its name alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub was: Message,
    pub became: Message,
}

impl Change {
    /// Pairs what was with what became of it: a line for each thing, in the same order.
    fn pairs(was: &str, became: &str) -> Vec<Self> {
        let count = was.lines().count().max(became.lines().count());
        let line = |text: &str, number: usize| in_words(text.lines().nth(number).unwrap_or_default());
        (0..count).map(|number| Self { was: line(was, number), became: line(became, number) }).collect()
    }
}

/// Names roles and states as pages do; everything else stays as it is.
fn in_words(stored: &str) -> Message {
    let role = Role::parse(stored).map(Role::name);
    let status = || AccountStatus::parse(stored).map(|status| status.name());
    let state = || State::parse(stored).map(State::name);
    // What a change of details may be about.
    let field = || match stored {
        "name" => Some(t("Name")),
        "phone" => Some(t("Phone")),
        "about" => Some(t("About you")),
        _ => None,
    };
    let name = role.or_else(status).or_else(state).or_else(field);
    name.map_or_else(|| Message::verbatim(stored), Message::from)
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
    fn of(user: &User) -> Self {
        Self {
            name: Message::verbatim(user.username.as_str()),
            path: Some(USER.to([user.id.as_str()])),
            face: Some(Face::of(user)),
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

/// What else there is to say, as people say it.
fn detail(event: &Event) -> Message {
    let word = event.detail.as_str();
    match event.kind() {
        Some(Kind::Unblocked) => {
            let reason = event.was.strip_prefix("blocked: ").unwrap_or_default();
            t("Had been blocked: {reason}").with("reason", reason)
        }
        _ if !event.reason().is_empty() => Message::verbatim(""),
        Some(Kind::SignedIn | Kind::DeviceSignedOut) => browser_name(word),
        Some(Kind::SignedUp) if word == Role::User.as_str() => Message::verbatim(""),
        Some(Kind::SignedUp) => in_words(word),
        Some(Kind::CodeWrong) => match CodePurpose::parse(word) {
            Some(CodePurpose::SignUp) => t("The code was for a new account").into(),
            Some(CodePurpose::ChangeEmail) => t("The code was for a new email address").into(),
            None => Message::verbatim(word),
        },
        Some(Kind::MailRetried | Kind::MailCancelled) => Mail::kind_name(word),
        // The sentence says it.
        Some(Kind::PictureChanged) => Message::verbatim(""),
        _ => Message::verbatim(word),
    }
}

/// What changed, where the sentence does not say it already.
fn changes(event: &Event) -> Vec<Change> {
    match event.kind() {
        Some(Kind::Blocked | Kind::Unblocked | Kind::PictureChanged) => Vec::new(),
        _ => Change::pairs(&event.was, &event.became),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_stands_a_line_each_and_a_reason_stays_whole() {
        let shown = |was: &str, became: &str| {
            let changes = Change::pairs(was, became);
            changes.into_iter().map(|change| (change.was, change.became)).collect::<Vec<_>>()
        };
        let pair = |was: &str, became: &str| (Message::verbatim(was), Message::verbatim(became));
        assert_eq!(
            shown("username “a”\nphone", "username “b”\nphone"),
            [pair("username “a”", "username “b”"), (t("Phone").into(), t("Phone").into())]
        );
        assert_eq!(
            shown("blocked: spam; and worse, too", "active"),
            [(Message::verbatim("blocked: spam; and worse, too"), t("Active").into())]
        );
        assert_eq!(shown("", "ann@example.org"), [pair("", "ann@example.org")]);
        assert_eq!(shown("", ""), []);
    }
}
