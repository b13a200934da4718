//! Sign in with a passkey alone: it knows whose it is, and has seen to it that it is its person who uses it.
//!
//! Whoever has no right passkey learns nothing of accounts: one that is unknown, removed or refused gets the same answer.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::arrival::{Arrival, NewSession};
use super::blocked::blocked;
use super::passkey_check::{self, WRONG, allowed, internal, refused, require_used};
use super::sign_in::{is_admitted, note};
use crate::accounts::two_factor::{self, PasskeyBeside};
use crate::app::App;
use crate::identity::{AccountStatus, Moment};
use crate::passkeys::{Answered, Question, Refusal, Reply};
use crate::paths::Next;
use crate::paths::account::LEAVE;
use crate::paths::auth::PASSKEY;
use crate::records::events::Kind;
use crate::records::sessions::{Remember, SignedInBy};
use crate::records::users::{self, User};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError, Problems};
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::Stranger;

/// The page that asks.
const PAGE: &str = "sign-in";

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(PASSKEY, show, submit));
}

#[derive(Template)]
#[template(path = "auth/passkey.html")]
struct PasskeyPage {
    form: PasskeyForm,
    question: Question,
    problems: Problems,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PasskeyForm {
    #[serde(flatten)]
    reply: Reply,
    remember: String,
    next: String,
    /// A form that waits for its person, sealed.
    carried: String,
}

async fn show(app: Data<App>, _: Stranger, next: Next) -> Result<Answer, HttpError> {
    let form = PasskeyForm { next: next.as_str().to_owned(), ..PasskeyForm::default() };
    Ok(page::ok(PasskeyPage::new(&app, form, Problems::default())?))
}

async fn submit(
    app: Data<App>,
    _: Stranger,
    browser: SignInRequest,
    Form(form): Form<PasskeyForm>,
) -> Result<Answer, HttpError> {
    if !form.reply.is_given() {
        // The button of the sign-in page, with what waits there.
        return Ok(page::ok(PasskeyPage::new(&app, form, Problems::default())?));
    }
    match sign_in(&app, &browser, &form).await {
        Ok(arrival) => arrival.lead_in(&app, &browser),
        Err(error) => {
            let page = PasskeyPage::new(&app, form, error.problems()?)?;
            Ok(page::form_again(page))
        }
    }
}

/// No limit counts here but that of all requests: nobody guesses a passkey, and no neighbour keeps anybody from theirs.
async fn sign_in(app: &App, browser: &SignInRequest, form: &PasskeyForm) -> Result<Arrival, FormError> {
    let now = app.clock.now();
    let (user, answered) = whose(app, browser, &form.reply, now).await?;
    let next = match user.status() {
        AccountStatus::Blocked(reason) => {
            note(app, Kind::SignInBlocked, Some(&user), &browser.client).await?;
            return Err(blocked(&reason).into());
        }
        // Nobody has one before the address is confirmed.
        AccountStatus::Unverified => return Err(FormError::at("passkey", WRONG)),
        AccountStatus::Active => form.waiting().to_owned(),
        AccountStatus::Leaving => LEAVE.path().to_owned(),
    };
    let new = NewSession::of(app, browser, user.clone(), Remember::of_box(&form.remember));
    let (device, source) = (new.known_as.clone(), browser.client.source());
    let entering = user.clone();
    let session = app
        .db
        .write(move |conn| {
            let Some(user) = users::lock_if_unchanged(conn, &entering)? else {
                return Err(FormError::at("passkey", WRONG));
            };
            let beside = PasskeyBeside::Nothing;
            require_used(two_factor::use_passkey(conn, &user, &answered, beside, &source, now)?)?;
            Ok(new.begin(conn, SignedInBy::Passkey)?)
        })
        .await?;
    app.wakeup.wake();
    Ok(Arrival { session, user, device, next })
}

/// Finds whose passkey answered rightly. A wrong answer in the name of somebody is logged as theirs.
async fn whose(
    app: &App,
    browser: &SignInRequest,
    reply: &Reply,
    now: Moment,
) -> Result<(User, Answered), FormError> {
    let passkeys = allowed(app)?;
    let unknown = || FormError::at("passkey", WRONG);
    let id = reply.whose().ok_or_else(unknown)?;
    let wanted = id.clone();
    let user = app.db.find(move |conn| users::by_id(conn, &wanted)).await?;
    let stored = passkey_check::stored(app, &id).await?;
    match passkeys.take_anybody(&app.keys, PAGE, reply, &stored, now) {
        Ok(answered) => {
            let user = user.filter(|user| is_admitted(app, &browser.client, user)).ok_or_else(unknown)?;
            Ok((user, answered))
        }
        Err(refusal) => {
            if let (Refusal::Wrong, Some(user)) = (refusal, &user) {
                note(app, Kind::SignInFailed, Some(user), &browser.client).await?;
            }
            Err(refused(refusal))
        }
    }
}

impl PasskeyPage {
    fn new(app: &App, form: PasskeyForm, problems: Problems) -> Result<Self, HttpError> {
        let question = allowed(app)?.ask_anybody(&app.keys, PAGE, app.clock.now()).map_err(internal)?;
        Ok(Self { form, question, problems })
    }

    fn next(&self) -> Next {
        Next::parse(&self.form.next)
    }
}

impl PasskeyForm {
    /// What waits for signing in: a sealed form, or a path.
    fn waiting(&self) -> &str {
        if self.carried.is_empty() { &self.next } else { &self.carried }
    }
}
