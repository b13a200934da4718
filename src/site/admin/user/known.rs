//! Everything that belongs to an account: sessions, codes, links, mails and events.

use diesel::QueryResult;

use super::super::{events as event_rows, outbox as mail_rows, pending};
use crate::db::Connection;
use crate::identity::{Id, LinkPurpose, Message, Moment, tn};
use crate::records::events::{self, Filter, Whose};
use crate::records::sessions::{self, Session};
use crate::records::two_factor::{authenticators, passkeys, recovery_codes};
use crate::records::users::{self, User};
use crate::records::{links, outbox, verifications};

/// How many of each the page shows; their lists have the rest.
const LATEST: i64 = 20;

/// The newest of everything that belongs to an account.
pub struct Known {
    pub last_seen: Option<Moment>,
    pub second_step: SecondStep,
    pub sessions: Vec<Session>,
    pub codes: Vec<pending::Row>,
    pub links: Vec<pending::Row>,
    pub mails: Vec<mail_rows::Row>,
    pub events: Vec<event_rows::Row>,
}

/// What an account has for the second step of signing in.
pub struct SecondStep {
    pub apps: i64,
    pub passkeys: i64,
    pub recovery_codes: i64,
}

impl SecondStep {
    fn of(conn: &mut Connection, user: &Id) -> QueryResult<Self> {
        Ok(Self {
            apps: authenticators::count_of(conn, user)?,
            passkeys: passkeys::count_of(conn, user)?,
            recovery_codes: recovery_codes::count_left(conn, user)?,
        })
    }

    /// Counts it.
    pub fn parts(&self) -> [Message; 3] {
        [
            tn("1 app", "{count} apps", self.apps),
            tn("1 passkey", "{count} passkeys", self.passkeys),
            tn("1 recovery code left", "{count} recovery codes left", self.recovery_codes),
        ]
    }
}

impl Known {
    /// Finds an account with everything that belongs to it.
    pub fn find(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<Option<(User, Self)>> {
        let Some(user) = users::by_id(conn, user)? else { return Ok(None) };
        let whose = Filter { user: Whose::One(user.id.clone()), ..Filter::default() };
        let events = events::list(conn, &whose, None, LATEST)?;
        let of_user = outbox::Filter { user: Some(user.id.clone()), ..outbox::Filter::default() };
        let codes = verifications::list(conn, Some(&user.id), None, LATEST)?;
        let links = links::list(conn, LinkPurpose::ResetPassword, Some(&user.id), None, LATEST)?;
        let known = Self {
            last_seen: sessions::last_seen(conn, std::slice::from_ref(&user.id))?.remove(&user.id),
            second_step: SecondStep::of(conn, &user.id)?,
            sessions: sessions::live_of(conn, &user.id, now)?,
            codes: codes.iter().map(|(flow, user)| pending::Row::of_code(flow, user, now)).collect(),
            links: links.iter().map(|(link, user)| pending::Row::of_link(link, user, now)).collect(),
            mails: outbox::list(conn, &of_user, None, LATEST)?.iter().map(mail_rows::Row::of).collect(),
            events: event_rows::rows(conn, events)?,
        };
        Ok(Some((user, known)))
    }
}
