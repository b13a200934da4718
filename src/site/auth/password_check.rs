//! The one check of a password that is not a sign-in, and the choice of a new one.
//!
//! Wrong ones count in the same buckets as wrong sign-ins, so that no page is a way around their limit.

use crate::app::App;
use crate::hasher::Verdict;
use crate::identity::{Password, PasswordHash, Sentence, t};
use crate::limits::Limit;
use crate::records::users::User;
use crate::web::client::Client;
use crate::web::forms::{FormError, Problems, require_same_twice};
use crate::web::viewer::By;

/// Refuses unless `typed` is the current password of who is signed in.
pub async fn require_current_password(app: &App, by: &By, typed: &str) -> Result<(), FormError> {
    let wrong = t("That isn't your current password.");
    let typed = Password::entered(typed);
    check_password(app, by.user(), typed, &by.client, "current_password", wrong).await
}

/// Refuses, with `wrong` at the field, unless it is the password of an account.
pub async fn check_password(
    app: &App,
    user: &User,
    given: Password,
    client: &Client,
    field: &'static str,
    wrong: Sentence,
) -> Result<(), FormError> {
    let account = user.id.as_str();
    let network = client.network();
    app.limits.take(Limit::SignInAccount, account).await?;
    if let Err(too_many) = app.limits.take(Limit::SignInNetwork, &network).await {
        app.limits.give_back(Limit::SignInAccount, account).await;
        return Err(too_many.into());
    }
    let verdict = app.hasher.verify(given, Some(user.password_hash.clone())).await;
    if let Ok(Verdict::Wrong) = verdict {
        return Err(FormError::at(field, wrong));
    }
    // Right, or not evaluated: only failures count.
    app.limits.give_back(Limit::SignInAccount, account).await;
    app.limits.give_back(Limit::SignInNetwork, &network).await;
    verdict.map(drop).map_err(FormError::from)
}

/// Reads a new password, typed twice.
///
/// # Errors
/// Everything that is wrong with it at first sight.
pub fn choose_password(app: &App, typed: &str, again: &str) -> Result<Password, Problems> {
    let mut problems = Problems::default();
    let password = problems.take("password", Password::choose(typed, app.config.passwords.rules));
    require_same_twice(&mut problems, typed, again);
    password.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Hashes a new password. Asked last, when everything else in the form is right.
///
/// # Errors
/// At the password, when it can be guessed.
pub async fn hash_new(
    app: &App,
    password: Password,
    own_words: Vec<String>,
) -> Result<PasswordHash, FormError> {
    let hashed = app.hasher.hash_new(password, own_words).await?;
    hashed.map_err(|message| FormError::at("password", message))
}

/// The words of an account that make a password guessable.
pub fn own_words(user: &User) -> Vec<String> {
    let email = user.email.as_ref().map_or_else(String::new, ToString::to_string);
    vec![user.username.to_string(), email, user.full_name.clone()]
}
