//! Why a request ends without the page that was asked for.
//!
//! An error is only a value here; [`super::frame`] draws its page, with the site's look and a request id, and logs the
//! cause once. No page ever shows a cause.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, LOCATION, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};

use crate::db;
use crate::hasher::HashError;
use crate::identity::{Message, Role, Sentence, t};
use crate::limits::TooMany;
use crate::paths::Next;
use crate::paths::auth::{CONFIRM, SIGN_IN};

/// After how long to try again where a part is away.
pub const AWAY: Duration = Duration::from_secs(5);

/// The seconds of `Retry-After`: never too few.
pub fn seconds_after(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

/// Why there is another page than the one asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// The request makes no sense.
    #[error("malformed request")]
    BadRequest,
    /// It names a host that is not ours: which, and what is expected.
    #[error("wrong Host: {0}")]
    WrongHost(String),
    /// There is no such page.
    #[error("not found")]
    NotFound,
    /// The page takes only these methods.
    #[error("method not allowed")]
    NotAllowed(&'static str),
    /// The form came from another site: what said so, and what is expected.
    #[error("cross-site request: {0}")]
    CrossSite(String),
    /// They are signed in and may not.
    #[error("forbidden")]
    Forbidden,
    /// The body did not arrive in time.
    #[error("request timeout")]
    Timeout,
    /// The body is too large.
    #[error("too large")]
    TooLarge,
    /// Too many requests of a kind.
    #[error("too many requests")]
    TooMany(Duration),
    /// A part that we need is away; the cause is for the log.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A mistake of ours; the cause is for the log.
    #[error("internal: {0}")]
    Internal(String),
    /// What a flow explains for itself.
    #[error("explained")]
    Explained(Box<ErrorPage>),
    /// No error: another page comes first.
    #[error("redirect")]
    Redirect(Redirect),
}

/// Where a request is led instead.
#[derive(Debug, Clone)]
pub enum Redirect {
    /// To sign in first, as that role, then on.
    SignInNeeded(Next, Role),
    /// To give the password again first, then on.
    ConfirmNeeded(Next),
    Elsewhere(String),
    /// To the right address of the same page.
    Moved(String),
}

/// What an error page says, and the way on from there.
#[derive(Debug, Clone)]
pub struct ErrorPage {
    pub status: StatusCode,
    pub title: Message,
    /// What it means and what to do.
    pub text: Message,
    /// What somebody wrote about it.
    pub reason: Option<String>,
    /// Whether only the people of the site can help.
    pub needs_help: bool,
    /// The label and the path of the way on; `None`: home, for whoever is looking.
    pub way_on: Option<(Message, String)>,
}

impl ErrorPage {
    /// A page with the way home.
    pub fn new(status: StatusCode, title: impl Into<Message>, text: impl Into<Message>) -> Self {
        Self { status, title: title.into(), text: text.into(), reason: None, needs_help: false, way_on: None }
    }

    /// The same with another way on.
    #[must_use]
    pub fn way_on(self, label: Sentence, path: impl Into<String>) -> Self {
        Self { way_on: Some((label.into(), path.into())), ..self }
    }

    /// The same with what somebody wrote about it.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }

    /// The same, with where to find help.
    #[must_use]
    pub fn with_help(self) -> Self {
        Self { needs_help: true, ..self }
    }
}

impl From<ErrorPage> for HttpError {
    fn from(page: ErrorPage) -> Self {
        Self::Explained(Box::new(page))
    }
}

impl From<Redirect> for HttpError {
    fn from(redirect: Redirect) -> Self {
        Self::Redirect(redirect)
    }
}

impl HttpError {
    /// What its page says; `None` for a redirect.
    pub fn page(&self) -> Option<ErrorPage> {
        let page = |status, title: Sentence, text: Sentence| Some(ErrorPage::new(status, title, text));
        match self {
            Self::BadRequest | Self::WrongHost(_) => page(
                StatusCode::BAD_REQUEST,
                t("Something was wrong with that request"),
                t("Go back, reload the page and try again."),
            ),
            Self::NotFound => page(
                StatusCode::NOT_FOUND,
                t("Page not found"),
                t("Check the web address, or go to the home page."),
            ),
            Self::NotAllowed(_) => page(
                StatusCode::METHOD_NOT_ALLOWED,
                t("That didn't work"),
                t("Go back to the previous page and try again."),
            ),
            Self::CrossSite(_) => page(
                StatusCode::FORBIDDEN,
                t("We couldn't check where that form came from"),
                t(
                    "For your safety, we only accept forms from this site. Nothing has changed. Go back, reload the page and try again.",
                ),
            ),
            Self::Forbidden => page(
                StatusCode::FORBIDDEN,
                t("You don't have access to this page"),
                t("Ask an administrator if you need access."),
            ),
            Self::Timeout => page(
                StatusCode::REQUEST_TIMEOUT,
                t("That took too long"),
                t("We didn't receive everything in time. Nothing has changed. Please try again."),
            ),
            Self::TooLarge => page(
                StatusCode::PAYLOAD_TOO_LARGE,
                t("That was too large"),
                t("Nothing has changed. Go back and shorten your text or choose a smaller file."),
            ),
            Self::TooMany(wait) => {
                let text = t("To protect accounts, we limit how often you can try. Try again in {wait}.");
                let text = text.with("wait", *wait);
                Some(ErrorPage::new(StatusCode::TOO_MANY_REQUESTS, t("Too many attempts"), text))
            }
            Self::Unavailable(_) => page(
                StatusCode::SERVICE_UNAVAILABLE,
                t("We'll be right back"),
                t("Part of this site isn't responding. Nothing has been lost. Please try again in a moment."),
            ),
            Self::Internal(_) => page(
                StatusCode::INTERNAL_SERVER_ERROR,
                t("Something went wrong"),
                t("Sorry, this is our fault. We've recorded the problem. Please try again."),
            ),
            Self::Explained(page) => Some((**page).clone()),
            Self::Redirect(_) => None,
        }
    }

    /// How loud the log is about it.
    pub fn level(&self) -> log::Level {
        match self {
            Self::Internal(_) => log::Level::Error,
            // Mistakes of a proxy or of its settings, or a part that is away.
            Self::Unavailable(_) | Self::CrossSite(_) | Self::WrongHost(_) => log::Level::Warn,
            Self::BadRequest
            | Self::NotFound
            | Self::NotAllowed(_)
            | Self::Forbidden
            | Self::Timeout
            | Self::TooLarge
            | Self::Explained(_)
            | Self::Redirect(_)
            | Self::TooMany(_) => log::Level::Info,
        }
    }

    /// Whether it is our fault: then its page shows the request id, for a person to quote.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Internal(_))
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(seconds_after(*wait)),
            Self::Unavailable(_) => Some(AWAY.as_secs()),
            Self::BadRequest
            | Self::NotFound
            | Self::NotAllowed(_)
            | Self::Forbidden
            | Self::Timeout
            | Self::TooLarge
            | Self::Explained(_)
            | Self::Redirect(_)
            | Self::WrongHost(_)
            | Self::CrossSite(_)
            | Self::Internal(_) => None,
        }
    }
}

