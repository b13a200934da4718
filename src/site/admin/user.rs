//! Everything known about one account, and what a superuser may do to it, each act a small form of its own.
//!
//! Acts against the person need a reason, and the superuser's password of the last ten minutes. Deleting has a page of its
//! own that says what will happen. No page shows a hash, a code, a token or a session.

mod forms;
mod known;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;

use super::acting::{NOTICES, OnError, Request, act_on, notice};
use super::listing::id;
use super::new_user::CREATED;
use crate::accounts::administration::{Act, ActKind};
use crate::app::App;
use crate::identity::{Id, Role, Username};
use crate::language::filters;
use crate::paths::admin::{DELETE_USER, EVENTS, MAILS, USER, USER_ACT, USERS};
use crate::paths::with_query;
use crate::records::users::{self, User};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems, query};
use crate::web::layout::Layout;
use crate::web::page::{self, Answer};
use crate::web::routes;
use crate::web::signed_in::{initials, picture_path};
use crate::web::viewer::{By, Staff, Superuser, Viewer};
use forms::{ActForm, ReasonForm};
use known::Known;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::form(DELETE_USER, show_delete, delete))
        .service(routes::act(USER_ACT, act))
        .service(routes::page(USER, show));
}

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    layout: Layout,
    user: User,
    known: Known,
    may_act: bool,
    is_self: bool,
    /// The act that was just refused.
    tried: Option<ActKind>,
    form: ActForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "admin/delete.html")]
struct DeletePage {
    layout: Layout,
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
    let asked: ReasonForm = query(&req)?;
    let page = UserPage::new(&app, &viewer, id(&at)?, Problems::default()).await?;
    let layout = Layout::of(&viewer).showing(&req, &[NOTICES, &[&CREATED]].concat());
    let form = ActForm { reason: asked.reason, ..page.form };
    Ok(page::ok(UserPage { layout, form, ..page }))
}

async fn act(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<(String, String)>,
    Form(form): Form<ActForm>,
) -> Result<Answer, HttpError> {
    let user = id(&at.0)?;
    let kind = ActKind::parse(&at.1).filter(|kind| *kind != ActKind::Delete).ok_or(HttpError::NotFound)?;
    match perform_form(&app, &by, &user, kind, &form).await {
        Ok(()) => Ok(page::see_other(USER.to([user.as_str()])).saying(notice(kind).post())),
        Err(error) => {
            let page = UserPage::new(&app, &by.viewer, user, error.problems()?).await?;
            let form = form.again(kind, page.form);
            Ok(page::form_again(UserPage { tried: Some(kind), form, ..page }))
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
    by.require_recent_password(&DELETE_USER.to([user.as_str()]))?;
    let page = DeletePage::new(&app, &by, user, query(&req)?, Problems::default()).await?;
    Ok(page::ok(page))
}

async fn delete(
    app: Data<App>,
    Superuser(by): Superuser,
    at: Path<String>,
    Form(form): Form<ReasonForm>,
) -> Result<Answer, HttpError> {
    let user = id(&at)?;
    match perform(&app, &by, &user, Act::Delete, &form.reason).await {
        Ok(()) => Ok(page::see_other(USERS.path()).saying(notice(ActKind::Delete).post())),
        Err(error) => Ok(page::form_again(DeletePage::new(&app, &by, user, form, error.problems()?).await?)),
    }
}

/// Does an act that a form asks for, with a reason where one is needed.
async fn perform(app: &App, by: &By, user: &Id, act: Act, typed_reason: &str) -> Result<(), FormError> {
    let kind = act.kind();
    let reason = kind.reason(typed_reason).map_err(|message| FormError::at("reason", message))?;
    if kind.is_against_person() {
        let page = if kind == ActKind::Delete { DELETE_USER } else { USER };
        let back = with_query(&page.to([user.as_str()]), &[("reason", &reason)]);
        by.require_recent_password(&back)?;
    }
    act_on(app, by, vec![user.clone()], Request { act, reason }, OnError::Stop).await.map(drop)
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
            layout: Layout::of(viewer),
            form: ActForm::of(&user),
            known,
            may_act: viewer.user.role == Role::Superuser && !is_self,
            is_self,
            tried: None,
            user,
            problems,
        })
    }

    fn at(&self, kind: ActKind) -> String {
        USER_ACT.to([self.user.id.as_str(), kind.word()])
    }

    fn delete_path(&self) -> String {
        DELETE_USER.to([self.user.id.as_str()])
    }

    fn picture(&self) -> Option<String> {
        picture_path(&self.user)
    }

    fn initials(&self) -> String {
        initials(self.user.display_name())
    }

    fn events_path(&self) -> String {
        with_query(EVENTS.path(), &[("person", self.user.id.as_str())])
    }

    fn mails_path(&self) -> String {
        with_query(MAILS.path(), &[("person", self.user.id.as_str())])
    }
}

impl DeletePage {
    async fn new(
        app: &App,
        by: &By,
        user: Id,
        form: ReasonForm,
        problems: Problems,
    ) -> Result<Self, HttpError> {
        let username = find(app, user.clone()).await?.username;
        let events_kept_days = app.config.events_kept.as_secs() / 86_400;
        Ok(Self { layout: Layout::of(&by.viewer), user, username, events_kept_days, form, problems })
    }

    fn back(&self) -> String {
        USER.to([self.user.as_str()])
    }

    fn at(&self) -> String {
        DELETE_USER.to([self.user.as_str()])
    }
}
