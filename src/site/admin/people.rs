//! The list of people: searched, filtered, sorted, a page at a time, and as a file.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::stream::try_unfold;

use super::listing::{Asked, ROWS, Wanted};
use super::snapshot::Snapshots;
use crate::app::App;
use crate::db;
use crate::identity::{Id, Message, Moment, Role};
use crate::paths::{self, route};
use crate::records::sign_ins;
use crate::records::users::User;
use crate::records::users::directory::{self, Filter};
use crate::web::fault::Fault;
use crate::web::forms::{self, Problems};
use crate::web::page::{self, Chrome, initials};
use crate::web::viewer::Staff;
use crate::web::{filters, routes};

/// Up to so many people are counted for a page.
const COUNTED: usize = 10_000;
/// Where two filters meet, so many: no index counts those alone.
const COUNTED_BY_TWO: usize = 1000;
/// So many people are read at once for a file.
const BATCH: usize = 500;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::PEOPLE_CSV, save)).service(routes::page(route::PEOPLE, list));
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    chrome: Chrome,
    asked: Asked,
    total: Message,
    people: Vec<Person>,
    next: Option<String>,
    /// Whether only people with an address are listed.
    has_email: bool,
    /// Whether bulk acts are offered.
    may_act: bool,
    problems: Problems,
}

/// A row of the list.
pub(super) struct Person {
    pub path: String,
    /// The name of its box in a bulk form.
    pub tick: String,
    pub picture: Option<String>,
    pub initials: String,
    pub username: String,
    pub full_name: String,
    pub email: Option<String>,
    pub role: Message,
    pub standing: Message,
    pub standing_word: &'static str,
    pub joined: Moment,
    pub last_seen: Option<Moment>,
}

impl Person {
    pub(super) fn of(user: &User, last_seen: Option<Moment>) -> Self {
        let standing = user.standing();
        Self {
            path: paths::person(&user.id),
            tick: super::bulk::tick(&user.id),
            picture: user.picture.as_deref().map(paths::picture),
            initials: initials(user.display_name()),
            username: user.username.clone(),
            full_name: user.full_name.clone(),
            email: user.email.clone(),
            role: user.role.name(),
            standing: standing.name(),
            standing_word: standing.as_str(),
            joined: user.created_at,
            last_seen,
        }
    }
}

async fn list(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let asked: Asked = forms::query(&req)?;
    let (Wanted { filter, order, after }, problems) = asked.understand()?;
    let wanted = filter.clone();
    let (found, seen, counted) = app
        .db
        .read(move |conn| {
            let found = directory::page(conn, &wanted, order, after.as_ref(), ROWS)?;
            let ids: Vec<Id> = found.people.iter().map(|user| user.id.clone()).collect();
            let seen = sign_ins::last_seen(conn, &ids)?;
            Ok::<_, db::Error>((found, seen, directory::count(conn, &wanted, most_counted(&wanted) + 1)?))
        })
        .await?;
    let people = found.people.iter().map(|user| Person::of(user, seen.get(&user.id).copied())).collect();
    let page = PeoplePage {
        chrome: Chrome::of(Some(&viewer)).with_notice(req.query_string()),
        total: total(&app, &filter, counted).await?,
        people,
        next: found.next.map(|place| asked.path_after(&place)),
        has_email: filter.has_email,
        may_act: viewer.user.role == Role::Superuser,
        asked,
        problems,
    };
    Ok(if page.problems.is_empty() { page::ok(&page) } else { page::refused(&page) })
}

fn most_counted(filter: &Filter) -> usize {
    if filter.role.is_some() && filter.standing.is_some() { COUNTED_BY_TWO } else { COUNTED }
}

/// How many people the filter means: exactly, as far as that can be counted for a page; from the last census where it
/// has the number.
async fn total(app: &App, filter: &Filter, counted: usize) -> Result<Message, Fault> {
    let people = |count: i64| match count {
        1 => "1 person".into(),
        count => Message::new("{count} people").with("count", count),
    };
    let most = most_counted(filter);
    if counted <= most {
        return Ok(people(i64::try_from(counted).unwrap_or(i64::MAX)));
    }
    let is_counted = filter.search.is_empty()
        && !filter.has_email
        && filter.joined_from.is_none()
        && filter.joined_before.is_none();
    if is_counted {
        let census = Snapshots::get(app).await?.census;
        return Ok(people(census.of(filter.role, filter.standing.as_ref())));
    }
    Ok(Message::new("More than {count} people").with("count", most))
}

/// The same people as a file, read and sent a few at a time.
async fn save(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<HttpResponse, Fault> {
    let asked: Asked = forms::query(&req)?;
    let (wanted, problems) = asked.understand()?;
    if !problems.is_empty() {
        return Err(Fault::BadRequest);
    }
    log::info!("{} saves the list of people as a file", viewer.user.id.as_str());
    let head = super::csv::line(&["id", "username", "email", "name", "phone", "role", "standing", "joined"]);
    let start = (app, wanted, Some(head));
    let lines = try_unfold(start, |(app, mut wanted, head)| async move {
        let Some(mut bytes) = head else { return Ok(None) };
        let (filter, order, after) = (wanted.filter.clone(), wanted.order, wanted.after.take());
        let found = app
            .db
            .read(move |conn| {
                Ok::<_, db::Error>(directory::page(conn, &filter, order, after.as_ref(), BATCH)?)
            })
            .await
            .map_err(Fault::from)?;
        for user in &found.people {
            bytes.push_str(&csv_line(user));
        }
        wanted.after = found.next;
        let more = wanted.after.is_some().then(String::new);
        Ok::<_, Fault>(Some((Bytes::from(bytes), (app, wanted, more))))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"people.csv\""))
        .streaming(lines))
}

fn csv_line(user: &User) -> String {
    super::csv::line(&[
        user.id.as_str(),
        &user.username,
        user.email.as_deref().unwrap_or_default(),
        &user.full_name,
        &user.phone,
        user.role.as_str(),
        user.standing().as_str(),
        &user.created_at.iso(),
    ])
}
