//! The same act for many people: those ticked in the list, or all whom its filter means. What it will do to how many is
//! shown first; then it is done in one transaction, for all of them or for none.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use askama::Template;

use super::listing::Asked;
use super::person::{act_on, refusal};
use crate::acts::{Act, Refused};
use crate::app::App;
use crate::db;
use crate::identity::{Id, Message, fingerprint};
use crate::paths::{self, route};
use crate::records::users::User;
use crate::records::users::{self, directory};
use crate::web::client::Client;
use crate::web::fault::{Fault, Refusal};
use crate::web::forms::{Form, Problems};
use crate::web::page::{self, Chrome};
use crate::web::viewer::{Superuser, Viewer};
use crate::web::{filters, routes};

/// The most people at once: what one transaction does within the time that somebody waits for it.
const MOST: usize = 2000;
/// So many of them are named on the page.
const NAMED: usize = 20;
/// In front of the identifier in the name of a person's box.
const TICK: &str = "uid-";

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(routes::act(route::BULK, submit));
}

/// The name of a person's box in the list.
pub(super) fn tick(id: &Id) -> String {
    format!("{TICK}{}", id.as_str())
}

/// The bulk acts: their words in the form, and what the list calls them.
pub(super) const ACTS: [(&str, &str); 6] = [
    ("block", "Block"),
    ("unblock", "Unblock"),
    ("verify", "Mark the address as confirmed"),
    ("send-code", "Send another code"),
    ("end-sessions", "Sign out everywhere"),
    ("delete", "Delete"),
];

#[derive(Template)]
#[template(path = "admin/bulk.html")]
struct BulkPage {
    chrome: Chrome,
    what: Message,
    effect: Message,
    /// What the form carries on to be confirmed.
    carried: BTreeMap<String, String>,
    count: usize,
    /// Some of them by name.
    names: String,
    /// How many there are besides.
    unnamed: usize,
    needs_reason: bool,
    reason: String,
    back: String,
    problems: Problems,
}

/// What a form asks for.
struct Bulk {
    fields: BTreeMap<String, String>,
    act: Act,
    asked: Asked,
    whom: Whom,
}

#[derive(Clone)]
enum Whom {
    Ticked(Vec<Id>),
    Everybody(directory::Filter),
}

