//! Forms: read within limits, kept as typed, refused with every problem at once.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::errors::{ErrorPage, HttpError, Redirect};
use crate::db;
use crate::hasher::HashError;
use crate::identity::{Message, Sentence};
use crate::limits::TooMany;
use crate::paths::Next;

/// The largest form: an "about" text of 500 four-byte characters, percent-encoded, fits with room to spare.
const MAX_BYTES: usize = 24 * 1024;
/// How long a form may take to arrive: actix-web limits only the time of the head.
const DEADLINE: Duration = Duration::from_secs(10);

/// A form's fields, each as typed.
pub struct Form<T>(pub T);

/// The body of a form, read before its handler (see [`super::carried`]).
pub struct Body(pub Result<Vec<u8>, HttpError>);

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let body = req.extensions_mut().remove::<Body>();
        ready(body.map_or(Err(HttpError::BadRequest), |Body(body)| decode(&body?).map(Self)))
    }
}

/// Whether a request says that its body is a form; one that says nothing is taken for one.
pub fn is_urlencoded(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| {
        // In any case of letters (RFC 9110, 8.3.1).
        let kind = kind.to_str().ok().and_then(|kind| kind.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    })
}

/// Reads the body of a form.
///
/// # Errors
/// Too large, too slow, or cut off.
pub async fn body(payload: dev::Payload) -> Result<Vec<u8>, HttpError> {
    let mut payload = payload;
    let read = async {
        let mut body = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| HttpError::BadRequest)?;
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(DEADLINE, read).await.unwrap_or(Err(HttpError::Timeout))
}

/// Reads the fields of a request's query, as strictly as those of a form.
///
/// # Errors
/// Malformed request.
pub fn query<T: DeserializeOwned>(req: &HttpRequest) -> Result<T, HttpError> {
    decode(req.query_string().as_bytes())
}

/// Reads fields. Strict where the usual decoder is not: a byte that is no UTF-8 would be replaced silently, and a NUL would
/// end a text in one database and be refused by another. A field given twice is an error, too.
///
/// # Errors
/// Malformed request.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    let text = std::str::from_utf8(body).map_err(|_| HttpError::BadRequest)?;
    if text.split(['&', '=']).all(is_clean) {
        serde_urlencoded::from_str(text).map_err(|_| HttpError::BadRequest)
    } else {
        Err(HttpError::BadRequest)
    }
}

fn is_clean(piece: &str) -> bool {
    let mut bytes = Vec::with_capacity(piece.len());
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok()
}

/// What is wrong in a form, a message for a field each.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

/// A message at a field.
#[derive(Debug)]
pub struct Problem {
    pub field: &'static str,
    /// What is wrong with it.
    pub message: Message,
    /// A page that may help: its path and the label of the link.
    pub link: Option<(String, Sentence)>,
}

impl Problems {
    /// One problem.
    pub fn one(field: &'static str, message: impl Into<Message>) -> Self {
        let mut problems = Self::default();
        problems.add(field, message);
        problems
    }

    /// The same with a link at the end of the last problem.
    #[must_use]
    pub fn with_link(mut self, path: String, label: Sentence) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.link = Some((path, label));
        }
        self
    }

    /// Adds one.
    pub fn add(&mut self, field: &'static str, message: impl Into<Message>) {
        self.0.push(Problem { field, message: message.into(), link: None });
    }

    /// Takes the value, or adds a problem.
    pub fn take<T>(&mut self, field: &'static str, parsed: Result<T, Message>) -> Option<T> {
        parsed.map_err(|message| self.add(field, message)).ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lists all of them, for the summary.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }

    /// Finds the first one at a field.
    pub fn of(&self, field: &str) -> Option<&Problem> {
        self.0.iter().find(|problem| problem.field == field)
    }
}

/// Why a flow did not do what its form asked for.
#[derive(Debug)]
pub enum FormError {
    /// Something is wrong in the form: it is shown again.
    Form(Problems),
    Http(HttpError),
    /// The database's, kept as it is so that a lost race can be run again.
    Database(db::Error),
}

impl FormError {
    /// One problem at one field.
    pub fn at(field: &'static str, message: impl Into<Message>) -> Self {
        Self::Form(Problems::one(field, message))
    }

    /// Gives the problems to show at the form.
    ///
    /// # Errors
    /// The error that ends the request instead.
    pub fn problems(self) -> Result<Problems, HttpError> {
        match self {
            Self::Form(problems) => Ok(problems),
            Self::Http(error) => Err(error),
            Self::Database(error) => Err(error.into()),
        }
    }
}

/// For what has no form to show again.
impl From<FormError> for HttpError {
    fn from(error: FormError) -> Self {
        error.problems().err().unwrap_or(Self::BadRequest)
    }
}

impl db::TransactionError for FormError {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Self::Database(error) => Some(error),
            Self::Form(_) | Self::Http(_) => None,
        }
    }
}

impl From<diesel::result::Error> for FormError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

macro_rules! form_error_from {
    ($($error:ty => $variant:ident),+) => {
        $(impl From<$error> for FormError {
            fn from(error: $error) -> Self {
                Self::$variant(error.into())
            }
        })+
    };
}
form_error_from!(
    Problems => Form,
    HttpError => Http,
    Redirect => Http,
    ErrorPage => Http,
    HashError => Http,
    TooMany => Http,
    db::Error => Database
);

/// `?next=` of a request: a page of ours or nothing, whatever else the query holds.
impl FromRequest for Next {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        ready(Ok(Self::of_query(req.query_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct EmailForm {
        #[serde(default)]
        email: String,
    }

    #[test]
    fn a_form_is_read_strictly() {
        let email = |body: &[u8]| decode::<EmailForm>(body).map(|form| form.email).ok();
        assert_eq!(email(b"email=a%40b+c&more=1").as_deref(), Some("a@b c"));
        assert_eq!(email(b"").as_deref(), Some(""));
        for bad in [
            &b"email=%00"[..],
            b"email=%ff",
            b"email=%c0%80",
            b"email=\xff",
            b"email=%4",
            b"email=%zz",
            b"email=a&email=b",
        ] {
            assert!(email(bad).is_none(), "{bad:?}");
        }
    }
}
