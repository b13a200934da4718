//! How many accounts there are, what the last days brought, and what happened just now.

use actix_web::web::Data;
use askama::Template;

use super::events::{Row, rows};
use crate::app::App;
use crate::identity::{AccountStatus, Message, Role, Sentence, Zone, t};
use crate::language::Language;
use crate::paths::admin::{ADMIN, MAILS, USERS};
use crate::paths::with_query;
use crate::records::events::{self, Filter};
use crate::records::outbox::State;
use crate::statistics::{Day, Snapshot};
use crate::web::errors::HttpError;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::Staff;

/// The height of the chart.
const HEIGHT: i64 = 80;
/// How many events the page shows.
const LATEST: i64 = 10;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(ADMIN, overview));
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    numbers: Snapshot,
    bars: Vec<Bar>,
    events: Vec<Row>,
}

/// A day in the chart: places and heights of its two bars.
struct Bar {
    day: String,
    sign_ups: i64,
    sign_ins: i64,
    x: usize,
    sign_ups_height: i64,
    sign_ins_height: i64,
}

/// A row of a table of counts.
struct Count {
    name: Sentence,
    /// The list of those that are counted.
    list: String,
    number: i64,
}

async fn overview(app: Data<App>, _: Staff) -> Result<Answer, HttpError> {
    let numbers = app.statistics.get().await?;
    let events = app
        .db
        .read(|conn| {
            let latest = events::list(conn, &Filter::default(), None, LATEST)?;
            rows(conn, latest)
        })
        .await?;
    let bars = bars(&numbers.days);
    Ok(page::ok(OverviewPage { numbers, bars, events }))
}

fn bars(days: &[Day]) -> Vec<Bar> {
    let highest = days.iter().map(|day| day.sign_ups.max(day.sessions)).max().unwrap_or(0).max(1);
    // Whatever is not nothing can be seen.
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / highest).max(1) };
    let bar = |(index, day): (usize, &Day)| Bar {
        day: Language::of_site().day(day.at, &Zone::utc()),
        sign_ups: day.sign_ups,
        sign_ins: day.sessions,
        x: index * 10,
        sign_ups_height: height(day.sign_ups),
        sign_ins_height: height(day.sessions),
    };
    days.iter().enumerate().map(bar).collect()
}

impl OverviewPage {
    fn sign_ups(&self) -> i64 {
        self.bars.iter().map(|bar| bar.sign_ups).sum()
    }

    fn sign_ins(&self) -> i64 {
        self.bars.iter().map(|bar| bar.sign_ins).sum()
    }

    /// What the chart shows, for who does not see it.
    fn chart_text(&self) -> Message {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        t("The last 30 days. Sign-ups: {sign_ups}. Sign-ins: {sign_ins}.")
            .with("sign_ups", count(self.sign_ups()))
            .with("sign_ins", count(self.sign_ins()))
    }

    /// The top of the scale.
    fn highest(&self) -> i64 {
        self.bars.iter().map(|bar| bar.sign_ups.max(bar.sign_ins)).max().unwrap_or(0)
    }

    fn first_day(&self) -> &str {
        self.bars.first().map_or("", |bar| &bar.day)
    }

    fn last_day(&self) -> &str {
        self.bars.last().map_or("", |bar| &bar.day)
    }

    fn stuck_path() -> String {
        with_query(USERS.path(), &[("status", AccountStatus::Unverified.as_str())])
    }

    fn failed_path() -> String {
        with_query(MAILS.path(), &[("state", State::Failed.as_str())])
    }

    fn by_role(&self) -> Vec<Count> {
        let count = |role: &Role| Count {
            name: role.name(),
            list: with_query(USERS.path(), &[("role", role.as_str())]),
            number: self.numbers.census.of(Some(*role), None),
        };
        Role::ALL.iter().map(count).collect()
    }

    fn by_status(&self) -> Vec<Count> {
        let count = |status: &AccountStatus| Count {
            name: status.name(),
            list: with_query(USERS.path(), &[("status", status.as_str())]),
            number: self.numbers.census.of(None, Some(status)),
        };
        AccountStatus::ALL.iter().map(count).collect()
    }

    fn of_mail(&self) -> [Count; 2] {
        let count = |state: State, number| Count {
            name: state.name(),
            list: with_query(MAILS.path(), &[("state", state.as_str())]),
            number,
        };
        [count(State::Waiting, self.numbers.waiting), count(State::Failed, self.numbers.failed)]
    }
}
