//! The list of accounts: searched, filtered, sorted, a page at a time, and as a file.

use std::collections::BTreeMap;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use diesel::QueryResult;
use futures_util::stream::try_unfold;

use super::acting::notice;
use super::bulk;
use super::bulk_act::BulkAct;
use super::users_query::{Listing, UsersQuery};
use crate::accounts::administration::ActKind;
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{AccountStatus, Email, Id, Message, Moment, Role, Username, t, tn};
use crate::paths::admin::{BULK, USER, USERS, USERS_CSV};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::sessions;
use crate::records::users::Listed;
use crate::records::users::directory::{self, Filter};
use crate::records::users::two_factor::TwoFactor;
use crate::site::csv;
use crate::site::listing::ROWS;
use crate::web::carried;
use crate::web::errors::HttpError;
use crate::web::forms::{self, Problems};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::Face;
use crate::web::view::filters;
use crate::web::viewer::{By, Staff};

/// Up to so many accounts are counted for a page.
const COUNTED: usize = 10_000;
/// So many where the census knows larger numbers, or where two filters meet: no index counts those alone.
const COUNTED_BRIEFLY: usize = 1000;
/// So many accounts are read at once for a file.
const BATCH: usize = 500;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(USERS_CSV, save)).service(routes::page(USERS, list));
}

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    query: UsersQuery,
    total: Message,
    rows: Vec<Row>,
    /// The way back to the beginning, where the page is not it.
    first: Option<String>,
    next: Option<String>,
    /// Whether only accounts with an email address are listed.
    has_email: bool,
    /// Whether bulk acts are offered.
    may_act: bool,
    /// The bulk form that was sent before its person was signed out.
    carried: BTreeMap<String, String>,
    problems: Problems,
}

/// A row of the list.
struct Row {
    path: String,
    /// The name of its box in a bulk form.
    checkbox: String,
    /// Whether it was ticked before its person was signed out.
    is_ticked: bool,
    face: Face,
    username: Username,
    full_name: String,
    email: Option<Email>,
    role: Role,
    status: AccountStatus,
    two_factor: TwoFactor,
    joined: Moment,
    last_seen: Option<Moment>,
}

impl Row {
    fn of(user: &Listed, required_of: &[Role], last_seen: Option<Moment>) -> Self {
        Self {
            path: USER.to([user.id.as_str()]),
            checkbox: bulk::checkbox_name(&user.id),
            is_ticked: false,
            face: Face::of_listed(user),
            username: user.username.clone(),
            full_name: user.full_name.clone(),
            email: user.email.clone(),
            role: user.role,
            status: user.status(),
            two_factor: user.two_factor(required_of),
            joined: user.created_at,
            last_seen,
        }
    }
}