async fn submit(
    app: Data<App>,
    Superuser(viewer): Superuser,
    client: Client,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Result<HttpResponse, Fault> {
    let bulk = Bulk::read(fields)?;
    // First of all: a password page in between would lose what is typed on the next one.
    viewer.is_recent(app.clock.now(), &bulk.asked.path())?;
    let people = bulk.people(&app).await?;
    let problems = if bulk.field("confirmed").is_empty() {
        Problems::default()
    } else {
        match run(&app, &viewer, &client, &bulk, &people).await {
            Ok(()) => return Ok(page::see_other(&paths::with_notice(&bulk.asked.path(), "bulk-done"))),
            Err(refusal) => refusal.problems()?,
        }
    };
    let page = BulkPage::new(&viewer, &bulk, &people, problems);
    Ok(if page.problems.is_empty() { page::ok(&page) } else { page::refused(&page) })
}

/// For all of them or for none. Who meanwhile is what they should become is passed over.
async fn run(
    app: &App,
    viewer: &Viewer,
    client: &Client,
    bulk: &Bulk,
    people: &[User],
) -> Result<(), Refusal> {
    if bulk.field("confirmed") != seal(people) || !(1..=MOST).contains(&people.len()) {
        return Err(Refusal::at(
            "acts",
            "Meanwhile the list has changed. Please look at it again, and confirm once more.",
        ));
    }
    let reason = bulk.act.reason(bulk.field("reason")).map_err(|message| Refusal::at("reason", message))?;
    let people = people.iter().map(|user| user.id.clone()).collect();
    act_on(app, viewer, client, people, (bulk.act.clone(), reason), pass_over).await
}

/// To whom an act does not apply is left out; a database that is away ends all of it.
fn pass_over(refused: Refused) -> Result<(), Refusal> {
    match refused {
        Refused::Gone | Refused::NameTaken | Refused::NotNow(_) => Ok(()),
        Refused::Database(_) => Err(refusal(refused)),
    }
}

impl Bulk {
    fn read(fields: BTreeMap<String, String>) -> Result<Self, Fault> {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let act = match field("act").as_str() {
            "block" => Act::Block,
            "unblock" => Act::Unblock,
            "verify" => Act::Verify,
            "send-code" => Act::SendCode,
            "end-sessions" => Act::EndSessions,
            "delete" => Act::Delete,
            _ => return Err(Fault::BadRequest),
        };
        let asked = Asked {
            q: field("q"),
            role: field("role"),
            standing: field("standing"),
            joined_from: field("joined_from"),
            joined_until: field("joined_until"),
            sort: field("sort"),
            after: String::new(),
        };
        let ticked = fields.keys().filter_map(|name| name.strip_prefix(TICK)).map(super::listing::id);
        let whom = if field("everybody").is_empty() {
            Whom::Ticked(ticked.collect::<Result<_, _>>()?)
        } else {
            let (wanted, problems) = asked.understand()?;
            if !problems.is_empty() {
                return Err(Fault::BadRequest);
            }
            Whom::Everybody(wanted.filter)
        };
        Ok(Self { fields, act, asked, whom })
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whom it means now, one more than may be at most.
    async fn people(&self, app: &App) -> Result<Vec<User>, Fault> {
        let whom = self.whom.clone();
        let people = app
            .db
            .read(move |conn| {
                let mut people = match &whom {
                    Whom::Ticked(ids) => {
                        let mut people = Vec::new();
                        for id in ids {
                            people.extend(users::by_id(conn, id)?);
                        }
                        people
                    }
                    Whom::Everybody(filter) => directory::all(conn, filter, MOST + 1)?,
                };
                people.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
                Ok::<_, db::Error>(people)
            })
            .await?;
        Ok(people)
    }
}

impl BulkPage {
    fn new(viewer: &Viewer, bulk: &Bulk, people: &[User], mut problems: Problems) -> Self {
        if people.is_empty() {
            problems.add("acts", "Nobody is chosen. Go back and tick somebody.");
        } else if people.len() > MOST {
            problems.add("acts", Message::new("These are more than {most} people, which is the most at once. Go back and narrow the list down.").with("most", MOST));
        }
        let (what, effect) = told(&bulk.act);
        let mut carried = bulk.fields.clone();
        carried.remove("reason");
        carried.insert("confirmed".to_owned(), seal(people));
        Self {
            chrome: Chrome::of(Some(viewer)),
            what,
            effect,
            carried,
            count: people.len(),
            names: people
                .iter()
                .take(NAMED)
                .map(|user| user.username.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            unnamed: people.len().saturating_sub(NAMED),
            needs_reason: bulk.act.is_against(),
            reason: bulk.field("reason").to_owned(),
            back: bulk.asked.path(),
            problems,
        }
    }

    fn can_go_on(&self) -> bool {
        (1..=MOST).contains(&self.count)
    }
}

/// What tells whether these are the people who were shown. Not a secret.
fn seal(people: &[User]) -> String {
    let ids: Vec<&str> = people.iter().map(|user| user.id.as_str()).collect();
    fingerprint(ids.join(",").as_bytes())
}

/// What an act is called, and what it will do.
fn told(act: &Act) -> (Message, Message) {
    let (what, effect) = match act {
        Act::Block => (
            "Block the chosen people?",
            "They are signed out everywhere at once and cannot sign in. Whose address is confirmed is told the reason by mail.",
        ),
        Act::Unblock => (
            "Unblock the chosen people?",
            "They can sign in again. Whose address is confirmed is told so by mail.",
        ),
        Act::Verify => (
            "Mark the addresses of the chosen people as confirmed?",
            "Those who wait for their code can sign in without it.",
        ),
        Act::SendCode => (
            "Send the chosen people another code?",
            "Those who wait for their code get a new one; older ones stop working.",
        ),
        Act::EndSessions => (
            "Sign the chosen people out everywhere?",
            "All of their browsers are signed out. They can sign in again.",
        ),
        _ => (
            "Delete the chosen people?",
            "Their accounts, pictures and sessions are gone for good; the events stay. Whose address is confirmed is told the reason by mail.",
        ),
    };
    (what.into(), effect.into())
}
