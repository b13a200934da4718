//! The same act for several accounts: those selected in the list, or all that its filter means. What it will do to how many
//! is shown first; then it is done in one transaction, for all of them or for none.

use std::collections::BTreeMap;

use actix_web::web::Data;
use askama::Template;
use diesel::QueryResult;

use super::acting::{OnError, Request, act_on};
use super::bulk_act::BulkAct;
use super::users_query::UsersQuery;
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Id, Message, Role, Sentence, fingerprint, t};
use crate::paths::admin::{BULK, USERS};
use crate::records::users::{Listed, directory};
use crate::site::listing::id;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Superuser};

/// The most accounts at once: what one transaction does within the time that somebody waits for it.
const MAX_BULK_USERS: usize = 2000;
/// So many of them are named on the page.
const NAMED: usize = 20;
/// In front of the identifier in the name of a checkbox.
const CHECKBOX: &str = "uid-";

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::act(BULK, USERS, submit));
}

/// Names the checkbox of an account in the list.
pub fn checkbox_name(user: &Id) -> String {
    format!("{CHECKBOX}{}", user.as_str())
}

#[derive(Template)]
#[template(path = "admin/bulk.html")]
struct BulkPage {
    heading: Message,
    effect: Sentence,
    button: Message,
    /// What the form carries on to be confirmed.
    carried: BTreeMap<String, String>,
    count: usize,
    /// Some of them by name.
    names: String,
    /// How many more there are.
    unnamed: usize,
    needs_reason: bool,
    reason: String,
    /// Whether the number must be typed.
    is_deletion: bool,
    number: String,
    /// How many are left out.
    left_out: usize,
    back: String,
    /// Whether it can be confirmed.
    can_go_on: bool,
    problems: Problems,
}

/// What a form asks for.
struct Bulk {
    fields: BTreeMap<String, String>,
    act: BulkAct,
    query: UsersQuery,
    whom: Whom,
}

#[derive(Clone)]
enum Whom {
    Selected(Vec<Id>),
    Everybody(directory::Filter),
}