impl Redirect {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignInNeeded(..) | Self::ConfirmNeeded(_) | Self::Elsewhere(_) => StatusCode::SEE_OTHER,
            Self::Moved(_) => StatusCode::PERMANENT_REDIRECT,
        }
    }

    fn location(&self) -> String {
        match self {
            Self::SignInNeeded(next, role) => next.after(&SIGN_IN.to([role.as_str()])),
            Self::ConfirmNeeded(next) => next.after(CONFIRM.path()),
            Self::Elsewhere(path) | Self::Moved(path) => path.clone(),
        }
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Redirect(redirect) => redirect.status(),
            _ => self.page().map_or(StatusCode::INTERNAL_SERVER_ERROR, |page| page.status),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Self::Redirect(redirect) = self {
            answer.insert_header((LOCATION, redirect.location()));
        }
        if let Self::NotAllowed(methods) = self {
            answer.insert_header((ALLOW, *methods));
        }
        if let Some(seconds) = self.retry_after() {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.finish()
    }
}

impl From<db::Error> for HttpError {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::Unavailable(_) | db::Error::Lost(_) => Self::Unavailable(error.to_string()),
            db::Error::Query(_) | db::Error::Unfit(_) | db::Error::NotCopied(_) => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<HashError> for HttpError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Unavailable(error.to_string()),
            HashError::Failed => Self::Internal(error.to_string()),
        }
    }
}

impl From<TooMany> for HttpError {
    fn from(TooMany(wait): TooMany) -> Self {
        Self::TooMany(wait)
    }
}
