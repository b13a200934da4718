//! Create an account for somebody. They choose their password themselves, by a link that is mailed to them: no administrator
//! ever types or sees one.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::acting::{actor, explained};
use crate::accounts::new_user::{self, NewAccount};
use crate::accounts::passwords::{self, LinkRules};
use crate::app::App;
use crate::identity::{Email, Id, Message, PasswordHash, Role, Username, t};
use crate::mail::Invitation;
use crate::paths::admin::{NEW_USER, USER};
use crate::records::events::Kind;
use crate::web::carried;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Superuser};

/// On the page of the new account.
pub const CREATED: Notice =
    Notice::new("account-created", t("Account created. An invitation is on its way."));

/// How long the link of an invitation works: the person did not request it and may not be waiting.
const INVITATION_LIFETIME: Duration = Duration::from_secs(72 * 3600);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(NEW_USER, show, submit));
}

#[derive(Template)]
#[template(path = "admin/new_user.html")]
struct NewUserPage {
    form: NewUserForm,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewUserForm {
    username: String,
    email: String,
    role: String,
}

/// What a form asks for.
struct Wanted {
    username: Username,
    email: Email,
    role: Role,
}

async fn show(Superuser(by): Superuser, req: HttpRequest) -> Result<Answer, HttpError> {
    // Before anything is typed: this page hands out power.
    by.require_recent_proof(NEW_USER.path())?;
    let carried = carried::take_returned(&req, &by.user().id).and_then(|carried| carried.form());
    let form = carried
        .unwrap_or_else(|| NewUserForm { role: Role::User.as_str().to_owned(), ..NewUserForm::default() });
    Ok(page::ok(NewUserPage { form, problems: Problems::default() }))
}

pub async fn submit(
    app: Data<App>,
    Superuser(by): Superuser,
    Form(form): Form<NewUserForm>,
) -> Result<Answer, HttpError> {
    match create(&app, &by, &form).await {
        Ok(id) => Ok(page::see_other(USER.to([id.as_str()])).saying(CREATED.post())),
        Err(error) => {
            let problems = error.problems()?;
            Ok(page::form_again(NewUserPage { form, problems }))
        }
    }
}

/// Says what a form asks for.
pub fn describe(form: &NewUserForm) -> Message {
    let role =
        Role::parse(&form.role).map_or_else(|| Message::verbatim(&form.role), |role| role.name().into());
    let what = t("Create the account {name} for {email}. Role: {role}");
    what.with("name", &form.username).with("email", &form.email).with("role", role)
}

async fn create(app: &App, by: &By, form: &NewUserForm) -> Result<Id, FormError> {
    let Wanted { username, email, role } = form.parse()?;
    by.require_recent_proof(NEW_USER.path())?;
    let new = NewAccount { username, email, role, hash: PasswordHash::unusable() };
    let by = by.clone();
    let rules = LinkRules { lifetime: INVITATION_LIFETIME, seal: app.keys.outbox };
    let created = app
        .db
        .write(move |conn| {
            by.still_may(conn)?;
            let user = new_user::create(conn, &new, Kind::AccountAdded, &actor(&by, ""), by.now)
                .map_err(explained)?;
            let username = new.username.to_string();
            let inviter = by.user().display_name().to_owned();
            let invitation = |link| Invitation { username, inviter, link }.into();
            passwords::queue_link(conn, &user.id, &new.email, rules, by.now, invitation)?;
            Ok::<_, FormError>(user.id)
        })
        .await?;
    app.wakeup.wake();
    Ok(created)
}

impl NewUserForm {
    fn parse(&self) -> Result<Wanted, Problems> {
        let mut problems = Problems::default();
        let username = problems.take("username", Username::parse(&self.username));
        let email = problems.take("email", Email::parse(&self.email));
        let role = problems.take("role", Role::parse(&self.role).ok_or_else(|| t("Choose a role.").into()));
        match (username, email, role) {
            (Some(username), Some(email), Some(role)) => Ok(Wanted { username, email, role }),
            _ => Err(problems),
        }
    }
}
