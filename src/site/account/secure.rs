//! "This wasn't me", from inside the account: takes it back for the mailbox that it had before all changes that can still be
//! undone. A new password comes there by mail, for whoever is signed in may be somebody else.

use std::time::Duration;

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use crate::accounts::owner::owner_of;
use crate::accounts::passwords::{LinkRules, queue_link};
use crate::accounts::securing::secure;
use crate::accounts::two_factor::WaitRules;
use crate::app::App;
use crate::identity::{Email, t};
use crate::mail::AccountSecured;
use crate::paths::account::SECURE_OWN;
use crate::paths::auth::FORGOT;
use crate::records::events::{self, Kind};
use crate::records::users;
use crate::site::telling::{Happened, since};
use crate::web::errors::HttpError;
use crate::web::forms::{Form, FormError};
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::sign_in_request::SignInRequest;
use crate::web::view::filters;
use crate::web::viewer::{By, Remaining};

/// On the page where links are requested.
pub const LINK_SENT: Notice = Notice::new(
    "secured-link-sent",
    t(
        "Every device has been signed out, and the old password no longer works. We've emailed you a link to choose a new one.",
    ),
);

/// How far back the page looks: as long as a change of address can be undone.
const LOOKED_BACK: Duration = users::UNDO_LINK_LIFETIME;

pub(super) fn routes(pages: &mut Pages) {
    pages.service(routes::form(SECURE_OWN, show, submit_form));
}

#[derive(Template)]
#[template(path = "account/secure.html")]
struct SecurePage {
    /// Where the link goes.
    mailbox: Option<Email>,
    /// The address that the account has now, where that is another one.
    changed_to: Option<Email>,
    /// Whether the account is about to be deleted.
    is_leaving: bool,
    done: Vec<Happened>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SecureForm {
    /// On, when whoever asks changed the address themselves.
    keep_email: String,
}

async fn show(app: Data<App>, Remaining(by): Remaining) -> Result<Answer, HttpError> {
    let (user, now) = (by.viewer.user, by.now);
    let current = user.email.clone();
    let is_leaving = user.leaves_at.is_some();
    let (owner, done) = app
        .db
        .read(move |conn| {
            let owner = owner_of(conn, &user, now)?;
            Ok((owner, since(conn, &user, now.minus(LOOKED_BACK))?))
        })
        .await?;
    let mailbox = owner.map(|(email, _)| email);
    let changed_to = current.filter(|current| mailbox.as_ref() != Some(current));
    Ok(page::ok(SecurePage { mailbox, changed_to, is_leaving, done }))
}

async fn submit_form(
    app: Data<App>,
    Remaining(by): Remaining,
    browser: SignInRequest,
    Form(form): Form<SecureForm>,
) -> Result<Answer, HttpError> {
    submit(app, by, browser, &form).await
}

/// Takes the account back; everybody is signed out, here too.
///
/// # Errors
/// Confirm the password, when it was last given more than ten minutes ago: a passer-by must not do this.
pub async fn submit(
    app: Data<App>,
    by: By,
    browser: SignInRequest,
    form: &SecureForm,
) -> Result<Answer, HttpError> {
    by.require_recent_proof(SECURE_OWN.path())?;
    let keeps_email = !form.keep_email.is_empty();
    let rules = LinkRules { lifetime: app.config.reset_lifetime, seal: app.keys.outbox };
    let recovery = WaitRules::new(&app.config, &app.keys);
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            let current = || user.confirmed_email().map(|email| (email.clone(), by.now));
            let owner = if keeps_email { current() } else { owner_of(conn, &user, by.now)? };
            let (owner, since) = owner.ok_or(HttpError::NotFound)?;
            if !secure(conn, &user, &owner, since, recovery, by.now)? {
                return Err(
                    HttpError::Unavailable("an address was confirmed by somebody else".to_owned()).into()
                );
            }
            let id = &user.id;
            events::note(conn, Kind::AccountSecured, Some(id), &by.source(), "", by.now)?;
            let name = user.display_name().to_owned();
            let mail = |link| AccountSecured { name, link }.into();
            Ok::<_, FormError>(queue_link(conn, id, &owner, rules, by.now, mail)?)
        })
        .await?;
    app.wakeup.wake();
    browser.cookie_session.purge();
    Ok(page::see_other(FORGOT.path()).saying(LINK_SENT.post()))
}
