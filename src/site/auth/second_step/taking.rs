//! What becomes of a code or a passkey at the second step.

use actix_web::web::Data;

use super::{CODE_USED, GUESSED, OVER, SecondStepForm, Waiting};
use crate::accounts::two_factor::{self, Factor, PasskeyBeside, Tried};
use crate::app::App;
use crate::db::{self, Connection};
use crate::identity::{FactorCode, KnownDevice, Message, Moment, tn};
use crate::limits::{Limit, LimitKey};
use crate::passkeys::Answered;
use crate::records::events::{self, Kind, Source};
use crate::records::sessions::{Session, SignedInBy};
use crate::records::two_factor::second_steps::{self, FirstStep};
use crate::records::two_factor::trusted_devices;
use crate::records::users::{self, User};
use crate::site::auth::arrival::{Arrival, NewSession};
use crate::site::auth::passkey_check::{self, require_used};
use crate::web::device_cookie;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::sign_in_request::SignInRequest;

/// What became of the second step.
pub(super) enum Taken {
    In(Box<Arrival>),
    /// Back to the sign-in page, which says why.
    Over(&'static Notice),
}

/// What was given.
#[derive(Clone)]
enum Given {
    Code(FactorCode),
    /// A passkey that answered rightly.
    Passkey(Answered),
}

/// What became of it, in its transaction. What was counted is committed.
enum Outcome {
    In(Box<Session>),
    Wrong { left: i32 },
    Used,
    Over,
}

/// Takes what was given for the second step, if it is right.
pub(super) async fn take(
    app: &Data<App>,
    browser: &SignInRequest,
    waiting: &Waiting,
    form: &SecondStepForm,
) -> Result<Taken, FormError> {
    let given = Given::read(app, waiting, form).await?;
    let device = device_cookie::known(app, &browser.req, &waiting.user);
    let tokens = app.limits.take(given.limit_keys(&waiting.user, device.as_ref())).await?;
    let user = waiting.user.clone();
    let new = NewSession::of(app, browser, user.clone(), waiting.step.remember());
    let device = new.known_as.clone();
    // The form of a passkey does not ask for it.
    let trusts = !form.trust.is_empty() && matches!(given, Given::Code(_));
    let tried = try_in_transaction(app, waiting, given, new, trusts, browser.client.source()).await;
    match &tried {
        Ok(Outcome::Wrong { .. }) => tokens.spend(),
        // Right, or not evaluated: only failures count.
        Ok(Outcome::In(_) | Outcome::Used | Outcome::Over) | Err(_) => app.limits.give_back(tokens).await,
    }
    let outcome = tried?;
    app.wakeup.wake();
    match outcome {
        Outcome::In(session) => {
            let next = waiting.step.next_path.clone();
            Ok(Taken::In(Box::new(Arrival { session: *session, user, device, next })))
        }
        Outcome::Wrong { left: 0 } => Ok(Taken::Over(&GUESSED)),
        Outcome::Wrong { left } => Err(FormError::at("code", wrong_code(left))),
        Outcome::Used => Err(FormError::at("code", CODE_USED)),
        Outcome::Over => Ok(Taken::Over(&OVER)),
    }
}

/// Says nothing of how near a code was.
fn wrong_code(left: i32) -> Message {
    tn(
        "That code isn't right. You have 1 try left. If this keeps happening, check your phone's clock: it may be wrong.",
        "That code isn't right. You have {count} tries left. If this keeps happening, check your phone's clock: it may be wrong.",
        left,
    )
}

impl Given {
    async fn read(app: &App, waiting: &Waiting, form: &SecondStepForm) -> Result<Self, FormError> {
        if form.reply.is_given() {
            let (user, page) = (&waiting.user.id, waiting.question());
            let answered = passkey_check::check(app, user, &page, &form.reply, app.clock.now()).await?;
            return Ok(Self::Passkey(answered));
        }
        FactorCode::parse(&form.code).map(Self::Code).map_err(|message| FormError::at("code", message))
    }

