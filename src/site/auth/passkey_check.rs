//! Passkeys where somebody proves who they are: what the page asks, and the check of what comes back.

use crate::accounts::two_factor::Tried;
use crate::app::App;
use crate::db;
use crate::identity::{Id, Sentence, t};
use crate::passkeys::{Answered, Passkeys, Question, Refusal, Reply};
use crate::paths::Next;
use crate::records::two_factor::passkeys;
use crate::records::users::User;
use crate::web::errors::{HttpError, Redirect};
use crate::web::forms::FormError;
use crate::web::viewer::Viewer;

/// At a passkey of which nothing more is said: whoever guesses learns nothing.
pub const WRONG: Sentence = t("That passkey doesn't work here. Try another one.");
/// At one that answered too late, or a second time.
pub const STALE: Sentence = t("That took too long. Try again.");

/// Names the page of a question: an answer counts for that page alone, and for who or what is asked about there.
pub fn page_of(page: &str, about: &str) -> String {
    format!("{page} {about}")
}

/// The passkeys of this site.
///
/// # Errors
/// No such page, where the settings say that there are none.
pub fn allowed(app: &App) -> Result<&Passkeys, HttpError> {
    app.passkeys.as_ref().ok_or(HttpError::NotFound)
}

/// Asks for one of somebody's passkeys; `None` where they have none.
///
/// # Errors
/// The database's.
pub async fn ask(app: &App, user: &User, page: &str) -> Result<Option<Question>, HttpError> {
    let Some(passkeys) = &app.passkeys else { return Ok(None) };
    let stored = stored(app, &user.id).await?;
    if stored.is_empty() {
        return Ok(None);
    }
    passkeys.ask(&app.keys, page, &stored, app.clock.now()).map(Some).map_err(internal)
}

/// Leads whoever has a passkey, and is about to be asked for a code, to where the passkey is enough. Whoever has nothing else is not made
/// to spend a recovery code.
///
/// # Errors
/// Confirm who you are.
pub async fn require_instead_of_code(app: &App, viewer: &Viewer, path: &str) -> Result<(), HttpError> {
    let asks_code = app.passkeys.is_some() && viewer.asks_code(app.clock.now());
    if asks_code && !stored(app, &viewer.user.id).await?.is_empty() {
        return Err(Redirect::ConfirmNeeded(Next::parse(path)).into());
    }
    Ok(())
}

/// Checks what came back for a page from somebody's browser. It is used up by [`crate::accounts::two_factor::use_passkey`].
///
/// # Errors
/// At the passkey, when it does not count.
pub async fn check(app: &App, user: &Id, page: &str, reply: &Reply) -> Result<Answered, FormError> {
    let passkeys = allowed(app)?;
    let stored = stored(app, user).await?;
    let checked = passkeys.take(&app.keys, page, reply, &stored, app.clock.now());
    checked.map_err(|refusal| {
        FormError::at(
            "passkey",
            match refusal {
                Refusal::Stale => STALE,
                Refusal::Wrong => WRONG,
            },
        )
    })
}

/// Passes on that it was used up just now.
///
/// # Errors
/// At the passkey, when it was not.
pub fn require_used(tried: Tried) -> Result<Tried, FormError> {
    match tried {
        Tried::Right(_) => Ok(tried),
        Tried::Used => Err(FormError::at("passkey", STALE)),
        Tried::Wrong => Err(FormError::at("passkey", WRONG)),
    }
}

/// A mistake of ours.
pub fn internal(error: impl std::fmt::Display) -> HttpError {
    HttpError::Internal(format!("a passkey could not be asked for: {error}"))
}

async fn stored(app: &App, user: &Id) -> Result<Vec<String>, db::Error> {
    let user = user.clone();
    let all = app.db.find(move |conn| passkeys::all_of(conn, &user)).await?;
    Ok(all.into_iter().map(|passkey| passkey.credential).collect())
}
