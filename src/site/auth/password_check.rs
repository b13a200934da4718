//! The one check of a password that is not a sign-in, and the choice of a new one.

use crate::app::App;
use crate::hasher::Verdict;
use crate::identity::{Password, PasswordHash, t};
use crate::limits::{Limit, LimitKey};
use crate::records::users::User;
use crate::web::client::Client;
use crate::web::forms::FormError;
use crate::web::viewer::By;

/// Refuses unless `typed` is the current password of who is signed in. Wrong ones count for this session alone: nobody else can
/// keep its person from confirming who they are.
pub async fn require_current_password(app: &App, by: &By, typed: &str) -> Result<(), FormError> {
    let key = Limit::Confirm.of(by.viewer.session.life.id.as_str());
    let wrong = FormError::at("current_password", t("That isn't your current password."));
    check_password(app, key, &by.client, by.user(), typed, wrong).await
}

/// Refuses with `wrong` unless `typed` is the password of an account. Wrong ones count in the bucket of `key`.
pub async fn check_password(
    app: &App,
    key: LimitKey,
    client: &Client,
    user: &User,
    typed: &str,
    wrong: FormError,
) -> Result<(), FormError> {
    let tokens = app.limits.take([key]).await?;
    let given = Password::entered(typed);
    let verdict = app.hasher.verify(&client.network(), given, Some(user.password_hash.clone())).await;
    if let Ok(Verdict::Wrong) = verdict {
        tokens.spend();
        return Err(wrong);
    }
    // Right, or not evaluated: only failures count.
    app.limits.give_back(tokens).await;
    verdict.map(drop).map_err(FormError::from)
}

/// Hashes a new password. Asked last, when everything else in the form is right.
///
/// # Errors
/// At the password, when it can be guessed.
pub async fn hash_new(
    app: &App,
    client: &Client,
    password: Password,
    own_words: Vec<String>,
) -> Result<PasswordHash, FormError> {
    let hashed = app.hasher.hash_new(&client.network(), password, own_words).await?;
    hashed.map_err(|message| FormError::at("password", message))
}

/// The words of an account that make a password guessable.
pub fn own_words(user: &User) -> Vec<String> {
    let email = user.email.as_ref().map_or_else(String::new, ToString::to_string);
    vec![user.username.to_string(), email, user.full_name.clone()]
}
