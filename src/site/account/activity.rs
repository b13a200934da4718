//! What happened to one's account in the last 90 days, from the audit log and the outbox: what its person did, what others
//! tried, what was mailed, and what staff did and why.

use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use diesel::QueryResult;
use futures_util::stream::try_unfold;
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Id, Message, Moment, Sentence, Zone, t};
use crate::language::Language;
use crate::mail::{Mail, TO_WANTED_ADDRESS};
use crate::paths::account::{ACTIVITY, ACTIVITY_CSV};
use crate::paths::with_query;
use crate::records::Cursor;
use crate::records::events::{self, Kind, Whose};
use crate::records::outbox::{self, ListedMail, State};
use crate::site::csv;
use crate::site::listing::{ROWS, known, one_more, one_page, parse_cursor, print_cursor};
use crate::site::telling::{Change, Happened};
use crate::web::errors::HttpError;
use crate::web::forms::query;
use crate::web::language_of;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::Viewer;

/// How far back it goes.
const SHOWN: Duration = Duration::from_secs(90 * 86_400);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::page(ACTIVITY, show)).service(routes::page(ACTIVITY_CSV, save));
}

#[derive(Template)]
#[template(path = "account/activity.html")]
struct ActivityPage {
    query: ActivityQuery,
    rows: Vec<Happened>,
    first: Option<String>,
    next: Option<String>,
}

/// Which part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    #[default]
    All,
    SigningIn,
    Changes,
    Emails,
    Staff,
}

impl Part {
    const ALL: [Self; 5] = [Self::All, Self::SigningIn, Self::Changes, Self::Emails, Self::Staff];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.as_str() == word)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::SigningIn => "signing-in",
            Self::Changes => "changes",
            Self::Emails => "emails",
            Self::Staff => "staff",
        }
    }

    fn name(self) -> Sentence {
        match self {
            Self::All => t("Everything"),
            Self::SigningIn => t("Signing in"),
            Self::Changes => t("Changes"),
            Self::Emails => t("Emails"),
            Self::Staff => t("By administrators"),
        }
    }

    fn kinds(self) -> &'static [Kind] {
        match self {
            Self::All | Self::Emails | Self::Staff => &[],
            Self::SigningIn => &[
                Kind::SignedIn,
                Kind::SignInFailed,
                Kind::SignInBlocked,
                Kind::SignedOut,
                Kind::DeviceSignedOut,
                Kind::DevicesSignedOut,
                Kind::SessionsEnded,
                Kind::CodeWrong,
                Kind::PasswordConfirmed,
            ],
            Self::Changes => &[
                Kind::SignedUp,
                Kind::Verified,
                Kind::PasswordReset,
                Kind::PasswordChanged,
                Kind::EmailChangeAsked,
                Kind::EmailChanged,
                Kind::EmailRestored,
                Kind::AccountSecured,
                Kind::DataDownloaded,
                Kind::DeletionAsked,
                Kind::DeletionCancelled,
                Kind::DetailsChanged,
                Kind::PictureChanged,
                Kind::RoleChanged,
            ],
        }
    }

    fn path(self) -> String {
        with_query(ACTIVITY.path(), &[("show", self.as_str())])
    }
}

/// The list, as its address says it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct ActivityQuery {
    show: String,
    after: String,
}

impl ActivityQuery {
    fn part(&self) -> Result<Part, HttpError> {
        Ok(known(&self.show, Part::parse)?.unwrap_or_default())
    }

    fn path_after(&self, after: &str) -> String {
        with_query(ACTIVITY.path(), &[("show", self.show.as_str()), ("after", after)])
    }

    fn csv(&self) -> String {
        with_query(ACTIVITY_CSV.path(), &[("show", self.show.as_str())])
    }
}

/// Tells of a mail.
fn mailed(mail: &ListedMail) -> Happened {
    Happened {
        id: mail.id.clone(),
        at: mail.created_at,
        told: t("We sent you an email: {name}").with("name", Mail::kind_name(&mail.kind)),
        reason: String::new(),
        detail: Message::verbatim(&mail.recipient),
        changes: Vec::new(),
        source: None,
    }
}

