//! For staff, who see, and superusers, who also act: everybody, what happened, and what is on its way.

mod bulk;
mod csv;
mod events;
mod listing;
mod mails;
mod newcomer;
mod pending;
mod people;
mod person;
mod snapshot;

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;

use crate::app::App;
use crate::db;
use crate::identity::{Message, Role, Standing};
use crate::paths::{self, route};
use crate::records;
use crate::web::fault::Fault;
use crate::web::page::{self, Chrome};
use crate::web::viewer::Staff;
use crate::web::{filters, routes};
use snapshot::Snapshot;
pub use snapshot::Snapshots;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::ADMIN, overview));
    newcomer::routes(config);
    bulk::routes(config);
    people::routes(config);
    person::routes(config);
    pending::routes(config);
    mails::routes(config);
    events::routes(config);
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    chrome: Chrome,
    numbers: Snapshot,
    bars: Vec<Bar>,
    events: Vec<events::Row>,
}

/// A day in the picture: places and heights of its two bars.
struct Bar {
    day: String,
    sign_ups: i64,
    sign_ins: i64,
    x: usize,
    sign_ups_height: i64,
    sign_ins_height: i64,
}

/// The height of the picture.
const HEIGHT: i64 = 80;
/// How many events the page shows.
const LATEST: i64 = 10;

async fn overview(app: Data<App>, Staff(viewer): Staff) -> Result<HttpResponse, Fault> {
    let numbers = Snapshots::get(&app).await?;
    let latest = |conn: &mut db::Connection| {
        let latest = records::events::list(conn, &records::events::Filter::default(), None, LATEST)?;
        events::rows(conn, latest)
    };
    let events = app.db.read(latest).await?;
    let bars = bars(&numbers);
    Ok(page::ok(&OverviewPage { chrome: Chrome::of(Some(&viewer)), numbers, bars, events }))
}

fn bars(numbers: &Snapshot) -> Vec<Bar> {
    let highest = numbers.days.iter().map(|day| day.sign_ups.max(day.sign_ins)).max().unwrap_or(0).max(1);
    // Whatever is not nothing can be seen.
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / highest).max(1) };
    let bar = |(index, day): (usize, &snapshot::Day)| Bar {
        day: day.at.short().get(..10).unwrap_or_default().to_owned(),
        sign_ups: day.sign_ups,
        sign_ins: day.sign_ins,
        x: index * 10,
        sign_ups_height: height(day.sign_ups),
        sign_ins_height: height(day.sign_ins),
    };
    numbers.days.iter().enumerate().map(bar).collect()
}

impl OverviewPage {
    fn sign_ups(&self) -> i64 {
        self.bars.iter().map(|bar| bar.sign_ups).sum()
    }

    fn sign_ins(&self) -> i64 {
        self.bars.iter().map(|bar| bar.sign_ins).sum()
    }

    /// What the picture shows, for who does not see it.
    fn told(&self) -> Message {
        Message::new("The last 30 days. Sign-ups: {sign_ups}. Sign-ins: {sign_ins}.")
            .with("sign_ups", self.sign_ups())
            .with("sign_ins", self.sign_ins())
    }

    /// Each role: what it is called, its list, and how many have it.
    fn roles(&self) -> Vec<(Message, String, i64)> {
        let list = |role: Role| paths::with_query(route::PEOPLE, &[("role", role.as_str())]);
        let count = |role| self.numbers.census.of(Some(role), None);
        Role::ALL.iter().map(|role| (role.name(), list(*role), count(*role))).collect()
    }

    /// Each standing in the same way.
    fn standings(&self) -> Vec<(Message, String, i64)> {
        let row = |standing: &Standing| {
            let list = paths::with_query(route::PEOPLE, &[("standing", standing.as_str())]);
            (standing.name(), list, self.numbers.census.of(None, Some(standing)))
        };
        Standing::ALL.iter().map(row).collect()
    }

    fn mails(word: &str) -> String {
        paths::with_query(route::MAILS, &[("state", word)])
    }
}