pub async fn submit(
    app: Data<App>,
    Superuser(by): Superuser,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Result<Answer, HttpError> {
    let bulk = Bulk::parse(fields, &app.config.two_factor.required_of)?;
    // First of all: a password page in between would lose what is typed on the next one.
    by.require_recent_proof(&bulk.query.path())?;
    let selected = bulk.users(&app).await?;
    let many = selected.len();
    let applies = |user: &Listed| bulk.act.applies_to(user, &by.user().id);
    let users: Vec<Listed> = selected.into_iter().filter(applies).collect();
    let problems = if bulk.field("confirmed").is_empty() {
        Problems::default()
    } else {
        match run(&app, &by, &bulk, &users).await {
            Ok(count) => {
                let notice = bulk.act.notice().of(count);
                return Ok(page::see_other(bulk.query.path()).saying(notice));
            }
            Err(error) => error.problems()?,
        }
    };
    let page = BulkPage::new(&bulk, &users, many, problems);
    Ok(if page.problems.is_empty() { page::ok(page) } else { page::form_again(page) })
}

/// Says what a form asks for.
pub fn describe(fields: BTreeMap<String, String>) -> Option<Message> {
    // What it says depends on no filter.
    let bulk = Bulk::parse(fields, &[]).ok()?;
    Some(match &bulk.whom {
        Whom::Selected(ids) => bulk.act.button(ids.len()),
        Whom::Everybody(_) => t("{act}: all accounts in this list").with("act", bulk.act.kind().name()),
    })
}

/// Does it, for all of them or for none; whom it does not apply to is skipped. Returns to how many it was done.
async fn run(app: &App, by: &By, bulk: &Bulk, users: &[Listed]) -> Result<usize, FormError> {
    if bulk.field("confirmed") != bulk.fingerprint_of(users) || !(1..=MAX_BULK_USERS).contains(&users.len()) {
        return Err(FormError::at(
            "acts",
            t("The list has changed since you opened it. Check it and confirm again."),
        ));
    }
    let mut problems = Problems::default();
    let reason = problems.take("reason", bulk.act.kind().reason(bulk.field("reason")));
    let typed = bulk.fields.get("number").map(|typed| typed.trim());
    if bulk.act == BulkAct::Delete && typed.is_some_and(|typed| typed != users.len().to_string()) {
        problems.add(
            "number",
            t("The number of accounts doesn't match. Enter {count} to confirm.").with("count", users.len()),
        );
    }
    let reason = reason.filter(|_| problems.is_empty()).ok_or(problems)?;
    let users = users.iter().map(|user| user.id.clone()).collect();
    act_on(app, by, users, Request { act: bulk.act.act(), reason }, OnError::Skip).await
}

impl Bulk {
    fn parse(fields: BTreeMap<String, String>, required_of: &[Role]) -> Result<Self, HttpError> {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let act = BulkAct::parse(&field("act")).ok_or(HttpError::BadRequest)?;
        let query = UsersQuery {
            q: field("q"),
            role: field("role"),
            status: field("status"),
            two_factor: field("two_factor"),
            joined_from: field("joined_from"),
            joined_until: field("joined_until"),
            sort: field("sort"),
            after: String::new(),
        };
        let whom = if field("everybody").is_empty() {
            let selected = fields.keys().filter_map(|name| name.strip_prefix(CHECKBOX)).map(id);
            Whom::Selected(selected.collect::<Result<_, _>>()?)
        } else {
            let (listing, problems) = query.parse(required_of)?;
            if !problems.is_empty() {
                return Err(HttpError::BadRequest);
            }
            Whom::Everybody(listing.filter)
        };
        Ok(Self { fields, act, query, whom })
    }

    /// Identifies the act and the accounts that were shown, so that a change of either is noticed. Not a secret.
    fn fingerprint_of(&self, users: &[Listed]) -> String {
        let mut shown = vec![self.act.kind().word()];
        shown.extend(users.iter().map(|user| user.id.as_str()));
        fingerprint(shown.join(",").as_bytes())
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Finds whom it means now, one more than may be at most.
    async fn users(&self, app: &App) -> Result<Vec<Listed>, db::Error> {
        let whom = self.whom.clone();
        app.db
            .read(move |conn| {
                let mut users = whom.find(conn)?;
                users.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
                Ok(users)
            })
            .await
    }
}

impl Whom {
    fn find(&self, conn: &mut Connection) -> QueryResult<Vec<Listed>> {
        match self {
            Self::Selected(ids) => Ok(directory::people(conn, ids)?.into_values().collect()),
            Self::Everybody(filter) => directory::all(conn, filter, MAX_BULK_USERS + 1),
        }
    }
}

impl BulkPage {
    fn new(bulk: &Bulk, users: &[Listed], selected: usize, mut problems: Problems) -> Self {
        let count = users.len();
        if count == 0 && selected > 0 {
            problems.add("acts", t("This doesn't apply to any of the accounts you selected. Go back and choose other accounts or another action."));
        } else if count == 0 {
            problems.add("acts", t("No accounts selected. Go back and select at least one."));
        } else if count > MAX_BULK_USERS {
            let message = t("You can change up to {limit} accounts at a time. Go back and narrow the list.");
            problems.add("acts", message.with("limit", MAX_BULK_USERS));
        }
        let can_go_on = (1..=MAX_BULK_USERS).contains(&count);
        let heading = if can_go_on { bulk.act.question(count) } else { bulk.act.kind().name().into() };
        let mut carried = bulk.fields.clone();
        for typed in ["reason", "number", "for"] {
            carried.remove(typed);
        }
        carried.insert("confirmed".to_owned(), bulk.fingerprint_of(users));
        let names: Vec<&str> = users.iter().take(NAMED).map(|user| user.username.as_str()).collect();
        Self {
            heading,
            effect: bulk.act.effect(),
            button: bulk.act.button(count),
            carried,
            count,
            names: names.join(", "),
            unnamed: count.saturating_sub(NAMED),
            needs_reason: bulk.act.kind().is_against_person(),
            reason: bulk.field("reason").to_owned(),
            is_deletion: bulk.act == BulkAct::Delete,
            number: bulk.field("number").to_owned(),
            left_out: selected - count,
            back: bulk.query.path(),
            can_go_on,
            problems,
        }
    }
}
