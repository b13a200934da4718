//! One's own second step of signing in: authenticators, recovery codes and trusted devices; and turning it off.

mod adding;
mod new_authenticator;
mod new_passkey;
mod qr;
mod recovery_codes;

use actix_web::web::{Data, Path};
use askama::Template;
use diesel::QueryResult;

use crate::accounts::two_factor::{self, Removed};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{Id, Message, Moment, Sentence, t, tn};
use crate::mail::{TwoFactorChange, WhyOff};
use crate::paths::Next;
use crate::paths::account::{
    NEW_AUTHENTICATOR, NEW_PASSKEY, RECOVERY_CODES, REMOVE_AUTHENTICATOR, REMOVE_PASSKEY, TWO_FACTOR,
    TWO_FACTOR_KEEP, TWO_FACTOR_OFF,
};
use crate::records::events::{self, Kind};
use crate::records::two_factor::authenticators::{self, Authenticator};
use crate::records::two_factor::passkeys::{self, Passkey};
use crate::records::two_factor::trusted_devices;
use crate::records::users::User;
use crate::web::carried::Carried;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::routes::{self, Pages};
use crate::web::view::filters;
use crate::web::viewer::{By, Enrolling};

const ADDED: Notice = Notice::new("authenticator-added", t("The authenticator app has been added."));
/// The longest name of an app or a passkey, in characters.
pub const MAX_NAME: usize = 40;

const TURNED_ON_BY_PASSKEY: Notice =
    Notice::new("two-factor-on-passkey", t("Your passkey has been added. Two-step sign-in is now on."));
const TURNED_ON: Notice = Notice::new("two-factor-on", t("Two-step sign-in is on."));
const PASSKEY_ADDED: Notice = Notice::new("passkey-added", t("The passkey has been added."));
const PASSKEY_REMOVED: Notice = Notice::new(
    "passkey-removed",
    t("The passkey has been removed. You can delete it from your device, too."),
);
const REMOVED: Notice = Notice::new("authenticator-removed", t("The authenticator app has been removed."));
const OFF: Notice = Notice::new("two-factor-off", t("Two-step sign-in has been turned off."));
const KEPT: Notice = Notice::new("two-factor-stays", t("Two-step sign-in stays on."));

pub(super) fn routes(pages: &mut Pages) {
    pages
        .service(routes::page(TWO_FACTOR, show))
        .service(routes::act(REMOVE_AUTHENTICATOR, TWO_FACTOR, remove))
        .service(routes::act(REMOVE_PASSKEY, TWO_FACTOR, remove_passkey))
        .service(routes::act(TWO_FACTOR_OFF, TWO_FACTOR, turn_off))
        .service(routes::act(TWO_FACTOR_KEEP, TWO_FACTOR, keep));
    new_authenticator::routes(pages);
    new_passkey::routes(pages);
    recovery_codes::routes(pages);
}

#[derive(Template)]
#[template(path = "account/two_factor.html")]
struct TwoFactorPage {
    is_on: bool,
    /// When it ends, because somebody said that it is lost.
    ends_at: Option<Moment>,
    need: Need,
    authenticators: Vec<Authenticator>,
    /// Those of its person, where the site takes them.
    passkeys: Vec<Passkey>,
    codes_left: i64,
    /// How many devices are asked for no code.
    trusted: usize,
    /// The pages where it is set up; they lead on to where their person wanted to go.
    set_up: SetUp,
}

#[derive(Clone)]
struct SetUp {
    app: String,
    /// Where the site takes them.
    passkey: Option<String>,
}

/// Whether the site asks for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    No,
    Later(Moment),
    Now,
}

impl Need {
    fn of(app: &App, user: &User, now: Moment) -> Self {
        let config = &app.config.two_factor;
        match config.required_from {
            _ if config.is_due_for(user.role, now) => Self::Now,
            Some(from) if config.is_required_of(user.role) => Self::Later(from),
            _ => Self::No,
        }
    }
}

async fn show(app: Data<App>, Enrolling(by): Enrolling, next: Next) -> Result<Answer, HttpError> {
    let need = Need::of(&app, by.user(), by.now);
    let (user, now) = (by.viewer.user, by.now);
    let passkey = app.passkeys.as_ref().map(|_| next.after(NEW_PASSKEY.path()));
    let set_up = SetUp { app: next.after(NEW_AUTHENTICATOR.path()), passkey };
    let read = move |conn: &mut Connection| TwoFactorPage::read(conn, &user, need, set_up.clone(), now);
    let page = app.db.read(read).await?;
    Ok(page::ok(page).showing(&[&ADDED, &REMOVED, &PASSKEY_ADDED, &PASSKEY_REMOVED, &OFF, &KEPT]))
}

impl TwoFactorPage {
    fn read(conn: &mut Connection, user: &User, need: Need, set_up: SetUp, now: Moment) -> QueryResult<Self> {
        Ok(Self {
            is_on: user.has_two_factor(),
            ends_at: user.two_factor_recovery(now),
            need,
            authenticators: authenticators::all_of(conn, &user.id)?,
            passkeys: if set_up.passkey.is_some() { passkeys::all_of(conn, &user.id)? } else { Vec::new() },
            codes_left: crate::records::two_factor::recovery_codes::count_left(conn, &user.id)?,
            trusted: trusted_devices::live_of(conn, &user.id, now)?.len(),
            set_up,
        })
    }

    fn must_set_up(&self) -> bool {
        !self.is_on && self.need == Need::Now
    }

    fn due(&self) -> Option<Moment> {
        match self.need {
            Need::Later(from) if !self.is_on => Some(from),
            Need::Later(_) | Need::No | Need::Now => None,
        }
    }

