//! Everything known about one person, and what a superuser may do to them, each act a small form of its own.
//!
//! Acts against the person need a reason, and the superuser's password of the last ten minutes. Deleting has a page of
//! its own that says what will happen. No page shows a hash, a code, a token or a session.

use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::events::{Row, rows};
use super::listing::id;
use super::{mails, pending};
use crate::acts::{Act, Actor, Refused, Rules};
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Id, Message, Moment, Purpose, Role};
use crate::paths::{self, route};
use crate::records::events::{self, Filter};
use crate::records::users::{self, User};
use crate::records::{links, outbox, sign_ins, verifications};
use crate::site::profile::details;
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::{self, Form, Problems};
use crate::web::page::{self, Chrome, initials};
use crate::web::viewer::{Staff, Superuser, Viewer};
use crate::web::{filters, routes};

/// How many mails and events the page shows; their lists have the rest.
const LATEST: i64 = 20;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::form(route::DELETE_PERSON, show_delete, delete))
        .service(routes::act(route::PERSON_ACT, act))
        .service(routes::page(route::PERSON, show));
}

#[derive(Template)]
#[template(path = "admin/person.html")]
struct PersonPage {
    chrome: Chrome,
    user: User,
    known: Known,
    /// Whether acts are offered.
    may_act: bool,
    is_self: bool,
    /// The act that was just refused; none of them at first.
    tried: String,
    form: ActForm,
    problems: Problems,
}

/// What hangs on a person.
struct Known {
    last_seen: Option<Moment>,
    sign_ins: Vec<sign_ins::Listed>,
    codes: Vec<pending::Row>,
    links: Vec<pending::Row>,
    mails: Vec<mails::Row>,
    events: Vec<Row>,
}

#[derive(Template)]
#[template(path = "admin/delete.html")]
struct DeletePage {
    chrome: Chrome,
    user: User,
    form: ActForm,
    problems: Problems,
}

/// The fields of all acts: each form sends those that it has.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct ActForm {
    reason: String,
    role: String,
    sign_in: String,
    username: String,
    full_name: String,
    phone: String,
    about: String,
}

