//! Everything that ends a request without the page that was asked for, and the page shown instead.
//!
//! A fault is only a value here; [`super::frame`] draws its page, with the site's look and a request id, and
//! logs the cause once. No page ever shows a cause.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, LOCATION, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};

use super::forms::Problems;
use crate::db;
use crate::hasher::Busy;
use crate::identity::{Message, Role};
use crate::paths::{self, Next, route};

/// Why there is another page than the one asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// The request makes no sense.
    #[error("malformed request")]
    BadRequest,
    /// There is no such page.
    #[error("not found")]
    NotFound,
    /// The page takes only these methods.
    #[error("method not allowed")]
    NotAllowed(&'static str),
    /// The form came from another site.
    #[error("cross-site request")]
    CrossSite,
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
    /// A dead end that a flow describes for itself.
    #[error("dead end")]
    DeadEnd(Box<DeadEnd>),
    /// Sign in first, then go on there.
    #[error("sign-in needed")]
    SignInNeeded(Next, Role),
    /// Give the password again first, then go on there.
    #[error("confirmed password needed")]
    ConfirmNeeded(Next),
    /// On to another page; no fault of anybody.
    #[error("elsewhere")]
    Elsewhere(String),
    /// The same page under its right address.
    #[error("moved")]
    Moved(String),
}

/// What the page of a fault says, and the way on from there.
#[derive(Debug, Clone)]
pub struct DeadEnd {
    /// The answer's status.
    pub status: StatusCode,
    /// What happened.
    pub title: Message,
    /// What it means and what to do.
    pub text: Message,
    /// The label and the address of the way on.
    pub way_on: (Message, String),
}

impl DeadEnd {
    /// A dead end with the way home.
    pub fn new(status: StatusCode, title: impl Into<Message>, text: impl Into<Message>) -> Self {
        let way_on = ("Go to the start page".into(), route::HOME.to_owned());
        Self { status, title: title.into(), text: text.into(), way_on }
    }

    /// The same with another way on.
    #[must_use]
    pub fn way_on(self, label: impl Into<Message>, path: impl Into<String>) -> Self {
        Self { way_on: (label.into(), path.into()), ..self }
    }
}

impl From<DeadEnd> for Fault {
    fn from(end: DeadEnd) -> Self {
        Self::DeadEnd(Box::new(end))
    }
}

impl Fault {
    /// What its page says; `None` for those that lead elsewhere.
    pub fn dead_end(&self) -> Option<DeadEnd> {
        let end = |status, title: &'static str, text: &'static str| Some(DeadEnd::new(status, title, text));
        match self {
            Self::BadRequest => end(
                StatusCode::BAD_REQUEST,
                "We could not read that request",
                "Something in it is not as it should be. Go back, reload the page and try again.",
            ),
            Self::NotFound => end(
                StatusCode::NOT_FOUND,
                "There is no page here",
                "The address may be mistyped, or the page may have moved.",
            ),
            Self::NotAllowed(_) => end(
                StatusCode::METHOD_NOT_ALLOWED,
                "This address works another way",
                "It cannot be used like this. Start from the page that brought you here.",
            ),
            Self::CrossSite => end(
                StatusCode::FORBIDDEN,
                "That form came from another site",
                "To protect your account we only take forms from our own pages. Nothing was changed. \
                 Open the page here and send it again.",
            ),
            Self::Forbidden => end(
                StatusCode::FORBIDDEN,
                "This page is not for your account",
                "You are signed in, but this page is for people with another role.",
            ),
            Self::Timeout => end(
                StatusCode::REQUEST_TIMEOUT,
                "That took too long",
                "What you sent did not arrive in time. Nothing was changed; please try again.",
            ),
            Self::TooLarge => end(
                StatusCode::PAYLOAD_TOO_LARGE,
                "That is too large",
                "What you sent is larger than we take. A picture may have 2 MB at most.",
            ),
            Self::TooMany(wait) => Some(DeadEnd::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many tries",
                Message::new("To keep accounts safe we slow this down. Please try again in {wait}.")
                    .with("wait", human_wait(*wait)),
            )),
            Self::Unavailable(_) => end(
                StatusCode::SERVICE_UNAVAILABLE,
                "We will be right back",
                "A part of this site is not answering. Nothing of yours is lost. Please try again in a moment.",
            ),
            Self::Internal(_) => end(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong on our side",
                "It is our mistake, and it has been written down. Please try again.",
            ),
            Self::DeadEnd(end) => Some((**end).clone()),
            Self::SignInNeeded(..) | Self::ConfirmNeeded(_) | Self::Elsewhere(_) | Self::Moved(_) => None,
        }
    }

    /// What is for the log, and how loud.
    pub fn log(&self) -> Option<(log::Level, String)> {
        match self {
            Self::Unavailable(_) | Self::CrossSite => Some((log::Level::Warn, self.to_string())),
            Self::Internal(_) => Some((log::Level::Error, self.to_string())),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany(wait) => Some(wait.as_secs() + 1),
            Self::Unavailable(_) => Some(5),
            _ => None,
        }
    }
}

