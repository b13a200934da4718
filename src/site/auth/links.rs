//! The links of mails: found while they work, or explained.

use actix_web::http::StatusCode;

use crate::app::App;
use crate::identity::{AccountStatus, Id, LinkPurpose, LinkToken, t};
use crate::paths::auth::{FORGOT, SIGN_IN_ANY};
use crate::records::links::{self, Link, LinkState};
use crate::records::users::User;
use crate::web::errors::{ErrorPage, HttpError};

/// Finds the link of a path while it works, or the page that says why it does not.
pub async fn open_link(
    app: &App,
    (uid, token): &(String, String),
    purpose: LinkPurpose,
) -> Result<(Link, User), HttpError> {
    let unknown = || {
        let text = t("Part of it may be missing. Copy the whole link from the email, or request a new one.");
        ErrorPage::new(StatusCode::NOT_FOUND, t("This link doesn't work"), text)
            .way_on(t("Request a new link"), FORGOT.path())
    };
    let (id, token) = Id::parse(uid).zip(LinkToken::parse(token)).ok_or_else(unknown)?;
    let found = app.db.find(move |conn| links::find(conn, &id, &token, purpose)).await?;
    let (link, user) = found.ok_or_else(unknown)?;
    let is_usable = match purpose {
        LinkPurpose::ResetPassword => user.status() == AccountStatus::Active,
        // For its owner also while the account is blocked; it unblocks nothing.
        LinkPurpose::UndoEmail => true,
    };
    match link.state(app.clock.now()) {
        LinkState::Open if is_usable => Ok((link, user)),
        LinkState::Open => Err(dead_link(LinkState::Revoked, purpose).into()),
        state @ (LinkState::Used | LinkState::Revoked | LinkState::Expired) => {
            Err(dead_link(state, purpose).into())
        }
    }
}

/// The page of a link that does not work.
pub fn dead_link(state: LinkState, purpose: LinkPurpose) -> ErrorPage {
    let (title, text) = match state {
        LinkState::Used => (
            t("This link has already been used"),
            t("Each link works once. Request a new one if you need it."),
        ),
        LinkState::Expired => (
            t("This link has expired"),
            t(
                "To keep your account safe, links only work for a limited time. Request a new one if you need it.",
            ),
        ),
        LinkState::Open | LinkState::Revoked => (
            t("This link no longer works"),
            t(
                "A newer link has replaced it, or the account has changed since. Use the latest email or request a new link.",
            ),
        ),
    };
    let page = ErrorPage::new(StatusCode::GONE, title, text);
    match purpose {
        LinkPurpose::ResetPassword => page.way_on(t("Request a new link"), FORGOT.path()),
        LinkPurpose::UndoEmail => page.way_on(t("Sign in"), SIGN_IN_ANY.path()),
    }
}
