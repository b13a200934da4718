//! Everything known about one account, and what a superuser may do to it, each act a small form of its own.
//!
//! Acts against the person need a reason, and the superuser's password of the last ten minutes. Deleting has a page of its
//! own that says what will happen. No page shows a hash, a code, a token or a session.

mod forms;
mod known;
mod tab;

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;

use super::acting::{NOTICES, OnError, Request, act_on, notice};
use super::new_user::CREATED;
use crate::accounts::administration::{Act, ActKind};
use crate::app::App;
use crate::identity::{AccountStatus, Id, Message, Role, Sentence, Username, t};
use crate::paths::admin::{DELETE_USER, EVENTS, MAILS, USER, USER_ACT, USERS};
use crate::paths::with_query;
use crate::records::users::two_factor::TwoFactor;
use crate::records::users::{self, User};
use crate::site::listing::{id, known as known_word};
use crate::web::carried;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems, query};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::signed_in::Face;
use crate::web::view::filters;
use crate::web::viewer::{By, Staff, Superuser, Viewer};
use forms::{ActForm, ReasonForm};
use known::Known;
use tab::{Tab, TabQuery};

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::form(DELETE_USER, show_delete, delete))
        .service(routes::act(USER_ACT, USER, act))
        .service(routes::page(USER, show));
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    user: User,
    tab: Tab,
    known: Known,
    may_act: bool,
    is_self: bool,
    /// Whether the site asks for a second step, and there is none.
    is_due: bool,
    /// How long a deletion can wait.
    grace: Duration,
    /// The act that was just refused.
    tried: Option<ActKind>,
    form: ActForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "admin/delete.html")]
struct DeletePage {
    user: Id,
    username: Username,
    events_kept_days: u64,
    form: ReasonForm,
    problems: Problems,
}

async fn show(
    app: Data<App>,
    Staff(viewer): Staff,
    at: Path<String>,
    req: HttpRequest,
) -> Result<Answer, HttpError> {
    let query: TabQuery = query(&req)?;
    let tab = known_word(&query.tab, Tab::parse)?.unwrap_or(Tab::Account);
    let page = UserPage { tab, ..UserPage::new(&app, &viewer, id(&at)?, Problems::default()).await? };
    // What was typed before its person was signed out.
    let carried = carried::take_returned(&req, &viewer.user.id);
    let kind = carried.as_ref().and_then(|form| ActKind::parse(form.path.rsplit('/').nth(1)?));
    let page = match (kind, carried.and_then(|carried| carried.form::<ActForm>())) {
        (Some(kind), Some(form)) => {
            UserPage { form: form.again(kind, page.form), tried: Some(kind), tab: Tab::of(kind), ..page }
        }
        _ => page,
    };
    Ok(page::ok(page).showing(NOTICES).showing(&[&CREATED]))
}

pub async fn act(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<(String, String)>,
    Form(form): Form<ActForm>,
) -> Result<Answer, HttpError> {
    let user = id(&at.0)?;
    let kind = ActKind::parse(&at.1).filter(|kind| *kind != ActKind::Delete).ok_or(HttpError::NotFound)?;
    match perform_form(&app, &by, &user, kind, &form).await {
        Ok(()) => Ok(page::see_other(Tab::of(kind).path(&user)).saying(notice(kind).post())),
        Err(error) => {
            let page = UserPage::new(&app, &by.viewer, user, error.problems()?).await?;
            let form = form.again(kind, page.form);
            Ok(page::form_again(UserPage { tried: Some(kind), tab: Tab::of(kind), form, ..page }))
        }
    }
}

async fn perform_form(app: &App, by: &By, user: &Id, kind: ActKind, form: &ActForm) -> Result<(), FormError> {
    let current = find(app, user.clone()).await?;
    let act = form.parse(kind, &current)?;
    perform(app, by, user, act, &form.reason).await
}

async fn show_delete(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<String>,
    req: HttpRequest,
) -> Result<Answer, HttpError> {
    let user = id(&at)?;
    // Before a reason is typed, so that nothing typed is lost.
    by.require_recent_proof(&DELETE_USER.to([user.as_str()]))?;
    let form =
        carried::take_returned(&req, &by.user().id).and_then(|carried| carried.form()).unwrap_or_default();
    Ok(page::ok(DeletePage::new(&app, user, form, Problems::default()).await?))
}