/// A line of the file.
fn csv_line(row: &Happened, language: Language) -> String {
    let say = |message: &Message| language.say(message, &Zone::utc());
    let change = |change: &Change| match (say(&change.was), say(&change.became)) {
        (was, became) if was == became => was,
        (was, became) => format!("{was} → {became}"),
    };
    csv::line(&[
        &row.at.iso(),
        &say(&row.told),
        &row.reason,
        &say(&row.detail),
        &row.changes.iter().map(change).collect::<Vec<_>>().join(", "),
        &row.source.as_ref().map(say).unwrap_or_default(),
    ])
}

/// Finds the newest of a part after a cursor: of events and mails each as many as a page has, so that the page has the newest of
/// both.
fn rows(
    conn: &mut Connection,
    user: &Id,
    part: Part,
    after: Option<&Cursor>,
    now: Moment,
) -> QueryResult<Vec<Happened>> {
    let from = now.minus(SHOWN);
    let mut rows = Vec::new();
    if part != Part::Emails {
        let filter = events::Filter {
            user: Whose::One(user.clone()),
            among: part.kinds(),
            acted: part == Part::Staff,
            from: Some(from),
            ..events::Filter::default()
        };
        rows.extend(events::list(conn, &filter, after, one_more())?.iter().map(Happened::of));
    }
    if matches!(part, Part::All | Part::Emails) {
        let filter = outbox::Filter {
            user: Some(user.clone()),
            state: Some(State::Sent),
            except: Some(TO_WANTED_ADDRESS),
        };
        let mails = outbox::list(conn, &filter, after, one_more())?;
        rows.extend(mails.iter().filter(|mail| mail.created_at >= from).map(mailed));
    }
    rows.sort_by(|one, other| (other.at, other.id.as_str()).cmp(&(one.at, one.id.as_str())));
    rows.truncate(ROWS + 1);
    Ok(rows)
}

async fn show(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<Answer, HttpError> {
    let asked: ActivityQuery = query(&req)?;
    let (part, after) = (asked.part()?, known(&asked.after, parse_cursor)?);
    let (user, now) = (viewer.user.id, app.clock.now());
    let found = app.db.read(move |conn| rows(conn, &user, part, after.as_ref(), now)).await?;
    let (rows, next) = one_page(found, |row| print_cursor(row.at, &row.id));
    let next = next.map(|after| asked.path_after(&after));
    let first = (!asked.after.is_empty()).then(|| asked.path_after(""));
    Ok(page::ok(ActivityPage { query: asked, rows, first, next }))
}

/// Where the file goes on.
struct Rest {
    app: Data<App>,
    user: Id,
    part: Part,
    after: Option<Cursor>,
    language: Language,
    /// What stands before the next lines.
    head: String,
}

/// The same as a file, read and sent a page at a time.
async fn save(app: Data<App>, viewer: Viewer, req: HttpRequest) -> Result<HttpResponse, HttpError> {
    let asked: ActivityQuery = query(&req)?;
    let part = asked.part()?;
    let user = viewer.user.id;
    let rest = Rest { app, user, part, after: None, language: language_of(&req), head: csv_head() };
    let lines = try_unfold(Some(rest), |rest| async move {
        let Some(mut rest) = rest else { return Ok::<_, HttpError>(None) };
        let (lines, next) =
            csv_lines(&rest.app, &rest.user, rest.part, rest.after.take(), rest.language).await?;
        let lines = std::mem::take(&mut rest.head) + &lines;
        Ok(Some((Bytes::from(lines), next.map(|next| Rest { after: Some(next), ..rest }))))
    });
    Ok(csv::answer("activity", lines))
}

/// The first line of the file.
pub fn csv_head() -> String {
    csv::line(&["time", "what", "reason", "detail", "change", "from"])
}

/// Reads the next lines of the file, and where it goes on.
pub async fn csv_lines(
    app: &App,
    user: &Id,
    part: Part,
    after: Option<Cursor>,
    language: Language,
) -> Result<(String, Option<Cursor>), db::Error> {
    let (user, now) = (user.clone(), app.clock.now());
    let mut found = app.db.read(move |conn| rows(conn, &user, part, after.as_ref(), now)).await?;
    let has_more = found.len() > ROWS;
    found.truncate(ROWS);
    let lines = found.iter().map(|row| csv_line(row, language)).collect();
    let last = found.last().map(|row| Cursor { at: row.at, id: row.id.clone() });
    Ok((lines, last.filter(|_| has_more)))
}