impl UsersPage {
    /// What stands in a field of the bulk form.
    fn carried(&self, name: &str) -> &str {
        self.carried.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What is read for a page.
struct Found {
    rows: Vec<Row>,
    next: Option<directory::Cursor>,
    /// How many there are, up to one more than is counted.
    counted: usize,
}

async fn list(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<Answer, HttpError> {
    let query: UsersQuery = forms::query(&req)?;
    let (Listing { filter, order, after }, problems) = query.parse(&app.config.two_factor.required_of)?;
    let wanted = filter.clone();
    let found = app
        .db
        .read(move |conn| {
            let page = directory::page(conn, &wanted, order, after.as_ref(), ROWS)?;
            let ids: Vec<Id> = page.users.iter().map(|user| user.id.clone()).collect();
            let seen = sessions::last_seen(conn, &ids)?;
            let row = |user: &Listed| Row::of(user, &wanted.required_of, seen.get(&user.id).copied());
            let rows = page.users.iter().map(row).collect();
            let counted = directory::count(conn, &wanted, most_counted(&wanted) + 1)?;
            Ok(Found { rows, next: page.next, counted })
        })
        .await?;
    let carried = carried::take_returned(&req, &viewer.user.id).filter(|carried| carried.path == BULK.path());
    let carried: BTreeMap<String, String> = carried.and_then(|carried| carried.form()).unwrap_or_default();
    let tick = |row: Row| Row { is_ticked: carried.contains_key(&row.checkbox), ..row };
    let rows = found.rows.into_iter().map(tick).collect();
    let page = UsersPage {
        carried,
        total: total(&app, &filter, found.counted).await?,
        rows,
        first: (!query.after.is_empty()).then(|| query.path()),
        next: found.next.map(|cursor| query.path_after(&cursor)),
        has_email: filter.has_email,
        may_act: viewer.user.role == Role::Superuser,
        query,
        problems,
    };
    let page = if page.problems.is_empty() { page::ok(page) } else { page::form_again(page) };
    Ok(page.showing(BulkAct::NOTICES).showing(&[notice(ActKind::Delete)]))
}

fn most_counted(filter: &Filter) -> usize {
    let are_two = filter.role.is_some() && filter.status.is_some();
    if are_two || is_in_census(filter) { COUNTED_BRIEFLY } else { COUNTED }
}

/// Whether the census has the number of these accounts.
fn is_in_census(filter: &Filter) -> bool {
    filter.search.is_empty()
        && !filter.has_email
        && filter.two_factor.is_none()
        && filter.joined_from.is_none()
        && filter.joined_before.is_none()
}

/// Says how many accounts a filter means: exactly up to as many as are counted; beyond that from the census of the last minutes, where
/// it has the number.
async fn total(app: &App, filter: &Filter, counted: usize) -> Result<Message, HttpError> {
    let most = most_counted(filter);
    if counted <= most {
        return Ok(tn("1 account", "{count} accounts", counted));
    }
    if is_in_census(filter) {
        let census = app.statistics.recent().await?.census;
        let known = census.of(filter.role, filter.status.as_ref());
        // Fewer than have just been found: it is out of date.
        if usize::try_from(known).is_ok_and(|known| known > most) {
            return Ok(tn("1 account", "{count} accounts", known));
        }
    }
    Ok(t("More than {count} accounts").with("count", most))
}

/// Where a file of accounts goes on.
struct Rest {
    app: Data<App>,
    listing: Listing,
    /// What stands before the next rows.
    head: String,
}

/// The same accounts as a file, read and sent a few at a time.
async fn save(app: Data<App>, _: Staff, by: By, req: HttpRequest) -> Result<HttpResponse, HttpError> {
    let query: UsersQuery = forms::query(&req)?;
    let (listing, problems) = query.parse(&app.config.two_factor.required_of)?;
    if !problems.is_empty() {
        return Err(HttpError::BadRequest);
    }
    let asked = query.told();
    app.db.write(move |conn| note_download(conn, &by, &asked).map_err(db::Error::from)).await?;
    let head =
        csv::line(&["id", "username", "email", "name", "phone", "role", "status", "two_factor", "joined"]);
    let lines = try_unfold(Some(Rest { app, listing, head }), |rest| async move {
        match rest {
            Some(rest) => rest.next_lines().await.map(Some),
            None => Ok(None),
        }
    });
    Ok(csv::answer("accounts", lines))
}

/// Logs who took which list of personal data out of the program.
fn note_download(conn: &mut Connection, by: &By, asked: &str) -> QueryResult<()> {
    let event = NewEvent {
        kind: Kind::AccountsDownloaded,
        user: None,
        actor: Some(&by.user().id),
        source: &by.source(),
        detail: asked,
        was: "",
        became: "",
    };
    events::insert(conn, &event, by.now).map(drop)
}

impl Rest {
    async fn next_lines(mut self) -> Result<(Bytes, Option<Self>), HttpError> {
        let filter = self.listing.filter.clone();
        let order = self.listing.order;
        let after = self.listing.after.take();
        let found = self
            .app
            .db
            .read(move |conn| directory::page(conn, &filter, order, after.as_ref(), BATCH))
            .await?;
        let mut lines = std::mem::take(&mut self.head);
        let required_of = &self.app.config.two_factor.required_of;
        lines.extend(found.users.iter().map(|user| csv_line(user, required_of)));
        self.listing.after = found.next;
        let rest = self.listing.after.is_some().then_some(self);
        Ok((Bytes::from(lines), rest))
    }
}

fn csv_line(user: &Listed, required_of: &[Role]) -> String {
    csv::line(&[
        user.id.as_str(),
        user.username.as_str(),
        user.email.as_ref().map_or("", Email::as_str),
        &user.full_name,
        &user.phone,
        user.role.as_str(),
        user.status().as_str(),
        user.two_factor(required_of).as_str(),
        &user.created_at.iso(),
    ])
}
