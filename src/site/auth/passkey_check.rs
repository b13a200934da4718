//! Passkeys where somebody proves who they are: what the page asks, and the check of what comes back.

use crate::accounts::two_factor::PasskeyTried;
use crate::app::App;
use crate::db;
use crate::identity::{Id, Moment, Sentence, t};
use crate::passkeys::{Answered, Passkeys, Question, Refusal, Reply};
use crate::paths::Next;
use crate::paths::auth::SIGN_IN_ANY;
use crate::records::two_factor::passkeys;
use crate::records::users::User;
use crate::web::errors::{HttpError, Redirect};
use crate::web::forms::{FormError, Problems};
use crate::web::viewer::Viewer;

/// At a passkey of which nothing more is said: whoever guesses learns nothing.
pub const WRONG: Sentence = t(
    "That passkey isn't linked to an account here. It may have been removed. Try another passkey, or sign in another way.",
);
/// At one that answered too late, or a second time.
pub const STALE: Sentence = t("That took too long. Try again.");

/// At one that was not used with the password since that was changed.
const NEEDS_PASSWORD: Sentence = t(
    "Your password has changed since you last used this passkey. Sign in with your password and the passkey once. After that, the passkey is enough again.",
);

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
    passkeys.ask_one_of(&app.keys, page, &stored, app.clock.now()).map_err(internal)
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

/// Checks what came back from somebody's browser. It is used up by [`crate::accounts::two_factor::use_passkey`], as of the same time.
///
/// # Errors
/// At the passkey, when it does not count.
pub async fn check(
    app: &App,
    user: &Id,
    page: &str,
    reply: &Reply,
    now: Moment,
) -> Result<Answered, FormError> {
    let passkeys = allowed(app)?;
    if reply.whose().is_some_and(|said| said != *user) {
        return Err(FormError::at("passkey", WRONG));
    }
    let stored = stored(app, user).await?;
    passkeys.take_one_of(&app.keys, page, reply, &stored, now).map_err(refused)
}

/// What is said of one that does not count.
pub fn refused(refusal: Refusal) -> FormError {
    let message = match refusal {
        Refusal::Stale => STALE,
        Refusal::Wrong => WRONG,
    };
    FormError::at("passkey", message)
}

/// Refuses unless it was used up just now.
///
/// # Errors
/// At the passkey.
pub fn require_used(tried: PasskeyTried) -> Result<(), FormError> {
    match tried {
        PasskeyTried::Right => Ok(()),
        PasskeyTried::Used => Err(FormError::at("passkey", STALE)),
        PasskeyTried::Removed => Err(FormError::at("passkey", WRONG)),
        PasskeyTried::NeedsPassword => {
            let problems = Problems::one("passkey", NEEDS_PASSWORD);
            Err(problems.with_link(SIGN_IN_ANY.to_string(), t("Sign in with your password")).into())
        }
    }
}

/// A mistake of ours.
pub fn internal(error: impl std::fmt::Display) -> HttpError {
    HttpError::Internal(format!("a passkey could not be asked for: {error}"))
}

/// What is stored of somebody's passkeys.
///
/// # Errors
/// The database's.
pub async fn stored(app: &App, user: &Id) -> Result<Vec<String>, db::Error> {
    let user = user.clone();
    let all = app.db.find(move |conn| passkeys::all_of(conn, &user)).await?;
    Ok(all.into_iter().map(|passkey| passkey.credential).collect())
}