async fn show(
    app: Data<App>,
    Staff(viewer): Staff,
    at: Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, Fault> {
    let asked: ActForm = forms::query(&req)?;
    let chrome = Chrome::of(Some(&viewer)).with_notice(req.query_string());
    let page = PersonPage::new(&app, &viewer, &id(&at)?, None, Problems::default()).await?;
    let form = ActForm { reason: asked.reason, ..page.form };
    Ok(page::ok(&PersonPage { chrome, form, ..page }))
}

async fn act(
    app: Data<App>,
    Superuser(viewer): Superuser,
    client: Client,
    at: Path<(String, String)>,
    Form(form): Form<ActForm>,
) -> Result<HttpResponse, Fault> {
    let (user, word) = (id(&at.0)?, at.1.as_str());
    let back = paths::person(&user);
    let done = match form.act(word, &app, &user).await {
        Ok(act) => perform(&app, &viewer, &client, &user, act, &form.reason).await,
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => Ok(page::see_other(&paths::with_notice(&back, notice(word)))),
        Err(refusal) => {
            let problems = refusal.problems()?;
            Ok(page::refused(&PersonPage::new(&app, &viewer, &user, Some((word, form)), problems).await?))
        }
    }
}

async fn show_delete(
    app: Data<App>,
    Superuser(viewer): Superuser,
    at: Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, Fault> {
    let (user, form) = (id(&at)?, forms::query(&req)?);
    // Before a reason is typed, so that nothing typed is lost.
    viewer.is_recent(app.clock.now(), &paths::person_act(&user, "delete"))?;
    let page = DeletePage::new(&app, &viewer, &user, form, Problems::default()).await?;
    Ok(page::ok(&page))
}

async fn delete(
    app: Data<App>,
    Superuser(viewer): Superuser,
    client: Client,
    at: Path<String>,
    Form(form): Form<ActForm>,
) -> Result<HttpResponse, Fault> {
    let user = id(&at)?;
    match perform(&app, &viewer, &client, &user, Act::Delete, &form.reason).await {
        Ok(()) => Ok(page::see_other(&paths::with_notice(route::PEOPLE, "deleted"))),
        Err(refusal) => {
            let problems = refusal.problems()?;
            Ok(page::refused(&DeletePage::new(&app, &viewer, &user, form, problems).await?))
        }
    }
}

/// Does an act that a form asks for, with a reason where one is needed.
async fn perform(
    app: &App,
    viewer: &Viewer,
    client: &Client,
    user: &Id,
    act: Act,
    typed_reason: &str,
) -> Result<(), Refusal> {
    let reason = act.reason(typed_reason).map_err(|message| Refusal::at("reason", message))?;
    if act.is_against() {
        let back =
            if matches!(act, Act::Delete) { paths::person_act(user, "delete") } else { paths::person(user) };
        viewer.is_recent(app.clock.now(), &paths::with_query(&back, &[("reason", &reason)]))?;
    }
    let refuse = |refused| Err(refusal(refused));
    act_on(app, viewer, client, vec![user.clone()], (act, reason), refuse).await
}

/// Does an act to each of these people in one transaction, in the name of who is looking. `otherwise` says what an act
/// that does not happen means: nothing, or the end of all of it.
pub(super) async fn act_on(
    app: &App,
    viewer: &Viewer,
    client: &Client,
    people: Vec<Id>,
    (act, reason): (Act, String),
    otherwise: fn(Refused) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let actor = Actor { id: Some(viewer.user.id.clone()), origin: client.origin(), reason };
    let (viewer, rules, now) = (viewer.clone(), Rules::new(&app.config, &app.keys), app.clock.now());
    let pictures = app
        .db
        .write(move |conn| {
            let mut pictures = Vec::new();
            for user in &people {
                match act.perform(conn, user, &actor, rules, now) {
                    Ok(done) => pictures.extend(done.picture),
                    Err(refused) => otherwise(refused)?,
                }
            }
            // Whoever acts must still be who they were; asked last, so that rows are locked in one order.
            viewer.still_may(conn, now)?;
            Ok::<_, Refusal>(pictures)
        })
        .await?;
    app.bell.ring();
    for picture in pictures {
        app.pictures.remove(&picture).await;
    }
    Ok(())
}

/// What a page makes of an act that did not happen.
pub(super) fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Gone => Fault::NotFound.into(),
        Refused::NameTaken => Refusal::at("username", "This username is taken. Please choose another one."),
        Refused::NotNow(message) => Refusal::at("acts", message),
        Refused::Database(error) => error.into(),
    }
}

fn notice(word: &str) -> &'static str {
    match word {
        "block" => "blocked",
        "unblock" => "unblocked",
        "verify" => "taken-as-verified",
        "send-code" => "code-mailed",
        "send-reset" => "reset-mailed",
        "role" => "role-changed",
        "end-sessions" => "sessions-ended",
        "remove-picture" => "picture-taken",
        _ => "edited",
    }
}

impl ActForm {
    fn of(user: &User) -> Self {
        Self {
            role: user.role.as_str().to_owned(),
            username: user.username.clone(),
            full_name: user.full_name.clone(),
            phone: user.phone.clone(),
            about: user.about.clone(),
            ..Self::default()
        }
    }

    /// The act that a form asks for.
    async fn act(&self, word: &str, app: &App, user: &Id) -> Result<Act, Refusal> {
        Ok(match word {
            "block" => Act::Block,
            "unblock" => Act::Unblock,
            "verify" => Act::Verify,
            "send-code" => Act::SendCode,
            "send-reset" => Act::SendReset,
            "remove-picture" => Act::RemovePicture,
            "role" => {
                Act::SetRole(Role::parse(&self.role).ok_or_else(|| Refusal::at("role", "Choose a role."))?)
            }
            "end-sessions" if self.sign_in.is_empty() => Act::EndSessions,
            "end-sessions" => Act::EndSession(id(&self.sign_in)?),
            _ => {
                let wanted = user.clone();
                let known = app.db.find(move |conn| Ok::<_, db::Error>(users::by_id(conn, &wanted)?)).await?;
                let typed = [&self.username, &self.full_name, &self.phone, &self.about].map(String::as_str);
                Act::Edit(details::parse(typed, &known.ok_or(Fault::NotFound)?)?)
            }
        })
    }
}

