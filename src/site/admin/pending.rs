//! Codes and password links that were sent: to whom, when, until when, how they stand; never what is in them. A superuser
//! can cancel one.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db::Connection;
use crate::identity::{CodePurpose, Email, Id, LinkPurpose, Moment, Role, Sentence, Username, t};
use crate::paths::admin::{CANCEL_CODE, CANCEL_RESET, CODES, RESETS, USER};
use crate::paths::{Route, with_query};
use crate::records::events::{self, Kind, NewEvent};
use crate::records::links::{self, Link, LinkState};
use crate::records::users::User;
use crate::records::verifications::{self, CodeState, Verification};
use crate::site::listing::{id, known, one_more, one_page, parse_cursor, print_cursor};
use crate::web::errors::HttpError;
use crate::web::forms::{FormError, query};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Staff, Superuser, Viewer};

const CODE_CANCELLED: Notice = Notice::new("code-cancelled", t("Code cancelled. It no longer works."));
const LINK_CANCELLED: Notice = Notice::new("link-cancelled", t("Link cancelled. It no longer works."));
const TOO_LATE: Notice =
    Notice::new("cancelled-too-late", t("Too late to cancel: it has already been used or has expired."));
const NOTICES: &[&Notice] = &[&CODE_CANCELLED, &LINK_CANCELLED, &TOO_LATE];

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::act(CANCEL_CODE, CODES, cancel_code))
        .service(routes::page(CODES, codes))
        .service(routes::act(CANCEL_RESET, RESETS, cancel_link))
        .service(routes::page(RESETS, links));
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Code,
    Link,
}

#[derive(Template)]
#[template(path = "admin/pending.html")]
struct PendingPage {
    title: Sentence,
    about: Sentence,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
    may_act: bool,
    /// Whether tries are counted: codes have them, links do not.
    has_tries: bool,
}

/// A code or a link as pages show it.
pub struct Row {
    pub username: Username,
    pub user: String,
    pub purpose: Sentence,
    pub email: Email,
    pub requested: Moment,
    pub expires: Moment,
    pub tries: Option<i32>,
    pub state: Sentence,
    /// Where it is cancelled, while it works.
    pub cancel: Option<String>,
    /// Its place in the list.
    cursor: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PendingQuery {
    after: String,
}

impl Row {
    /// Shows a code.
    pub fn of_code(flow: &Verification, user: &User, now: Moment) -> Self {
        let state = flow.state(now);
        // A sign-up that only looks like one: no code was sent, and none fits.
        let has_code = flow.code_digest.is_some();
        let name = match state {
            _ if !has_code && flow.purpose == CodePurpose::SignIn => t("No code sent"),
            _ if !has_code => t("No code sent: this address already has an account"),
            CodeState::Open => t("Not used yet"),
            CodeState::Spent => t("Too many wrong codes"),
            CodeState::Expired => t("Expired or cancelled"),
            CodeState::Ended => t("Used or cancelled"),
        };
        let is_open = state == CodeState::Open && has_code;
        Self {
            username: user.username.clone(),
            user: USER.to([user.id.as_str()]),
            purpose: match flow.purpose {
                CodePurpose::ChangeEmail => t("Email change"),
                CodePurpose::SignUp => t("Sign-up"),
                CodePurpose::SignIn => t("Sign-in"),
            },
            email: flow.email.clone(),
            requested: flow.created_at,
            expires: flow.code_expires_at,
            tries: Some(flow.tries),
            state: name,
            cancel: is_open.then(|| CANCEL_CODE.to([flow.id.as_str()])),
            cursor: print_cursor(flow.created_at, &flow.id),
        }
    }

