//! What the owner of a blocked account is shown, and nobody else.

use actix_web::http::StatusCode;

use crate::identity::t;
use crate::web::errors::ErrorPage;

/// The page of a blocked account.
pub fn blocked(reason: &str) -> ErrorPage {
    let text = if reason.is_empty() {
        t("An administrator has blocked your account. If you think this is a mistake, contact the site's administrators.")
            .into()
    } else {
        t("An administrator has blocked your account. If you think this is a mistake, contact the site's administrators. Reason: {reason}")
            .with("reason", reason)
    };
    ErrorPage::new(StatusCode::FORBIDDEN, t("Your account is blocked"), text)
}