impl PersonPage {
    async fn new(
        app: &App,
        viewer: &Viewer,
        user: &Id,
        typed: Option<(&str, ActForm)>,
        problems: Problems,
    ) -> Result<Self, Fault> {
        let (wanted, now) = (user.clone(), app.clock.now());
        let found = app
            .db
            .read(move |conn| {
                let Some(user) = users::by_id(conn, &wanted)? else { return Ok(None) };
                let known = Known::read(conn, &user, now)?;
                Ok::<_, db::Error>(Some((user, known)))
            })
            .await?;
        let (user, known) = found.ok_or(Fault::NotFound)?;
        let of_user = ActForm::of(&user);
        let (tried, form) = match typed {
            Some((word @ "edit", typed)) => (word, ActForm { role: of_user.role, ..typed }),
            Some((word @ "role", typed)) => {
                (word, ActForm { reason: typed.reason, role: typed.role, ..of_user })
            }
            Some((word, typed)) => (word, ActForm { reason: typed.reason, ..of_user }),
            None => ("", of_user),
        };
        let tried = tried.to_owned();
        let is_self = viewer.user.id == user.id;
        let may_act = viewer.user.role == Role::Superuser && !is_self;
        let chrome = Chrome::of(Some(viewer));
        Ok(Self { chrome, user, known, may_act, is_self, tried, form, problems })
    }

    fn at(&self, act: &str) -> String {
        paths::person_act(&self.user.id, act)
    }

    fn standing_word(&self) -> &'static str {
        self.user.standing().as_str()
    }

    fn standing_name(&self) -> Message {
        self.user.standing().name()
    }

    fn picture(&self) -> Option<String> {
        self.user.picture.as_deref().map(paths::picture)
    }

    fn initials(&self) -> String {
        initials(self.user.display_name())
    }

    fn events_path(&self) -> String {
        paths::with_query(route::EVENTS, &[("person", self.user.id.as_str())])
    }

    fn mails_path(&self) -> String {
        paths::with_query(route::MAILS, &[("person", self.user.id.as_str())])
    }
}

impl Known {
    fn read(conn: &mut Connection, user: &User, now: Moment) -> Result<Self, db::Error> {
        let of_user = Filter { user: Some(user.id.clone()), ..Filter::default() };
        let events = events::list(conn, &of_user, None, LATEST)?;
        let of_user = outbox::Filter { user: Some(user.id.clone()), state: None };
        let codes = verifications::list(conn, Some(&user.id), None, LATEST)?;
        let links = links::list(conn, Purpose::ResetPassword, Some(&user.id), None, LATEST)?;
        Ok(Self {
            last_seen: sign_ins::last_seen(conn, std::slice::from_ref(&user.id))?.remove(&user.id),
            sign_ins: sign_ins::live_of(conn, &user.id, now)?,
            codes: codes.iter().map(|(flow, user)| pending::Row::of_code(flow, user, now)).collect(),
            links: links.iter().map(|(link, user)| pending::Row::of_link(link, user, now)).collect(),
            mails: outbox::list(conn, &of_user, None, LATEST)?.iter().map(mails::Row::of).collect(),
            events: rows(conn, events)?,
        })
    }
}

impl DeletePage {
    async fn new(
        app: &App,
        viewer: &Viewer,
        user: &Id,
        form: ActForm,
        problems: Problems,
    ) -> Result<Self, Fault> {
        let wanted = user.clone();
        let user = app.db.find(move |conn| Ok::<_, db::Error>(users::by_id(conn, &wanted)?)).await?;
        Ok(Self { chrome: Chrome::of(Some(viewer)), user: user.ok_or(Fault::NotFound)?, form, problems })
    }

    fn back(&self) -> String {
        paths::person(&self.user.id)
    }

    fn at(&self) -> String {
        paths::person_act(&self.user.id, "delete")
    }
}
