//! The outbox: what waits, was sent or failed, with the server's words. A mail that waits can be looked at, with its secret
//! masked; a superuser can have it tried again, or cancel it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use super::acting::{actor, explained};
use crate::accounts::administration::mails::MailAct;
use crate::app::App;
use crate::identity::{Id, Message, Moment, Role, Sentence, t};
use crate::language::Language;
use crate::mail::{MASK, Mail, MailWriter};
use crate::paths::admin::{MAIL, MAIL_ACT, MAILS, USER};
use crate::paths::with_query;
use crate::records::outbox::{self, Filter, ListedMail, State};
use crate::site::listing::{id, known, one_more, one_page, parse_cursor, print_cursor};
use crate::web::errors::HttpError;
use crate::web::forms::{FormError, query};
use crate::web::language_of;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Staff, Superuser};

const RETRIED: Notice = Notice::new("mail-retried", t("We'll try again within 30 seconds."));
const CANCELLED: Notice =
    Notice::new("mail-cancelled", t("Email cancelled. It won't be sent unless it was already on its way."));
const CANNOT_RETRY: Notice =
    Notice::new("mail-not-retried", t("This email can't be sent again: its code or link has expired."));
const TOO_LATE: Notice = Notice::new(
    "mail-not-cancelled",
    t("This email can't be cancelled: it has already been sent, or we've stopped trying to send it."),
);

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::act(MAIL_ACT, MAIL, act))
        .service(routes::page(MAIL, show))
        .service(routes::page(MAILS, list));
}

#[derive(Template)]
#[template(path = "admin/outbox.html")]
struct OutboxPage {
    query: OutboxQuery,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/mail.html")]
struct MailPage {
    row: Row,
    /// What it says, its secret masked; none for what is no mail.
    text: Option<String>,
    retry: Option<String>,
    cancel: Option<String>,
}

/// A mail as pages show it.
pub struct Row {
    pub path: String,
    pub name: Message,
    pub to: String,
    pub user: Option<String>,
    pub state: Sentence,
    /// Its word, for the style sheet.
    pub word: &'static str,
    pub tries: i32,
    pub queued: Moment,
    pub due: Option<Moment>,
    pub ended: Option<Moment>,
    pub trouble: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct OutboxQuery {
    state: String,
    person: String,
    after: String,
}

impl Row {
    /// Shows a mail.
    pub fn of(mail: &ListedMail) -> Self {
        Self {
            path: MAIL.to([mail.id.as_str()]),
            name: Mail::kind_name(&mail.kind),
            to: mail.recipient.clone(),
            user: mail.user_id.as_ref().map(|user| USER.to([user.as_str()])),
            state: mail.state.name(),
            word: mail.state.as_str(),
            tries: mail.tries,
            queued: mail.created_at,
            due: (mail.state == State::Waiting).then_some(mail.due_at),
            ended: mail.ended_at,
            trouble: mail.trouble.clone().unwrap_or_default(),
        }
    }
}

impl OutboxQuery {
    fn parse(&self) -> Result<Filter, HttpError> {
        let state = known(&self.state, |word| State::parse(word).filter(|state| *state != State::Withheld))?;
        let user = if self.person.is_empty() { None } else { Some(id(&self.person)?) };
        Ok(Filter { user, state, except: None })
    }

    fn path_after(&self, after: &str) -> String {
        let fields = [("state", self.state.as_str()), ("person", &self.person), ("after", after)];
        with_query(MAILS.path(), &fields)
    }
}

impl OutboxPage {
    fn path_of(&self, state: &str) -> String {
        with_query(MAILS.path(), &[("state", state), ("person", &self.query.person)])
    }
}

async fn list(app: Data<App>, _: Staff, req: HttpRequest) -> Result<Answer, HttpError> {
    let asked: OutboxQuery = query(&req)?;
    let filter = asked.parse()?;
    let after = known(&asked.after, parse_cursor)?;
    let found = app.db.read(move |conn| outbox::list(conn, &filter, after.as_ref(), one_more())).await?;
    let (found, next) = one_page(found, |mail| print_cursor(mail.created_at, &mail.id));
    Ok(page::ok(OutboxPage {
        rows: found.iter().map(Row::of).collect(),
        first: (!asked.after.is_empty()).then(|| asked.path_after("")),
        next: next.map(|after| asked.path_after(&after)),
        query: asked,
    }))
}

async fn show(
    app: Data<App>,
    Staff(viewer): Staff,
    at: Path<String>,
    req: HttpRequest,
) -> Result<Answer, HttpError> {
    let wanted = id(&at)?;
    let mail = app.db.find(move |conn| outbox::by_id(conn, &wanted)).await?;
    let mail = mail.filter(|mail| mail.state != State::Withheld).ok_or(HttpError::NotFound)?;
    let may_act = viewer.user.role == Role::Superuser;
    let act = |act: MailAct| MAIL_ACT.to([mail.id.as_str(), act.word()]);
    let page = MailPage {
        text: preview(&app, &mail, language_of(&req)),
        retry: (may_act && mail.can_retry(app.clock.now())).then(|| act(MailAct::Retry)),
        cancel: (may_act && mail.state == State::Waiting).then(|| act(MailAct::Cancel)),
        row: Row::of(&mail),
    };
    Ok(page::ok(page).showing(&[&RETRIED, &CANCELLED, &CANNOT_RETRY, &TOO_LATE]))
}

/// What a mail says, with dots where its secret stands. The secret itself is not even read.
fn preview(app: &App, mail: &ListedMail, language: Language) -> Option<String> {
    let content = Mail::read(&mail.kind, &mail.fields)?;
    let writer = MailWriter::new(&app.config, &app.keys, language);
    let left = mail.expires_at.map(|expires| expires.since(app.clock.now())).unwrap_or_default();
    let written = writer.write(&content, MASK, left)?;
    // The link of a code is made of a key: it is a secret, too.
    let written = if mail.expires_at.is_some() { written.with_link_masked() } else { written };
    written.text(language).ok()
}

async fn act(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<(String, String)>,
) -> Result<Answer, HttpError> {
    let mail = id(&at.0)?;
    let act = MailAct::parse(&at.1).ok_or(HttpError::NotFound)?;
    let notice = match perform(&app, act, mail.clone(), by).await {
        Ok(()) => match act {
            MailAct::Retry => RETRIED,
            MailAct::Cancel => CANCELLED,
        },
        Err(FormError::Form(_)) => match act {
            MailAct::Retry => CANNOT_RETRY,
            MailAct::Cancel => TOO_LATE,
        },
        Err(error @ (FormError::Http(_) | FormError::Database(_))) => return Err(error.into()),
    };
    app.wakeup.wake();
    Ok(page::see_other(MAIL.to([mail.as_str()])).saying(notice.post()))
}

async fn perform(app: &App, act: MailAct, mail: Id, by: By) -> Result<(), FormError> {
    app.db
        .write(move |conn| {
            by.still_may(conn)?;
            act.perform(conn, &mail, &actor(&by, ""), by.now).map_err(explained)
        })
        .await
}
