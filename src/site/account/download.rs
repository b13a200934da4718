//! Take one's data: everything that is kept about a person in one ZIP, read and sent a piece at a time.
//!
//! Rows are written as the database has them, through the types that read them, so that a new column is in it by itself; what
//! is left out is said at the type (`serde(skip)`) and in the file's own README.

mod archive;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;

use super::activity::{Part, csv_head, csv_lines};
use crate::accounts::owner::queue_alarm;
use crate::app::App;
use crate::db;
use crate::identity::{Id, Moment, Sentence, t};
use crate::language::Language;
use crate::limits::Limit;
use crate::mail::{DataDownloaded, TO_WANTED_ADDRESS};
use crate::paths::account::DOWNLOAD;
use crate::pictures::Kept;
use crate::records::app_sessions::AppSessionRow;
use crate::records::events::{self, Event, Filter, Kind, Whose};
use crate::records::links::Link;
use crate::records::mail_budgets::Asked;
use crate::records::sessions::Session;
use crate::records::two_factor::authenticators::{self, Authenticator};
use crate::records::two_factor::passkeys::{self, Passkey};
use crate::records::two_factor::recovery_codes::{self, RecoveryCodeRow};
use crate::records::two_factor::second_steps::{self, SecondStep};
use crate::records::two_factor::trusted_devices::{self, TrustedDevice};
use crate::records::users::User;
use crate::records::verifications::Verification;
use crate::records::{Cursor, app_sessions, links, mail_budgets, outbox, sessions, verifications};
use crate::site::listing::{ROWS, one_more};
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Remaining};
use archive::{Archive, internal};

/// What programs recognise the form of `account.json` by; `docs/data.md` describes it.
const FORMAT: &str = "latchkey-account-1";

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(DOWNLOAD, show, submit_form));
}

#[derive(Template)]
#[template(path = "account/download.html")]
struct DownloadPage;

#[derive(Template)]
#[template(path = "account/download.txt")]
struct Readme<'a> {
    username: &'a str,
    site: &'a str,
    /// Each file, and what is in it.
    files: &'static [(&'static str, Sentence)],
}

const ACCOUNT: &str = "account.json";
const PICTURE: &str = "picture.jpg";
const ACTIVITY: &str = "activity.csv";
const EVENTS: &str = "events.json";
const ACTS: &str = "acts.json";
const EMAILS: &str = "emails.json";
const FILES: &[(&str, Sentence)] = &[
    (
        ACCOUNT,
        t(
            "your account: details, signed-in devices, codes and links that were sent, and when emails were last requested",
        ),
    ),
    (PICTURE, t("your picture, if you have one")),
    (ACTIVITY, t("what happened to your account in the last 90 days, in sentences, for a spreadsheet")),
    (EVENTS, t("everything that happened to your account, as it is stored")),
    (ACTS, t("for staff only: what you did to other accounts (not whose)")),
    (EMAILS, t("the emails we sent you, and whether they were delivered")),
];

async fn show(_: Remaining) -> Answer {
    page::ok(DownloadPage)
}

async fn submit_form(
    app: Data<App>,
    Remaining(by): Remaining,
    req: HttpRequest,
) -> Result<Answer, HttpError> {
    submit(app, by, req).await
}

/// Notes the download, tells its person by mail, and begins to send.
///
/// # Errors
/// Confirm the password, when it was last given more than ten minutes ago.
pub async fn submit(app: Data<App>, by: By, req: HttpRequest) -> Result<Answer, HttpError> {
    by.require_recent_proof(DOWNLOAD.path())?;
    app.limits.take([Limit::Download.of(by.user().id.as_str())]).await?.spend();
    let (doer, source, seal) = (by.clone(), by.source(), app.keys.outbox);
    app.db
        .write(move |conn| {
            let user = doer.still_may(conn)?;
            let User { id, email, time_zone, .. } = &user;
            events::note(conn, Kind::DataDownloaded, Some(id), &source, "", doer.now)?;
            let Some(email) = email else { return Ok(()) };
            let name = user.display_name().to_owned();
            let (zone, ip) = (time_zone.clone(), source.stored());
            let mail = |link| DataDownloaded { name, at: doer.now, zone, ip, link }.into();
            Ok::<_, FormError>(queue_alarm(conn, &user, email, &seal, doer.now, mail)?)
        })
        .await?;
    app.wakeup.wake();
    let name = format!("{}-{}.zip", by.user().username, by.now.iso_day());
    let language = crate::web::language_of(&req);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/zip"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(pieces(app, by.viewer.user, by.now, language))
        .into())
}

/// The file, piece by piece, packed beside the answer and only as fast as it is taken.
fn pieces(
    app: Data<App>,
    user: User,
    now: Moment,
    language: Language,
) -> impl stream::Stream<Item = Result<Bytes, HttpError>> {
    let (to, from) = mpsc::channel(2);
    actix_web::rt::spawn(async move {
        let archive = Archive::new(to.clone());
        if let Err(error) = pack(&app, &user, now, language, archive).await {
            // Whoever has gone is not told.
            to.send(Err(error)).await.unwrap_or_default();
        }
    });
    stream::unfold(from, |mut from| async { from.recv().await.map(|piece| (piece, from)) })
}

