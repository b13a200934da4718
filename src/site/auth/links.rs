//! The links of mails: found while they work, or explained.

use actix_web::http::StatusCode;

use crate::app::App;
use crate::identity::{AccountStatus, Id, LinkPurpose, LinkToken, Sentence, t};
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
    let unknown = || unknown_link(purpose);
    let (id, token) = Id::parse(uid).zip(LinkToken::parse(token)).ok_or_else(unknown)?;
    let found = app.db.find(move |conn| links::find(conn, &id, &token, purpose)).await?;
    let (link, user) = found.ok_or_else(unknown)?;
    let now = app.clock.now();
    let is_usable = match purpose {
        LinkPurpose::ResetPassword => {
            matches!(user.status(), AccountStatus::Active | AccountStatus::Leaving)
        }
        // For its owner also while the account is blocked; it unblocks nothing.
        LinkPurpose::UndoEmail | LinkPurpose::SecureAccount | LinkPurpose::KeepTwoFactor => true,
        // Its owner may take back what somebody else has kept; an address that the account has left may not.
        LinkPurpose::KeepAccount => user.email.as_ref().is_some_and(|email| email.is_same_as(&link.email)),
    };
    if purpose == LinkPurpose::KeepAccount && user.leaves_at.is_some() && link.state(now) != LinkState::Open {
        return Err(still_leaving().into());
    }
    match link.state(now) {
        LinkState::Open if is_usable => Ok((link, user)),
        LinkState::Open => Err(dead_link(LinkState::Revoked, purpose).into()),
        state @ (LinkState::Used | LinkState::Revoked | LinkState::Expired) => {
            Err(dead_link(state, purpose).into())
        }
    }
}

/// The page of a link that kept an account which is about to be deleted again, or whose time is over.
fn still_leaving() -> ErrorPage {
    let text = t(
        "This link no longer works, and your account is still going to be deleted. To keep it, sign in now.",
    );
    ErrorPage::new(StatusCode::GONE, t("Your account will be deleted"), text)
        .way_on(t("Sign in"), SIGN_IN_ANY.path())
}

fn unknown_link(purpose: LinkPurpose) -> ErrorPage {
    let title = t("This link doesn't work");
    match purpose {
        LinkPurpose::ResetPassword => {
            let text =
                t("Part of it may be missing. Copy the whole link from the email, or request a new one.");
            ErrorPage::new(StatusCode::NOT_FOUND, title, text).way_on(t("Request a new link"), FORGOT.path())
        }
        LinkPurpose::UndoEmail
        | LinkPurpose::SecureAccount
        | LinkPurpose::KeepAccount
        | LinkPurpose::KeepTwoFactor => {
            let text = t("Part of it may be missing. Copy the whole link from the email.");
            ErrorPage::new(StatusCode::NOT_FOUND, title, text)
        }
    }
}

/// The page of a link that does not work.
pub fn dead_link(state: LinkState, purpose: LinkPurpose) -> ErrorPage {
    let title = match state {
        LinkState::Used => t("This link has already been used"),
        LinkState::Expired => t("This link has expired"),
        LinkState::Open | LinkState::Revoked => t("This link no longer works"),
    };
    match purpose {
        LinkPurpose::ResetPassword => ErrorPage::new(StatusCode::GONE, title, why_no_reset(state))
            .way_on(t("Request a new link"), FORGOT.path()),
        LinkPurpose::UndoEmail | LinkPurpose::SecureAccount => {
            let page = ErrorPage::new(StatusCode::GONE, title, why_not_taken_back(state, purpose));
            match state {
                // The old password ended with it.
                LinkState::Used => page.way_on(t("Request a password link"), FORGOT.path()),
                LinkState::Open | LinkState::Revoked | LinkState::Expired => {
                    page.way_on(t("Sign in"), SIGN_IN_ANY.path())
                }
            }
        }
        LinkPurpose::KeepAccount => {
            let text = t("Your account won't be deleted. You can sign in as before.");
            ErrorPage::new(StatusCode::GONE, title, text).way_on(t("Sign in"), SIGN_IN_ANY.path())
        }
        LinkPurpose::KeepTwoFactor => ErrorPage::new(StatusCode::GONE, title, why_nothing_to_keep(state))
            .way_on(t("Sign in"), SIGN_IN_ANY.path()),
    }
}

fn why_nothing_to_keep(state: LinkState) -> Sentence {
    match state {
        LinkState::Expired => t("Two-step sign-in has already been turned off. Sign in to set it up again."),
        LinkState::Open | LinkState::Used | LinkState::Revoked => {
            t("Nobody is waiting for two-step sign-in to be turned off. You can sign in as before.")
        }
    }
}

fn why_no_reset(state: LinkState) -> Sentence {
    match state {
        LinkState::Used => t("Each link works once. Request a new one if you need it."),
        LinkState::Expired => t(
            "To keep your account safe, links only work for a limited time. Request a new one if you need it.",
        ),
        LinkState::Open | LinkState::Revoked => t(
            "A newer link has replaced it, or the account has changed since. Use the latest email or request a new link.",
        ),
    }
}

/// Nobody can request another link of this kind.
fn why_not_taken_back(state: LinkState, purpose: LinkPurpose) -> Sentence {
    match state {
        LinkState::Used if purpose == LinkPurpose::SecureAccount => {
            t("You've already secured your account. If you still need a new password, request a link.")
        }
        LinkState::Used => t(
            "Your email address has already been restored. Request a password link if you haven't chosen a new password yet.",
        ),
        LinkState::Expired => t(
            "To keep your account safe, links only work for a limited time. If you can't sign in, contact the site's administrators.",
        ),
        LinkState::Open | LinkState::Revoked => t(
            "Your account has changed since we sent this link. Look for a newer email from us, or contact the site's administrators.",
        ),
    }
}