/// A waiting time as people say it, never shorter than it is.
pub fn human_wait(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0 | 1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        91..=5400 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignInNeeded(..) | Self::ConfirmNeeded(_) | Self::Elsewhere(_) => StatusCode::SEE_OTHER,
            Self::Moved(_) => StatusCode::PERMANENT_REDIRECT,
            _ => self.dead_end().map_or(StatusCode::INTERNAL_SERVER_ERROR, |end| end.status),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        match self {
            Self::SignInNeeded(next, role) => {
                answer.insert_header((LOCATION, next.after(&paths::sign_in(*role))));
            }
            Self::ConfirmNeeded(next) => {
                answer.insert_header((LOCATION, next.after(route::CONFIRM)));
            }
            Self::Elsewhere(path) | Self::Moved(path) => {
                answer.insert_header((LOCATION, path.as_str()));
            }
            Self::NotAllowed(methods) => {
                answer.insert_header((ALLOW, *methods));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after() {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.finish()
    }
}

impl From<db::Error> for Fault {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::Unavailable(_) | db::Error::Lost(_) => Self::Unavailable(error.to_string()),
            db::Error::Query(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<diesel::result::Error> for Fault {
    fn from(error: diesel::result::Error) -> Self {
        db::Error::from(error).into()
    }
}

impl From<Busy> for Fault {
    fn from(busy: Busy) -> Self {
        Self::Unavailable(busy.to_string())
    }
}

/// Why a flow did not do what its form asked for.
#[derive(Debug)]
pub enum Refusal {
    /// Something is wrong in the form: it is shown again.
    Form(Problems),
    /// Another page is shown.
    Fault(Fault),
    /// The database's, kept as it is so that a lost race can be run again.
    Database(db::Error),
}

impl Refusal {
    /// One problem at one field.
    pub fn at(field: &'static str, message: impl Into<Message>) -> Self {
        Self::Form(Problems::one(field, message))
    }

    /// The problems to show at the form, or the fault that ends the request.
    ///
    /// # Errors
    /// The fault.
    pub fn problems(self) -> Result<Problems, Fault> {
        match self {
            Self::Form(problems) => Ok(problems),
            Self::Fault(fault) => Err(fault),
            Self::Database(error) => Err(error.into()),
        }
    }
}

/// For what has no form to show again.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        refusal.problems().err().unwrap_or(Self::BadRequest)
    }
}

impl db::Failure for Refusal {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<db::Error> for Refusal {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

macro_rules! refuse_with {
    ($($error:ty => $variant:ident),+) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::$variant(error.into())
            }
        })+
    };
}
refuse_with!(Fault => Fault, Problems => Form, Busy => Fault, DeadEnd => Fault);
