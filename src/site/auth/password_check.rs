//! The one check of a password that is not a sign-in, and the choice of a new one.

use actix_web::web::Data;
use serde::Deserialize;

use super::second_step::CODE_USED;
use super::second_step::taking::note_factor;
use crate::accounts::two_factor::{self, Tried};
use crate::app::App;
use crate::hasher::Verdict;
use crate::identity::{FactorCode, Password, PasswordHash, t};
use crate::limits::{Limit, LimitKey};
use crate::records::two_factor::second_steps::FirstStep;
use crate::records::users::User;
use crate::web::client::Client;
use crate::web::forms::{FormError, Problems};
use crate::web::viewer::By;

/// What somebody types to prove who they are.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ProofForm {
    pub current_password: String,
    /// Of the second step, where [`crate::web::viewer::Viewer::asks_code`] says so.
    pub code: String,
}

/// Refuses unless it is the current password of who is signed in, and the code where one is asked for. Wrong ones count for this session
/// alone: nobody else can keep its person from confirming who they are.
pub async fn require_proof(app: &Data<App>, by: &By, form: &ProofForm) -> Result<(), FormError> {
    let mut problems = Problems::default();
    if form.current_password.is_empty() {
        problems.add("current_password", t("Enter your current password."));
    }
    let code =
        if by.viewer.asks_code(by.now) { problems.take("code", FactorCode::parse(&form.code)) } else { None };
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let session = by.viewer.session.life.id.as_str();
    let wrong = FormError::at("current_password", t("That isn't your current password."));
    let key = Limit::Confirm.of(session);
    check_password(app, key, &by.client, by.user(), &form.current_password, wrong).await?;
    let Some(code) = code else { return Ok(()) };
    // Nobody guesses a recovery code.
    let guess = matches!(code, FactorCode::Authenticator(_)).then(|| Limit::FactorDevice.of(session));
    let tokens = app.limits.take(guess).await?;
    let tried = try_code(app, by, code).await;
    match &tried {
        Ok(Tried::Wrong) => tokens.spend(),
        // Right, or not evaluated: only failures count.
        Ok(Tried::Right(_) | Tried::Used) | Err(_) => app.limits.give_back(tokens).await,
    }
    app.wakeup.wake();
    match tried? {
        Tried::Right(_) => Ok(()),
        Tried::Used => Err(FormError::at("code", CODE_USED)),
        Tried::Wrong => {
            Err(FormError::at("code", t("That code isn't right. Enter the code your app shows now.")))
        }
    }
}

/// Tries a code. What was counted is committed.
async fn try_code(app: &Data<App>, by: &By, code: FactorCode) -> Result<Tried, FormError> {
    let (by, keys) = (by.clone(), app.keys.clone());
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            let tried = two_factor::try_code(conn, &user, &code, &keys, &by.source(), by.now)?;
            match tried {
                Tried::Right(factor) => note_factor(conn, &user, factor, &by.source(), by.now)?,
                Tried::Wrong => {
                    let first = FirstStep::Password;
                    two_factor::note_wrong_code(conn, &user, first, &by.source(), &keys.outbox, by.now)?;
                }
                Tried::Used => {}
            }
            Ok::<_, FormError>(tried)
        })
        .await
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
