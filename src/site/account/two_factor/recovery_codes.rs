//! Recovery codes: made here, shown once, to be printed or saved. On their way to the page they travel in a sealed cookie, and to the
//! file in a sealed field: only their digests are stored.

use std::time::Duration;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::{TURNED_ON, TURNED_ON_BY_PASSKEY};
use crate::accounts::two_factor;
use crate::app::App;
use crate::identity::{RecoveryCode, Username, Zone, t};
use crate::mail::TwoFactorChange;
use crate::paths::Next;
use crate::paths::account::{RECOVERY_CODES, RECOVERY_CODES_FILE, TWO_FACTOR};
use crate::records::events::{self, Kind};
use crate::records::two_factor::recovery_codes;
use crate::records::users::User;
use crate::web::cookies;
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError};
use crate::web::language_of;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::By;

/// How long they travel.
const LIFETIME: Duration = Duration::from_secs(300);

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(RECOVERY_CODES, show, submit)).service(routes::act(
        RECOVERY_CODES_FILE,
        RECOVERY_CODES,
        download,
    ));
}

#[derive(Template)]
#[template(path = "account/recovery_codes.html")]
struct RecoveryCodesPage {
    username: Username,
    /// Just made; empty: they are shown no more.
    codes: Vec<String>,
    /// The same under seal, for the file.
    sealed: String,
    left: i64,
    /// Where its person goes on.
    on: String,
}

/// Leads to the one page that shows them.
pub(super) fn lead_to_page(app: &App, user: &User, codes: &[RecoveryCode], next: &Next) -> Answer {
    let shown: Vec<String> = codes.iter().map(RecoveryCode::shown).collect();
    let text = format!("{} {}", user.id.as_str(), shown.join(" "));
    let mut cookie = cookies::build(&app.config, cookies::RECOVERY_CODES, text);
    cookies::keep_for(&mut cookie, LIFETIME);
    page::see_other(next.after(RECOVERY_CODES.path()))
        .with_cookie(cookies::seal(&app.keys.second_step, cookie))
}

async fn show(app: Data<App>, by: By, next: Next, req: HttpRequest) -> Result<Answer, HttpError> {
    let user = by.user();
    if !user.has_two_factor() {
        return Ok(page::see_other(TWO_FACTOR.path()));
    }
    let id = user.id.clone();
    let left = app.db.read(move |conn| recovery_codes::count_left(conn, &id)).await?;
    let codes = arrived(&app, &req, user);
    if !codes.is_empty() {
        cookies::forget_later(&req, cookies::RECOVERY_CODES);
    }
    let sealed = app.keys.carried.seal(&format!("recovery-codes {} {}", user.id.as_str(), codes.join(" ")));
    Ok(page::ok(RecoveryCodesPage {
        username: user.username.clone(),
        codes,
        sealed,
        left,
        on: next.or(TWO_FACTOR.path()),
    })
    .showing(&[&TURNED_ON, &TURNED_ON_BY_PASSKEY]))
}

/// Reads those that have just been made for somebody.
fn arrived(app: &App, req: &HttpRequest, user: &User) -> Vec<String> {
    let text = cookies::read(req, &app.config, &app.keys, cookies::RECOVERY_CODES, |keys| &keys.second_step);
    text.and_then(|text| codes_of(&text, user)).unwrap_or_default()
}

fn codes_of(text: &str, user: &User) -> Option<Vec<String>> {
    let (id, codes) = text.split_once(' ')?;
    (id == user.id.as_str()).then(|| codes.split(' ').map(ToOwned::to_owned).collect())
}

async fn submit(app: Data<App>, by: By) -> Result<Answer, HttpError> {
    renew(&app, by).await
}

/// Makes new ones, which replace those before.
///
/// # Errors
/// Prove who you are, where that was over ten minutes ago.
pub(super) async fn renew(app: &Data<App>, by: By) -> Result<Answer, HttpError> {
    by.require_recent_proof(RECOVERY_CODES.path())?;
    if !by.user().has_two_factor() {
        return Ok(page::see_other(TWO_FACTOR.path()));
    }
    let (doer, keys) = (by.clone(), app.keys.clone());
    let codes = app
        .db
        .write(move |conn| {
            let user = doer.still_may(conn)?;
            let codes = two_factor::renew_recovery_codes(conn, &user, &keys, doer.now)?;
            let change = TwoFactorChange::CodesMade;
            two_factor::notify_of_change(conn, &user, change, &keys.outbox, doer.now)?;
            events::note(conn, Kind::RecoveryCodesMade, Some(&user.id), &doer.source(), "", doer.now)?;
            Ok::<_, FormError>(codes)
        })
        .await?;
    app.wakeup.wake();
    Ok(lead_to_page(app, by.user(), &codes, &Next::default()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FileForm {
    codes: String,
}

/// Gives those on the page as a text file.
async fn download(
    app: Data<App>,
    by: By,
    req: HttpRequest,
    Form(form): Form<FileForm>,
) -> Result<Answer, HttpError> {
    let text = app.keys.open_carried(&form.codes).ok_or(HttpError::BadRequest)?;
    let text = text.strip_prefix("recovery-codes ").ok_or(HttpError::BadRequest)?;
    let codes = codes_of(text, by.user()).ok_or(HttpError::BadRequest)?;
    let site = &app.config.brand.name;
    let username = &by.user().username;
    let what = t("Recovery codes for {name} at {site}. You can use each code once.")
        .with("name", username.as_str())
        .with("site", site.as_str());
    let what = language_of(&req).say(&what, &Zone::utc());
    let text = format!("{what}\r\n\r\n{}\r\n", codes.join("\r\n"));
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"recovery-codes.txt\""))
        .body(text)
        .into())
}
