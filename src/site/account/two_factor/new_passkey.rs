//! Add a passkey: the browser makes it, with a script of ours. Nothing is stored before it is checked.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::adding::{self, lead_on, parse_name};
use super::{PASSKEY_ADDED, TURNED_ON_BY_PASSKEY};
use crate::accounts::two_factor::{self, Added, Change, MAX_PASSKEYS, NewPasskey, NotAdded};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{Message, Sentence, Zone, browser_name, t};
use crate::passkeys::{Person, Question, Refusal, Reply};
use crate::paths::Next;
use crate::paths::account::NEW_PASSKEY;
use crate::records::events::Kind;
use crate::records::sessions::Session;
use crate::records::two_factor::passkeys;
use crate::records::users::User;
use crate::site::auth::passkey_check::{STALE, allowed, internal, page_of};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::language_of;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Enrolling};

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(NEW_PASSKEY, show, submit));
}

#[derive(Template)]
#[template(path = "account/new_passkey.html")]
struct NewPasskeyPage {
    question: Question,
    form: NewPasskeyForm,
    /// Whether it turns two-step sign-in on.
    is_first: bool,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewPasskeyForm {
    name: String,
    #[serde(flatten)]
    reply: Reply,
    /// Where its person wanted to go.
    next: String,
}

async fn show(
    app: Data<App>,
    Enrolling(by): Enrolling,
    next: Next,
    req: HttpRequest,
) -> Result<Answer, HttpError> {
    allowed(&app)?;
    by.require_recent_proof(&next.after(NEW_PASSKEY.path()))?;
    let name = language_of(&req).say(&browser_name(&by.client.agent), &Zone::utc());
    let form = NewPasskeyForm { name, next: next.as_str().to_owned(), ..NewPasskeyForm::default() };
    Ok(page::ok(page(&app, &by, form, Problems::default()).await?))
}

async fn submit(
    app: Data<App>,
    Enrolling(by): Enrolling,
    browser: SignInRequest,
    Form(form): Form<NewPasskeyForm>,
) -> Result<Answer, HttpError> {
    match add(&app, &by, &form).await {
        Ok((session, added)) => {
            lead_on(&app, &by, &browser, &session, added, &form.next, [&TURNED_ON_BY_PASSKEY, &PASSKEY_ADDED])
        }
        Err(error) => {
            // Its question may have been too old: the next one is for whoever has just proved who they are.
            by.require_recent_proof(NEW_PASSKEY.path())?;
            Ok(page::form_again(page(&app, &by, form, error.problems()?).await?))
        }
    }
}

async fn add(app: &Data<App>, by: &By, form: &NewPasskeyForm) -> Result<(Session, Added), FormError> {
    let passkeys = allowed(app)?;
    let mut problems = Problems::default();
    let name = problems.take("name", parse_name(&form.name));
    // Whoever was asked proved who they are before, in this very session.
    let made = passkeys.take_new(&app.keys, &question(by), &form.reply, by.now);
    let made = problems.take("passkey", made.map_err(|refusal| Message::from(why_refused(refusal))));
    let (Some(name), Some(made)) = (name, made) else { return Err(problems.into()) };
    let what = (Kind::PasskeyAdded, name.clone());
    let new = NewPasskey { name, made };
    let insert = move |conn: &mut Connection, user: &User, change: &Change<'_>| {
        two_factor::add_passkey(conn, user, &new, change)
    };
    adding::add(app, by, what, insert, |why| FormError::at("passkey", why_not(why))).await
}

fn why_refused(why: Refusal) -> Sentence {
    match why {
        Refusal::Stale => STALE,
        // Also one that this account has: browsers say so before.
        Refusal::Wrong => t("We couldn't add your passkey. Try again, or use another device."),
    }
}

fn why_not(why: NotAdded) -> Message {
    match why {
        NotAdded::TooMany => {
            t("You have {most} passkeys. Remove one before you add another.").with("most", MAX_PASSKEYS)
        }
        NotAdded::Known => t("This passkey has already been added.").into(),
    }
}

async fn page(
    app: &App,
    by: &By,
    form: NewPasskeyForm,
    problems: Problems,
) -> Result<NewPasskeyPage, HttpError> {
    let user = by.user();
    let id = user.id.clone();
    let known = app.db.find(move |conn| passkeys::all_of(conn, &id)).await?;
    let known: Vec<String> = known.into_iter().map(|passkey| passkey.credential).collect();
    let person = Person { id: &user.id, username: user.username.as_str(), name: user.display_name() };
    let asked = allowed(app)?.ask_for_new(&app.keys, &question(by), &person, &known, by.now);
    let is_first = !user.has_two_factor();
    Ok(NewPasskeyPage { question: asked.map_err(internal)?, form, is_first, problems })
}

/// Names the question of the page, in this session.
fn question(by: &By) -> String {
    page_of("new", &by.viewer.session.life.mark())
}
