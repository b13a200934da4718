//! Forgot the password: ask for a link, choose a new password with it. And undo a change of address.
//!
//! Asking has one answer for every input. The link is good for twenty minutes, works once, and is looked at by
//! GET as often as scanners like. A new password ends every session and every other link, signs nobody in, and
//! is told by mail.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, ServiceConfig};
use askama::Template;
use serde::Deserialize;

use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{Email, Id, LinkToken, Message, Moment, Password, Purpose, Standing};
use crate::mail::{self, Mail, Posting};
use crate::paths::{self, route};
use crate::records::events::{self, Kind, Origin};
use crate::records::links::{self, Link, LinkState};
use crate::records::users::{self, User};
use crate::records::{sign_ins, verifications};
use crate::web::client::Client;
use crate::web::fault::{DeadEnd, Fault, Refusal};
use crate::web::forms::{Form, Problems, same_twice};
use crate::web::limits::Limit;
use crate::web::page::{self, Chrome};
use crate::web::{filters, routes};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(routes::form(route::FORGOT, show_ask, ask))
        .service(routes::form(route::RESET, show_reset, reset))
        .service(routes::form(route::UNDO_EMAIL, show_undo, undo));
}

#[derive(Template)]
#[template(path = "recovery/ask.html")]
struct AskPage {
    chrome: Chrome,
    form: AskForm,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "recovery/asked.html")]
struct AskedPage {
    chrome: Chrome,
}

#[derive(Template)]
#[template(path = "recovery/reset.html")]
struct ResetPage {
    chrome: Chrome,
    username: String,
    min_length: usize,
    problems: Problems,
}

