//! What the owner of a blocked account is shown, and nobody else.

use actix_web::http::StatusCode;

use crate::identity::t;
use crate::web::errors::ErrorPage;

/// The page of a blocked account.
pub fn blocked(reason: &str) -> ErrorPage {
    let text = t("Your account has been blocked, so you can't sign in.");
    let page = ErrorPage::new(StatusCode::FORBIDDEN, t("Your account is blocked"), text).with_help();
    if reason.is_empty() { page } else { page.because(reason) }
}