pub async fn delete(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<String>,
    Form(form): Form<ReasonForm>,
) -> Result<Answer, HttpError> {
    let user = id(&at)?;
    let username = find(&app, user.clone()).await?.username;
    let done = match form.problems(&username) {
        problems if problems.is_empty() => perform(&app, &by, &user, Act::Delete, &form.reason).await,
        problems => Err(problems.into()),
    };
    match done {
        Ok(()) => Ok(page::see_other(USERS.path()).saying(notice(ActKind::Delete).post())),
        Err(error) => Ok(page::form_again(DeletePage::new(&app, user, form, error.problems()?).await?)),
    }
}

/// Does an act that a form asks for, with a reason where one is needed.
async fn perform(app: &App, by: &By, user: &Id, act: Act, typed_reason: &str) -> Result<(), FormError> {
    let kind = act.kind();
    let reason = kind.reason(typed_reason).map_err(|message| FormError::at("reason", message))?;
    if kind.is_against_person() {
        by.require_recent_proof(&USER.to([user.as_str()]))?;
    }
    act_on(app, by, vec![user.clone()], Request { act, reason }, OnError::Stop).await.map(drop)
}

/// Says what a form asks for: the act, whom it is about, and why.
///
/// # Errors
/// When the database is away.
pub async fn describe(app: &App, id: &str, act: &str, form: ActForm) -> Result<Option<Message>, HttpError> {
    let Some((user, kind)) = Id::parse(id).zip(ActKind::parse(act)) else { return Ok(None) };
    let username = find(app, user).await?.username;
    let reason = form.reason.trim();
    let what = match (Role::parse(&form.role).filter(|_| kind == ActKind::SetRole), reason) {
        (Some(role), _) => t("{act} {name}. New role: {role}. Reason: {reason}").with("role", role.name()),
        (None, "") => t("{act} {name}").into(),
        (None, _) => t("{act} {name}. Reason: {reason}").into(),
    };
    Ok(Some(what.with("reason", reason).with("act", kind.name()).with("name", username.as_str())))
}

async fn find(app: &App, user: Id) -> Result<User, HttpError> {
    app.db.find(move |conn| users::by_id(conn, &user)).await?.ok_or(HttpError::NotFound)
}

impl UserPage {
    async fn new(app: &App, viewer: &Viewer, user: Id, problems: Problems) -> Result<Self, HttpError> {
        let now = app.clock.now();
        let found = app.db.read(move |conn| Known::find(conn, &user, now)).await?;
        let (user, known) = found.ok_or(HttpError::NotFound)?;
        let is_self = viewer.user.id == user.id;
        Ok(Self {
            tab: Tab::Account,
            form: ActForm::of(&user),
            known,
            may_act: viewer.user.role == Role::Superuser && !is_self,
            is_self,
            is_due: user.two_factor(&app.config.two_factor.required_of) == TwoFactor::Due,
            grace: app.config.lifecycle.grace,
            tried: None,
            user,
            problems,
        })
    }

    /// What the days of grace mean; none where there are none, or where the account waits already.
    fn grace(&self) -> Option<Message> {
        let may_wait = self.user.status() == AccountStatus::Active && !self.grace.is_zero();
        let told = t(
            "The person is signed out and told by email. For {span} they can change their mind; then the account is deleted.",
        );
        may_wait.then(|| told.with("span", self.grace))
    }

    fn at(&self, kind: ActKind) -> String {
        USER_ACT.to([self.user.id.as_str(), kind.word()])
    }

    /// The name and the path of each part, and whether it is the one on the page.
    fn tabs(&self) -> Vec<(Sentence, String, bool)> {
        Tab::ALL.iter().map(|tab| (tab.name(), tab.path(&self.user.id), *tab == self.tab)).collect()
    }

    fn delete_path(&self) -> String {
        DELETE_USER.to([self.user.id.as_str()])
    }

    fn face(&self) -> Face {
        Face::of_user(&self.user)
    }

    fn events_path(&self) -> String {
        with_query(EVENTS.path(), &[("person", self.user.id.as_str())])
    }

    fn mails_path(&self) -> String {
        with_query(MAILS.path(), &[("person", self.user.id.as_str())])
    }
}

impl DeletePage {
    fn typed(&self) -> &str {
        self.form.username.as_deref().unwrap_or_default()
    }

    fn hint(&self) -> Message {
        t("The username is {name}.").with("name", self.username.as_str())
    }

    async fn new(app: &App, user: Id, form: ReasonForm, problems: Problems) -> Result<Self, HttpError> {
        let username = find(app, user.clone()).await?.username;
        let events_kept_days = app.config.events_kept.as_secs() / 86_400;
        Ok(Self { user, username, events_kept_days, form, problems })
    }

    fn back(&self) -> String {
        USER.to([self.user.as_str()])
    }

    fn at(&self) -> String {
        DELETE_USER.to([self.user.as_str()])
    }
}