#[derive(Template)]
#[template(path = "recovery/undo_email.html")]
struct UndoPage {
    chrome: Chrome,
    username: String,
    address: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AskForm {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResetForm {
    password: String,
    confirm_password: String,
}

async fn show_ask(req: actix_web::HttpRequest) -> HttpResponse {
    if req.query_string() == "said=check-mail" {
        return page::ok(&AskedPage { chrome: Chrome::plain() });
    }
    let chrome = Chrome::plain().with_notice(req.query_string());
    page::ok(&AskPage { chrome, form: AskForm::default(), problems: Problems::default() })
}

async fn ask(app: Data<App>, client: Client, Form(form): Form<AskForm>) -> Result<HttpResponse, Fault> {
    let login = form.username.trim_matches(' ').to_owned();
    if login.is_empty() || login.len() > 254 {
        let problems = Problems::one("username", "Enter your username or e-mail address.");
        return Ok(page::refused(&AskPage { chrome: Chrome::plain(), form, problems }));
    }
    app.limits.take(Limit::Recovery, &client.network()).await?;
    let (now, lifetime) = (app.clock.now(), app.config.reset_lifetime);
    app.db
        .write(move |conn| {
            let secret = Some(login.as_str());
            let posting = Posting { user: None, to: "", secret, lifetime: Some(lifetime), withheld: false };
            Ok::<_, db::Error>(mail::queue(conn, &Mail::RecoveryAsked, &posting, now)?)
        })
        .await?;
    app.bell.ring();
    Ok(page::see_other(&paths::with_notice(route::FORGOT, "check-mail")))
}

async fn show_reset(app: Data<App>, at: Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (_, user) = open_link(&app, &at, Purpose::ResetPassword).await?;
    Ok(page::ok(&ResetPage::new(&app, &user, Problems::default())))
}

async fn reset(
    app: Data<App>,
    client: Client,
    at: Path<(String, String)>,
    Form(form): Form<ResetForm>,
) -> Result<HttpResponse, Fault> {
    app.limits.take(Limit::Recovery, &client.network()).await?;
    let (link, user) = open_link(&app, &at, Purpose::ResetPassword).await?;
    match choose_password(&app, &client, link, &user, &form).await {
        Ok(()) => Ok(page::see_other(&paths::with_notice(&paths::sign_in(user.role), "password-reset"))),
        Err(refusal) => Ok(page::refused(&ResetPage::new(&app, &user, refusal.problems()?))),
    }
}

async fn choose_password(
    app: &App,
    client: &Client,
    link: Link,
    user: &User,
    form: &ResetForm,
) -> Result<(), Refusal> {
    let password = new_password(app, user, &form.password, &form.confirm_password)?;
    let hash = app.hasher.hash(password).await?;
    let (user, origin, now) = (user.clone(), client.origin(), app.clock.now());
    app.db
        .write(move |conn| {
            if !links::consume(conn, &link.id, now)? {
                return Err(dead_link(LinkState::Used, Purpose::ResetPassword).into());
            }
            users::set_password(conn, &user.id, &hash, now)?;
            sign_ins::end_all(conn, &user.id, None, now)?;
            forget_secrets(conn, &user.id, now)?;
            events::note(conn, Kind::PasswordReset, Some(&user.id), &origin, "", now)?;
            Ok::<_, Refusal>(tell_password_changed(conn, &user, &origin, now)?)
        })
        .await?;
    app.bell.ring();
    Ok(())
}

/// The new password, typed twice; also where a signed-in person chooses one.
pub(super) fn new_password(app: &App, user: &User, typed: &str, again: &str) -> Result<Password, Problems> {
    let mut problems = Problems::default();
    let own_words =
        [user.username.as_str(), user.email.as_deref().unwrap_or_default(), user.full_name.as_str()];
    let password = problems.take("password", Password::choose(typed, app.config.passwords.rules, &own_words));
    same_twice(&mut problems, typed, again);
    password.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Pending changes and links of the person stop working: whoever began them may not have been the owner.
pub(super) fn forget_secrets(conn: &mut Connection, user: &Id, now: Moment) -> diesel::QueryResult<()> {
    verifications::end_all(conn, user, Purpose::ChangeEmail, now)?;
    links::revoke(conn, user, Purpose::ResetPassword, now)
}

/// Queues the notice of a new password.
pub(super) fn tell_password_changed(
    conn: &mut Connection,
    user: &User,
    origin: &Origin,
    now: Moment,
) -> diesel::QueryResult<()> {
    let Some(address) = user.email.as_deref() else { return Ok(()) };
    let mail = Mail::PasswordChanged {
        username: user.username.clone(),
        at: now.to_string(),
        from: origin.0.clone(),
    };
    mail::queue(conn, &mail, &Posting::to(&user.id, address), now)
}

async fn show_undo(app: Data<App>, at: Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (link, user) = open_link(&app, &at, Purpose::UndoEmail).await?;
    Ok(page::ok(&UndoPage { chrome: Chrome::plain(), username: user.username, address: link.address }))
}

/// Brings the old address back, ends every session and sends the person to choose a new password: whoever
/// changed the address may know the old one.
async fn undo(app: Data<App>, client: Client, at: Path<(String, String)>) -> Result<HttpResponse, Fault> {
    app.limits.take(Limit::Recovery, &client.network()).await?;
    let (link, user) = open_link(&app, &at, Purpose::UndoEmail).await?;
    let old =
        Email::parse(&link.address).map_err(|_| Fault::Internal("an unreadable old address".to_owned()))?;
    let (origin, now) = (client.origin(), app.clock.now());
    app.db
        .write(move |conn| {
            if !links::consume(conn, &link.id, now)? {
                return Err(dead_link(LinkState::Used, Purpose::UndoEmail).into());
            }
            bring_back(conn, &user.id, &old)?;
            links::revoke_newer(conn, &link, now)?;
            sign_ins::end_all(conn, &user.id, None, now)?;
            forget_secrets(conn, &user.id, now)?;
            Ok::<_, Refusal>(events::note(conn, Kind::EmailRestored, Some(&user.id), &origin, "", now)?)
        })
        .await
        .map_err(|refusal| refusal.problems().err().unwrap_or(Fault::BadRequest))?;
    Ok(page::see_other(&paths::with_notice(route::FORGOT, "email-restored")))
}

/// A sign-up that waits for its code has no claim on the address; a verified account has.
fn bring_back(conn: &mut Connection, user: &Id, old: &Email) -> Result<(), Refusal> {
    if let Some(holder) = users::by_email(conn, &old.canonical())?
        && holder.id != *user
        && !users::remove_unverified(conn, &holder.id)?
    {
        let text =
            "Meanwhile another account confirmed this address. Please contact the operator of this site.";
        return Err(
            DeadEnd::new(StatusCode::GONE, "This address belongs to another account now", text).into()
        );
    }
    Ok(users::set_email(conn, user, old)?)
}

/// The link of that address while it works, or the dead end that it leads to.
async fn open_link(
    app: &App,
    (uid, token): &(String, String),
    purpose: Purpose,
) -> Result<(Link, User), Fault> {
    let unknown = || {
        let text = "It may have been cut off on its way, or be very old. Copy the whole link from the mail.";
        DeadEnd::new(StatusCode::NOT_FOUND, "This link is not known", text)
            .way_on("Ask for a new link", route::FORGOT)
    };
    let (id, token) = Id::parse(uid).zip(LinkToken::parse(token)).ok_or_else(unknown)?;
    let found = app.db.find(move |conn| Ok::<_, db::Error>(links::find(conn, &id, &token, purpose)?)).await?;
    let (link, user) = found.ok_or_else(unknown)?;
    // Undoing an address is for its owner also while the account is blocked; it unblocks nothing.
    let usable = purpose == Purpose::UndoEmail || user.standing() == Standing::Active;
    match link.state(app.clock.now()) {
        LinkState::Open if usable => Ok((link, user)),
        LinkState::Open => Err(dead_link(LinkState::Revoked, purpose).into()),
        state => Err(dead_link(state, purpose).into()),
    }
}

fn dead_link(state: LinkState, purpose: Purpose) -> DeadEnd {
    let (title, text): (Message, Message) = match state {
        LinkState::Used => ("This link was used already".into(), "Each link works once. If you need another one, just ask for it.".into()),
        LinkState::Expired => ("This link has run out".into(), "For your safety links are good for a short time only. Just ask for a new one.".into()),
        LinkState::Open | LinkState::Revoked => (
            "This link no longer works".into(),
            "A newer link took its place, or the account changed since. Use the newest mail, or ask for a new link.".into(),
        ),
    };
    let end = DeadEnd::new(StatusCode::GONE, title, text);
    match purpose {
        Purpose::ResetPassword => end.way_on("Ask for a new link", route::FORGOT),
        _ => end.way_on("Sign in", route::SIGN_IN_ANY),
    }
}

impl ResetPage {
    fn new(app: &App, user: &User, problems: Problems) -> Self {
        let min_length = app.config.passwords.rules.min_length;
        Self { chrome: Chrome::plain(), username: user.username.clone(), min_length, problems }
    }
}
