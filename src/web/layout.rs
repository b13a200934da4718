//! What stands around every page.

use actix_web::HttpRequest;

use super::assets;
use super::notice::{self, Notice};
use super::signed_in::SignedInAs;
use super::viewer::Viewer;
use crate::identity::Message;

/// What stands around a page.
pub struct Layout {
    pub signed_in: Option<SignedInAs>,
    pub notice: Option<Message>,
}

impl Layout {
    /// Around a page for people who are not signed in.
    pub fn plain() -> Self {
        Self { signed_in: None, notice: None }
    }

    /// Around a page of somebody.
    pub fn of(viewer: &Viewer) -> Self {
        Self { signed_in: Some(SignedInAs::of(&viewer.user)), notice: None }
    }

    /// Around an error page, for whoever is looking.
    pub fn of_somebody(signed_in: Option<SignedInAs>) -> Self {
        Self { signed_in, notice: None }
    }

    /// Shows what was posted to this browser, if it is one of these.
    #[must_use]
    pub fn showing(self, req: &HttpRequest, notices: &[&Notice]) -> Self {
        Self { notice: notice::read(req, notices), ..self }
    }

    /// The path of the style sheet.
    pub fn stylesheet(&self) -> &'static str {
        assets::stylesheet()
    }

    /// The path of the icon.
    pub fn icon(&self) -> &'static str {
        assets::icon()
    }
}
