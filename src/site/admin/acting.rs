//! How the admin pages act on accounts, in the name of who is looking.

use crate::accounts::administration::{Act, ActError, ActKind, Actor, Rules};
use crate::accounts::usernames::TAKEN;
use crate::app::App;
use crate::identity::{Id, t};
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

macro_rules! notices {
    ($($kind:ident: $sentence:literal, $one:literal, $other:literal;)+) => {
        /// What the page of an account may say of an act.
        pub const NOTICES: &[&Notice] = &[$(&Notice::new(concat!("act-", stringify!($kind)), t($sentence))),+];

        /// What the list of accounts may say of an act on several.
        pub const BULK_NOTICES: &[&Notice] =
            &[$(&Notice::counted(concat!("bulk-", stringify!($kind)), $one, $other)),+];

        /// What is said of an act that happened to one account.
        pub const fn notice(kind: ActKind) -> &'static Notice {
            match kind {
                $(ActKind::$kind => {
                    const NOTICE: Notice = Notice::new(concat!("act-", stringify!($kind)), t($sentence));
                    &NOTICE
                })+
            }
        }

        /// What is said of an act that happened to several.
        pub const fn bulk_notice(kind: ActKind) -> &'static Notice {
            match kind {
                $(ActKind::$kind => {
                    const NOTICE: Notice = Notice::counted(concat!("bulk-", stringify!($kind)), $one, $other);
                    &NOTICE
                })+
            }
        }
    };
}

notices! {
    Block: "Account blocked and signed out everywhere.",
        "1 account blocked. Details are in Events.", "{count} accounts blocked. Details are in Events.";
    Unblock: "Account unblocked.",
        "1 account unblocked. Details are in Events.", "{count} accounts unblocked. Details are in Events.";
    Verify: "Email address confirmed.",
        "1 email address confirmed. Details are in Events.", "{count} email addresses confirmed. Details are in Events.";
    SendCode: "A new code is on its way.",
        "1 new code is on its way.", "{count} new codes are on their way.";
    SendReset: "A password link is on its way.",
        "1 password link is on its way.", "{count} password links are on their way.";
    SetRole: "Role changed; the account has been signed out everywhere.",
        "1 role changed. Details are in Events.", "{count} roles changed. Details are in Events.";
    EndSessions: "Signed out.",
        "1 account signed out. Details are in Events.", "{count} accounts signed out. Details are in Events.";
    RemovePicture: "Picture removed.",
        "1 picture removed. Details are in Events.", "{count} pictures removed. Details are in Events.";
    Edit: "Details saved.",
        "1 account changed. Details are in Events.", "{count} accounts changed. Details are in Events.";
    Delete: "Account deleted.",
        "1 account deleted. Details are in Events.", "{count} accounts deleted. Details are in Events.";
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
        app.pictures.remove(&picture).await;
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