    /// Says on how many devices no code is asked for.
    fn trusted(&self) -> Message {
        tn("There's 1 device you trust.", "There are {count} devices you trust.", self.trusted)
    }

    fn may_turn_off(&self) -> bool {
        self.is_on && self.need != Need::Now
    }

    /// Whether something would be left if one went.
    fn may_remove(&self) -> bool {
        self.authenticators.len() + self.passkeys.len() > 1
    }

    fn title(authenticator: &Authenticator) -> Message {
        named(&authenticator.name, t("Authenticator app"))
    }

    fn title_of_passkey(passkey: &Passkey) -> Message {
        named(&passkey.name, t("Passkey"))
    }
}

fn named(name: &str, usual: Sentence) -> Message {
    if name.is_empty() { usual.into() } else { Message::verbatim(name) }
}

async fn remove_passkey(app: Data<App>, by: By, at: Path<String>) -> Result<Answer, HttpError> {
    let path = REMOVE_PASSKEY.to([at.as_str()]);
    perform(&app, by, &path).await
}

async fn remove(app: Data<App>, by: By, at: Path<String>) -> Result<Answer, HttpError> {
    let path = REMOVE_AUTHENTICATOR.to([at.as_str()]);
    perform(&app, by, &path).await
}

async fn turn_off(app: Data<App>, by: By) -> Result<Answer, HttpError> {
    perform(&app, by, TWO_FACTOR_OFF.path()).await
}

/// Says what a form asks for that waits for its person to prove who they are; `None` for another page's.
pub fn describe(path: &str) -> Option<Message> {
    if path == TWO_FACTOR_OFF.path() {
        Some(t("Turn off two-step sign-in").into())
    } else if path == RECOVERY_CODES.path() {
        Some(t("Make new recovery codes").into())
    } else if REMOVE_AUTHENTICATOR.parse(path).is_some() {
        Some(t("Remove an authenticator app").into())
    } else if REMOVE_PASSKEY.parse(path).is_some() {
        Some(t("Remove a passkey").into())
    } else {
        None
    }
}

/// Does what a form asked for, once its person has proved who they are.
///
/// # Errors
/// Prove it, where that was over ten minutes ago.
pub async fn perform_carried(app: &Data<App>, by: By, carried: &Carried) -> Result<Answer, HttpError> {
    perform(app, by, &carried.path).await
}

async fn perform(app: &Data<App>, by: By, path: &str) -> Result<Answer, HttpError> {
    if path == TWO_FACTOR_OFF.path() {
        perform_off(app, by).await
    } else if path == RECOVERY_CODES.path() {
        recovery_codes::renew(app, by).await
    } else if let Some([id]) = REMOVE_AUTHENTICATOR.parse(path) {
        perform_removal(app, by, What::Authenticator, Id::parse(id)).await
    } else if let Some([id]) = REMOVE_PASSKEY.parse(path) {
        perform_removal(app, by, What::Passkey, Id::parse(id)).await
    } else {
        Err(HttpError::NotFound)
    }
}

/// What is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Authenticator,
    Passkey,
}

async fn perform_removal(app: &Data<App>, by: By, what: What, id: Option<Id>) -> Result<Answer, HttpError> {
    by.require_recent_proof(TWO_FACTOR.path())?;
    let Some(id) = id else { return Ok(page::see_other(TWO_FACTOR.path())) };
    let (seal, has_passkeys) = (app.keys.outbox, app.passkeys.is_some());
    let (kind, change, notice) = match what {
        What::Authenticator => (Kind::AuthenticatorRemoved, TwoFactorChange::AppRemoved, &REMOVED),
        What::Passkey => (Kind::PasskeyRemoved, TwoFactorChange::PasskeyRemoved, &PASSKEY_REMOVED),
    };
    let removed = app
        .db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            let removed = match what {
                What::Authenticator => two_factor::remove_authenticator(conn, &user, &id, has_passkeys)?,
                What::Passkey => two_factor::remove_passkey(conn, &user, &id)?,
            };
            if let Removed::One(name) = &removed {
                events::note(conn, kind, Some(&user.id), &by.source(), name, by.now)?;
                two_factor::notify_of_change(conn, &user, change.clone(), &seal, by.now)?;
            }
            Ok::<_, FormError>(removed)
        })
        .await?;
    app.wakeup.wake();
    let answer = page::see_other(TWO_FACTOR.path());
    Ok(match removed {
        Removed::One(_) => answer.saying(notice.post()),
        Removed::IsLast | Removed::Gone => answer,
    })
}

async fn perform_off(app: &Data<App>, by: By) -> Result<Answer, HttpError> {
    by.require_recent_proof(TWO_FACTOR.path())?;
    if Need::of(app, by.user(), by.now) == Need::Now {
        return Ok(page::see_other(TWO_FACTOR.path()));
    }
    let seal = app.keys.outbox;
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            if user.has_two_factor() {
                two_factor::turn_off(conn, &user, WhyOff::Person, &seal, by.now)?;
                events::note(conn, Kind::TwoFactorOff, Some(&user.id), &by.source(), "", by.now)?;
            }
            Ok::<_, FormError>(())
        })
        .await?;
    app.wakeup.wake();
    Ok(page::see_other(TWO_FACTOR.path()).saying(OFF.post()))
}

/// Stops what somebody began who said that they had lost the second step.
async fn keep(app: Data<App>, by: By) -> Result<Answer, HttpError> {
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            if two_factor::stop_recovery(conn, &user, by.now)? {
                let kind = Kind::TwoFactorRecoveryStopped;
                events::note(conn, kind, Some(&user.id), &by.source(), "", by.now)?;
            }
            Ok::<_, FormError>(())
        })
        .await?;
    Ok(page::see_other(TWO_FACTOR.path()).saying(KEPT.post()))
}
