//! What adding an authenticator and adding a passkey have in common.

use diesel::QueryResult;

use super::{MAX_NAME, recovery_codes};
use crate::accounts::two_factor::{Added, Change, NotAdded};
use crate::app::App;
use crate::db::Connection;
use crate::identity::{Message, t, visible_line};
use crate::paths::Next;
use crate::paths::account::TWO_FACTOR;
use crate::records::events::{self, Kind};
use crate::records::sessions::{Rotation, Session};
use crate::records::users::User;
use crate::web::device_cookie;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};
use crate::web::sign_in_request::SignInRequest;
use crate::web::viewer::By;

/// Reads what somebody calls what they add; they may leave it out.
pub(super) fn parse_name(typed: &str) -> Result<String, Message> {
    let name = visible_line(typed).trim().to_owned();
    match name.chars().count() {
        0..=MAX_NAME => Ok(name),
        _ => Err(t("Name must be {most} characters or fewer.").with("most", MAX_NAME)),
    }
}

/// Adds something in the session of its person, who proved who they are when they were shown what to do.
///
/// # Errors
/// What `why_not` makes of why it is not added; sign in again.
pub(super) async fn add(
    app: &App,
    by: &By,
    (kind, name): (Kind, String),
    add: impl Fn(&mut Connection, &User, &Change<'_>) -> QueryResult<Result<Added, NotAdded>> + Send + 'static,
    why_not: fn(NotAdded) -> FormError,
) -> Result<(Session, Added), FormError> {
    let (by, keys, config) = (by.clone(), app.keys.clone(), app.config.sessions);
    app.db
        .write(move |conn| {
            let user = by.still_may(conn)?;
            let (session, source) = (&by.viewer.session.life.id, by.source());
            let change = Change { session, keys: &keys, source: &source, now: by.now };
            let added = add(conn, &user, &change)?.map_err(why_not)?;
            events::note(conn, kind, Some(&user.id), &source, &name, by.now)?;
            Ok((by.rotate(conn, Rotation::FactorGiven, config)?, added))
        })
        .await
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
    [first, another]: [&'static Notice; 2],
) -> Result<Answer, HttpError> {
    browser.point_to(session, by.now)?;
    app.wakeup.wake();
    Ok(match added {
        Added::First { codes, device_epoch } => {
            let user = User { device_epoch, ..by.user().clone() };
            recovery_codes::lead_to_page(app, &user, &codes, &Next::parse(next))
                .saying(first.post())
                .with_cookie(device_cookie::remember(app, &browser.req, &user))
        }
        Added::Another => page::see_other(TWO_FACTOR.path()).saying(another.post()),
    })
}