    /// Shows a link.
    pub fn of_link(link: &Link, user: &User, now: Moment) -> Self {
        let state = link.state(now);
        Self {
            username: user.username.clone(),
            user: USER.to([user.id.as_str()]),
            purpose: match link.purpose {
                LinkPurpose::ResetPassword => t("Password"),
                LinkPurpose::UndoEmail => t("Undo an email change"),
                LinkPurpose::SecureAccount => t("“This wasn't me”"),
                LinkPurpose::KeepAccount => t("Keep the account"),
                LinkPurpose::KeepTwoFactor => t("Keep two-step sign-in"),
            },
            email: link.email.clone(),
            requested: link.created_at,
            expires: link.expires_at,
            tries: None,
            state: match state {
                LinkState::Open => t("Not used yet"),
                LinkState::Used => t("Used"),
                LinkState::Revoked => t("Cancelled"),
                LinkState::Expired => t("Expired"),
            },
            cancel: (state == LinkState::Open).then(|| CANCEL_RESET.to([link.id.as_str()])),
            cursor: print_cursor(link.created_at, &link.id),
        }
    }
}

async fn codes(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<Answer, HttpError> {
    let asked: PendingQuery = query(&req)?;
    let after = known(&asked.after, parse_cursor)?;
    let now = app.clock.now();
    let found = app.db.read(move |conn| verifications::list(conn, None, after.as_ref(), one_more())).await?;
    let rows = found.iter().map(|(flow, user)| Row::of_code(flow, user, now)).collect();
    Ok(page::ok(PendingPage::new(Pending::Code, &viewer, &asked, rows)).showing(NOTICES))
}

async fn links(app: Data<App>, Staff(viewer): Staff, req: HttpRequest) -> Result<Answer, HttpError> {
    let asked: PendingQuery = query(&req)?;
    let after = known(&asked.after, parse_cursor)?;
    let now = app.clock.now();
    let purpose = LinkPurpose::ResetPassword;
    let found = app.db.read(move |conn| links::list(conn, purpose, None, after.as_ref(), one_more())).await?;
    let rows = found.iter().map(|(link, user)| Row::of_link(link, user, now)).collect();
    Ok(page::ok(PendingPage::new(Pending::Link, &viewer, &asked, rows)).showing(NOTICES))
}

async fn cancel_code(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<String>,
) -> Result<Answer, HttpError> {
    Pending::Code.cancel(&app, by, id(&at)?).await
}

async fn cancel_link(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<String>,
) -> Result<Answer, HttpError> {
    Pending::Link.cancel(&app, by, id(&at)?).await
}

impl Pending {
    async fn cancel(self, app: &App, by: By, id: Id) -> Result<Answer, HttpError> {
        let owner = app
            .db
            .write(move |conn| {
                by.still_may(conn)?;
                let owner = self.end(conn, &id, by.now)?;
                if owner.is_some() {
                    let event = NewEvent {
                        kind: self.event(),
                        user: owner.as_ref(),
                        actor: Some(&by.user().id),
                        source: &by.source(),
                        detail: "",
                        was: "waiting",
                        became: "cancelled",
                    };
                    events::insert(conn, &event, by.now)?;
                }
                Ok::<_, FormError>(owner)
            })
            .await?;
        let notice = if owner.is_some() { self.cancelled() } else { &TOO_LATE };
        Ok(page::see_other(self.list().path()).saying(notice.post()))
    }

    fn end(self, conn: &mut Connection, id: &Id, now: Moment) -> diesel::QueryResult<Option<Id>> {
        match self {
            Self::Code => verifications::cancel_code(conn, id, now),
            Self::Link => links::cancel(conn, id, LinkPurpose::ResetPassword, now),
        }
    }

    fn event(self) -> Kind {
        match self {
            Self::Code => Kind::CodeCancelled,
            Self::Link => Kind::ResetCancelled,
        }
    }

    fn cancelled(self) -> &'static Notice {
        match self {
            Self::Code => &CODE_CANCELLED,
            Self::Link => &LINK_CANCELLED,
        }
    }

    fn list(self) -> Route<0> {
        match self {
            Self::Code => CODES,
            Self::Link => RESETS,
        }
    }

    fn title(self) -> Sentence {
        match self {
            Self::Code => t("One-time codes"),
            Self::Link => t("Password links"),
        }
    }

    fn about(self) -> Sentence {
        match self {
            Self::Code => t("Codes sent in the last 3 days. The codes themselves are never shown."),
            Self::Link => t(
                "Each link works once. Links stay in this list for 3 days after they're used, cancelled or expired.",
            ),
        }
    }
}

impl PendingPage {
    fn new(pending: Pending, viewer: &Viewer, asked: &PendingQuery, rows: Vec<Row>) -> Self {
        let (rows, next) = one_page(rows, |row: &Row| row.cursor.clone());
        Self {
            title: pending.title(),
            about: pending.about(),
            rows,
            first: (!asked.after.is_empty()).then(|| pending.list().to_string()),
            next: next.map(|after| with_query(pending.list().path(), &[("after", &after)])),
            may_act: viewer.user.role == Role::Superuser,
            has_tries: pending == Pending::Code,
        }
    }
}
