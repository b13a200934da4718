//! How the admin pages act on accounts, in the name of who is looking.

use crate::accounts::administration::{Act, ActError, ActKind, Actor, Rules};
use crate::accounts::usernames::TAKEN;
use crate::app::App;
use crate::identity::{Id, t};
use crate::pictures::Kept;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::viewer::By;

/// An act with the reason that was given for it.
#[derive(Clone)]
pub struct Request {
    pub act: Act,
    pub reason: String,
}

/// What becomes of the other accounts when an act does not happen to one.
#[derive(Clone, Copy)]
pub enum OnError {
    Stop,
    /// It happens to them; only a database that is away stops it for all.
    Skip,
}

/// What is said of an act that happened.
macro_rules! notices {
    ($($kind:ident: $sentence:literal;)+) => {
        /// What the page of an account may say.
        pub const NOTICES: &[&Notice] = &[$(notice(ActKind::$kind)),+];

        /// What is said of an act that happened.
        pub const fn notice(kind: ActKind) -> &'static Notice {
            match kind {
                $(ActKind::$kind => {
                    const NOTICE: Notice = Notice::new(concat!("act-", stringify!($kind)), t($sentence));
                    &NOTICE
                })+
            }
        }
    };
}

notices! {
    Block: "Account blocked and signed out everywhere.";
    Unblock: "Account unblocked.";
    Verify: "Email address confirmed.";
    SendCode: "A new code is on its way.";
    SendReset: "A password link is on its way.";
    ResetTwoFactor: "Two-step sign-in turned off; the account has been signed out everywhere.";
    RemindTwoFactor: "An email is on its way.";
    SetRole: "Role changed; the account has been signed out everywhere.";
    EndSessions: "The person has been signed out.";
    RemovePicture: "Picture removed.";
    Edit: "Details saved.";
    BeginDeletion: "The account will be deleted when the days of grace are over.";
    Keep: "The account won't be deleted.";
    Delete: "Account deleted.";
}

/// Does an act to each of these accounts in one transaction; returns to how many it happened.
///
/// # Errors
/// Why it happened to none.
pub async fn act_on(
    app: &App,
    by: &By,
    users: Vec<Id>,
    request: Request,
    on_error: OnError,
) -> Result<usize, FormError> {
    let by = by.clone();
    let rules = Rules::new(&app.config, &app.keys);
    let actor = actor(&by, &request.reason);
    let pictures = app
        .db
        .write(move |conn| {
            let mut done = Vec::new();
            for user in &users {
                match request.act.perform(conn, user, &actor, rules, by.now) {
                    Ok(act) => done.push(act.picture),
                    Err(error) => on_error.decide(error)?,
                }
            }
            // Whoever acts must still be who they were; asked last, so that rows are locked in one order.
            by.still_may(conn)?;
            Ok::<_, FormError>(done)
        })
        .await?;
    app.wakeup.wake();
    let count = pictures.len();
    for picture in pictures.into_iter().flatten() {
        app.pictures.remove(Kept::Picture, &picture).await;
    }
    Ok(count)
}

/// Names who is looking as the actor.
pub fn actor(by: &By, reason: &str) -> Actor {
    Actor { id: Some(by.user().id.clone()), source: by.source(), reason: reason.to_owned() }
}

impl OnError {
    fn decide(self, error: ActError) -> Result<(), FormError> {
        match (self, error) {
            (
                Self::Skip,
                ActError::Gone | ActError::UsernameTaken | ActError::EmailTaken | ActError::NotNow(_),
            ) => Ok(()),
            (Self::Skip | Self::Stop, error) => Err(explained(error)),
        }
    }
}

/// What a page makes of an act that did not happen.
pub fn explained(error: ActError) -> FormError {
    match error {
        ActError::Gone => HttpError::NotFound.into(),
        ActError::UsernameTaken => FormError::at("username", TAKEN),
        ActError::EmailTaken => FormError::at("email", t("An account already has this email address.")),
        ActError::NotNow(message) => FormError::at("acts", message),
        ActError::Database(error) => error.into(),
    }
}
