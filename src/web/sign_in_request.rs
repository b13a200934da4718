//! A request that may begin a session.

use actix_session::{Session as CookieSession, SessionExt};
use actix_web::{FromRequest, HttpRequest, dev};

use super::client::Client;
use super::errors::HttpError;
use super::session::{self, Pointer};
use crate::identity::Moment;
use crate::records::sessions::{Device, Session};

/// What a handler needs to know of a request in order to sign somebody in.
pub struct SignInRequest {
    pub req: HttpRequest,
    /// What its cookie says.
    pub cookie_session: CookieSession,
    pub client: Client,
}

impl SignInRequest {
    /// Points the browser to a session.
    ///
    /// # Errors
    /// When the pointer cannot be written, which would be a mistake of ours.
    pub fn point_to(&self, session: &Session, now: Moment) -> Result<(), HttpError> {
        session::point_to(&self.req, &self.cookie_session, session, now)
    }

    /// Describes it for the row of a session. What the browser was before ends with it: a browser that becomes somebody else
    /// leaves nothing alive behind.
    pub fn device(&self) -> Device {
        let leaves = match session::pointer(&self.cookie_session) {
            Pointer::To(id, _) => Some(id),
            Pointer::Nobody | Pointer::Away => None,
        };
        Device { agent: self.client.agent.clone(), ip: self.client.ip, leaves }
    }
}

impl FromRequest for SignInRequest {
    type Error = HttpError;
    type Future = std::future::Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let client = Client::from_request(req, payload).into_inner();
        let browser =
            client.map(|client| Self { req: req.clone(), cookie_session: req.get_session(), client });
        std::future::ready(browser)
    }
}