/// What is small enough to be written at once.
#[derive(Serialize)]
struct Everything {
    format: &'static str,
    made_at: Moment,
    account: User,
    /// Whether `picture.jpg` is in the file.
    has_picture: bool,
    sessions: Vec<Session>,
    applications: Vec<AppSessionRow>,
    authenticators: Vec<Authenticator>,
    passkeys: Vec<Passkey>,
    recovery_codes: Vec<RecoveryCodeRow>,
    waiting_sign_ins: Vec<SecondStep>,
    trusted_devices: Vec<TrustedDevice>,
    codes: Vec<Verification>,
    links: Vec<Link>,
    recent_emails: Vec<Asked>,
}

async fn pack(
    app: &App,
    user: &User,
    now: Moment,
    language: Language,
    mut archive: Archive,
) -> Result<(), HttpError> {
    let (username, site) = (user.username.as_str(), app.config.brand.name.as_str());
    let readme = Readme { username, site, files: FILES };
    archive.begin("README.txt")?;
    archive.write(readme.render_with_values(&language).map_err(internal)?.as_bytes()).await?;
    let picture = match &user.picture {
        Some(name) => app.pictures.read(Kept::Picture, name).await.map_err(internal)?,
        None => None,
    };
    archive.begin(ACCOUNT)?;
    let account = account(app, user, picture.is_some(), now).await?;
    archive.write(&serde_json::to_vec_pretty(&account).map_err(internal)?).await?;
    if let Some(jpeg) = picture {
        archive.begin(PICTURE)?;
        archive.write(&jpeg).await?;
    }
    archive.begin(ACTIVITY)?;
    archive.write(csv_head().as_bytes()).await?;
    let mut after = None;
    loop {
        let (lines, next) = csv_lines(app, &user.id, Part::All, after, language).await?;
        archive.write(lines.as_bytes()).await?;
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let whose = Whose::One(user.id.clone());
    let own = Filter { user: whose.clone(), ..Filter::default() };
    let acts = Filter { actor: whose, ..Filter::default() };
    pack_events(app, &mut archive, EVENTS, own, |event| serde_json::to_string(&event.for_owner())).await?;
    pack_events(app, &mut archive, ACTS, acts, |event| serde_json::to_string(&event.for_actor())).await?;
    pack_mails(app, &mut archive, &user.id).await?;
    archive.finish().await
}

async fn account(app: &App, user: &User, has_picture: bool, now: Moment) -> Result<Everything, db::Error> {
    let user = user.clone();
    app.db
        .read(move |conn| {
            Ok(Everything {
                format: FORMAT,
                made_at: now,
                has_picture,
                sessions: sessions::all_of(conn, &user.id)?,
                applications: app_sessions::all_of(conn, &user.id)?,
                authenticators: authenticators::all_of(conn, &user.id)?,
                passkeys: passkeys::all_of(conn, &user.id)?,
                recovery_codes: recovery_codes::all_of(conn, &user.id)?,
                waiting_sign_ins: second_steps::all_of(conn, &user.id)?,
                trusted_devices: trusted_devices::all_of(conn, &user.id)?,
                codes: verifications::all_of(conn, &user.id)?,
                links: links::all_of(conn, &user.id)?,
                recent_emails: match &user.email {
                    Some(email) => mail_budgets::of(conn, email, user.email_since)?,
                    None => Vec::new(),
                },
                account: user.clone(),
            })
        })
        .await
}

async fn pack_events(
    app: &App,
    archive: &mut Archive,
    name: &str,
    filter: Filter,
    write: fn(&Event) -> serde_json::Result<String>,
) -> Result<(), HttpError> {
    archive.begin(name)?;
    let mut list = List::default();
    loop {
        let (filter, after) = (filter.clone(), list.after.clone());
        let found = app.db.read(move |conn| events::list(conn, &filter, after.as_ref(), one_more())).await?;
        let rows = found.iter().map(|event| Ok((event.at, &event.id, write(event).map_err(internal)?)));
        if list.pack(archive, rows).await? {
            return Ok(());
        }
    }
}

async fn pack_mails(app: &App, archive: &mut Archive, user: &Id) -> Result<(), HttpError> {
    archive.begin(EMAILS)?;
    let mut list = List::default();
    loop {
        let filter =
            outbox::Filter { user: Some(user.clone()), state: None, except: Some(TO_WANTED_ADDRESS) };
        let after = list.after.clone();
        let found = app.db.read(move |conn| outbox::list(conn, &filter, after.as_ref(), one_more())).await?;
        let rows = found
            .iter()
            .map(|mail| Ok((mail.created_at, &mail.id, serde_json::to_string(mail).map_err(internal)?)));
        if list.pack(archive, rows).await? {
            return Ok(());
        }
    }
}

/// A JSON array that is written a page at a time, a line for each row.
#[derive(Default)]
struct List {
    after: Option<Cursor>,
    has_begun: bool,
}

impl List {
    /// Writes a page of rows, of which one more was read than it has; returns whether it was the last.
    async fn pack<'a>(
        &mut self,
        archive: &mut Archive,
        rows: impl ExactSizeIterator<Item = Result<(Moment, &'a Id, String), HttpError>>,
    ) -> Result<bool, HttpError> {
        let is_last = rows.len() <= ROWS;
        let mut text = String::new();
        for row in rows.take(ROWS) {
            let (at, id, json) = row?;
            text.push_str(if self.has_begun { ",\n" } else { "[\n" });
            self.has_begun = true;
            text.push_str(&json);
            self.after = Some(Cursor { at, id: id.clone() });
        }
        if is_last {
            text.push_str(if self.has_begun { "\n]\n" } else { "[]\n" });
        }
        archive.write(text.as_bytes()).await?;
        Ok(is_last)
    }
}