    /// The buckets that it counts in when it is wrong.
    fn limit_keys(&self, user: &User, device: Option<&KnownDevice>) -> Vec<LimitKey> {
        match (self, device) {
            // Nobody guesses them.
            (Self::Passkey(_) | Self::Code(FactorCode::Recovery(_)), _) => Vec::new(),
            (Self::Code(FactorCode::Authenticator(_)), Some(device)) => {
                vec![Limit::FactorDevice.of(device.lane())]
            }
            // A new password starts again: who guessed does not know it.
            (Self::Code(FactorCode::Authenticator(_)), None) => {
                vec![Limit::Factor.of(format!("{} {}", user.id.as_str(), user.password_changed_at.micros()))]
            }
        }
    }
}

async fn try_in_transaction(
    app: &Data<App>,
    waiting: &Waiting,
    given: Given,
    new: NewSession,
    trusts: bool,
    source: Source,
) -> Result<Outcome, FormError> {
    let (id, user, keys) = (waiting.step.id.clone(), waiting.user.clone(), app.keys.clone());
    let (first, now) = (waiting.step.first_step, app.clock.now());
    app.db
        .write(move |conn| {
            // Of several codes at once each is tried alone, under the lock of the account; and none once that has been blocked or secured.
            let Some(user) = users::lock_if_unchanged(conn, &user)? else { return Ok(Outcome::Over) };
            let step = second_steps::by_id(conn, &id)?.filter(|(step, user)| step.is_open(user, now));
            if step.is_none_or(|(step, _)| step.left() == 0) {
                return Ok(Outcome::Over);
            }
            let tried = match &given {
                Given::Code(code) => two_factor::try_code(conn, &user, code, &keys, &source, now)?,
                Given::Passkey(answered) => {
                    let beside = match first {
                        FirstStep::Password => PasskeyBeside::Password,
                        FirstStep::EmailedCode => PasskeyBeside::Nothing,
                    };
                    require_used(two_factor::use_passkey(conn, &user, answered, beside, &source, now)?)?;
                    Tried::Right(Factor::Passkey)
                }
            };
            match tried {
                Tried::Right(second) => {
                    if !second_steps::end(conn, &id, now)? {
                        return Ok(Outcome::Over);
                    }
                    note_factor(conn, &user, second, &source, now)?;
                    if trusts {
                        trusted_devices::trust(conn, &user.id, &new.known_as, new.agent(), now)?;
                        events::note(conn, Kind::DeviceTrusted, Some(&user.id), &source, new.agent(), now)?;
                    }
                    Ok(Outcome::In(Box::new(new.begin(conn, both(first, second))?)))
                }
                Tried::Used => Ok(Outcome::Used),
                Tried::Wrong => {
                    two_factor::note_wrong_code(conn, &user, first, &source, &keys.outbox, now)?;
                    let left = second_steps::count_try(conn, &id, now)?;
                    Ok(Outcome::Wrong { left })
                }
            }
        })
        .await
}

/// What somebody signed in with, both steps together.
fn both(first: FirstStep, second: Factor) -> SignedInBy {
    match (first, second) {
        (FirstStep::EmailedCode, Factor::Authenticator) => SignedInBy::EmailedCodeAndCode,
        (FirstStep::EmailedCode, Factor::RecoveryCode) => SignedInBy::EmailedCodeAndRecoveryCode,
        (FirstStep::EmailedCode, Factor::Passkey) => SignedInBy::EmailedCodeAndPasskey,
        (FirstStep::Password, Factor::Authenticator) => SignedInBy::PasswordAndCode,
        (FirstStep::Password, Factor::RecoveryCode) => SignedInBy::PasswordAndRecoveryCode,
        (FirstStep::Password, Factor::Passkey) => SignedInBy::PasswordAndPasskey,
    }
}

/// Logs that a recovery code was used; a sign-in with anything else is no more than that.
pub(in crate::site::auth) fn note_factor(
    conn: &mut Connection,
    user: &User,
    factor: Factor,
    source: &Source,
    now: Moment,
) -> Result<(), db::Error> {
    match factor {
        Factor::Authenticator | Factor::Passkey => Ok(()),
        Factor::RecoveryCode => {
            Ok(events::note(conn, Kind::RecoveryCodeUsed, Some(&user.id), source, "", now)?)
        }
    }
}
