//! Undo the last change of details, or the removal of the picture, for ten minutes: instead of asking "are you sure?" before.
//!
//! What was is sealed in a cookie of the browser that changed it. It is put back once, for the same account, and only while
//! nothing else of its kind has happened since.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::identity::{Argument, Id, Message, Moment, t};
use crate::paths::Route;
use crate::paths::account::{PROFILE, UNDO_DETAILS, UNDO_PICTURE};
use crate::records::users::User;
use crate::web::cookies;
use crate::web::errors::HttpError;
use crate::web::forms::FormError;
use crate::web::notice::Notice;
use crate::web::page::{self, Answer};

const LIFETIME: Duration = Duration::from_secs(600);

/// On the profile page.
pub const UNDONE: Notice = Notice::new("undone", t("Your change has been undone."));
/// On the profile page.
pub const TOO_LATE: Notice = Notice::new(
    "undo-too-late",
    t(
        "That can't be undone any more: more than 10 minutes have passed, or something else has changed since.",
    ),
);
/// On the profile page.
pub const NAME_GONE: Notice = Notice::new(
    "undo-name-gone",
    t("Your old username now belongs to someone else, so the change can't be undone."),
);

/// What can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Details,
    Picture,
}

impl What {
    const ALL: [Self; 2] = [Self::Details, Self::Picture];

    fn cookie(self) -> &'static str {
        match self {
            Self::Details => cookies::UNDO_DETAILS,
            Self::Picture => cookies::UNDO_PICTURE,
        }
    }

    fn path(self) -> Route<0> {
        match self {
            Self::Details => UNDO_DETAILS,
            Self::Picture => UNDO_PICTURE,
        }
    }
}

/// What was before a change.
#[derive(Serialize, Deserialize)]
struct Before {
    what: What,
    user: String,
    /// The change, in the audit log.
    event: String,
    until: i64,
    was: String,
}

/// A change that can be undone, on the profile page.
pub struct Offer {
    pub path: &'static str,
    pub text: Message,
}

/// Seals what was before a change, for the browser that made it.
pub fn seal(app: &App, user: &User, what: What, event: &Id, was: String) -> Cookie<'static> {
    let before = Before {
        what,
        user: user.id.as_str().to_owned(),
        event: event.as_str().to_owned(),
        until: app.clock.now().plus(LIFETIME).micros(),
        was,
    };
    let text = serde_json::to_string(&before).unwrap_or_default();
    let sealed = app.keys.carried.seal(&format!("undo {text}"));
    let mut cookie = cookies::build(&app.config, what.cookie(), sealed);
    cookies::keep_for(&mut cookie, LIFETIME);
    cookie
}

/// Lists what this person can undo in this browser.
pub fn offers(app: &App, req: &HttpRequest, user: &Id) -> Vec<Offer> {
    let offer = |what: What| {
        let before = open(app, req, what, user)?;
        let text = match what {
            What::Details => t("You've changed your details. You can undo this until {when}."),
            What::Picture => t("You've removed your picture. You can undo this until {when}."),
        };
        let text = text.with("when", Argument::Clock(Moment::from_micros(before.until)?));
        Some(Offer { path: what.path().path(), text })
    };
    What::ALL.into_iter().filter_map(offer).collect()
}

/// Takes what was before a change out of its cookie: the change, and what to put back.
pub fn take(app: &App, req: &HttpRequest, what: What, user: &User) -> Option<(Id, String)> {
    let before = open(app, req, what, &user.id)?;
    cookies::forget_later(req, what.cookie());
    Some((Id::from_stored(before.event), before.was))
}

fn open(app: &App, req: &HttpRequest, what: What, user: &Id) -> Option<Before> {
    let cookie = cookies::get(req, &app.config, what.cookie())?;
    let text = app.keys.open_carried(cookie.value())?;
    let before: Before = serde_json::from_str(text.strip_prefix("undo ")?).ok()?;
    let is_in_time = app.clock.now() < Moment::from_micros(before.until)?;
    (is_in_time && before.user == user.as_str() && before.what == what).then_some(before)
}

/// Leads back to the profile, which says whether it was undone.
///
/// # Errors
/// Those of putting it back, but that a name is somebody else's now.
pub fn answer(undone: Result<bool, FormError>) -> Result<Answer, HttpError> {
    let notice = match undone {
        Ok(true) => &UNDONE,
        Ok(false) => &TOO_LATE,
        Err(error) => {
            error.problems()?;
            &NAME_GONE
        }
    };
    Ok(page::see_other(PROFILE.path()).saying(notice.post()))
}
