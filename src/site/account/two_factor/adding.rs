//! What adding an authenticator and adding a passkey have in common.

use super::{TURNED_ON, recovery_codes};
use crate::accounts::two_factor::Added;
use crate::app::App;
use crate::identity::{Message, t, visible_line};
use crate::paths::Next;
use crate::paths::account::TWO_FACTOR;
use crate::records::sessions::Session;
use crate::records::users::User;
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::sign_in_request::SignInRequest;
use crate::web::viewer::By;

/// The longest name, in characters.
const MAX_NAME: usize = 40;

/// Reads what somebody calls what they add; they may leave it out.
pub(super) fn parse_name(typed: &str) -> Result<String, Message> {
    let name = visible_line(typed).trim().to_owned();
    match name.chars().count() {
        0..=MAX_NAME => Ok(name),
        _ => Err(t("Name must be {most} characters or fewer.").with("most", MAX_NAME)),
    }
}

/// Leads on: to the recovery codes after the first thing, and back to the list after another.
///
/// # Errors
/// When the browser cannot be pointed to its session, which would be a mistake of ours.
pub(super) fn lead_on(
    app: &App,
    by: &By,
    browser: &SignInRequest,
    session: &Session,
    added: Added,
    next: &str,
    notice: &'static Notice,
) -> Result<Answer, HttpError> {
    browser.point_to(session, by.now)?;
    app.wakeup.wake();
    Ok(match added {
        Added::First { codes, device_epoch } => {
            let user = User { device_epoch, ..by.user().clone() };
            recovery_codes::lead_to_page(app, &user, &codes, &Next::parse(next))
                .saying(TURNED_ON.post())
                .with_cookie(device_cookie::remember(app, &browser.req, &user))
        }
        Added::Another => page::see_other(TWO_FACTOR.path()).saying(notice.post()),
    })
}
