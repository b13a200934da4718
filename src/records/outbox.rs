//! Mail to be sent. A row is written in the same transaction as what it tells, so that the two never part;
//! couriers claim rows one at a time.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::Connection;
use crate::db::columns::text_column;
use crate::db::schema::outbox;
use crate::identity::{Id, Moment};

/// How long a courier has for one mail; then another may take it.
const LEASE: Duration = Duration::from_secs(30);
/// How long mail that was sent or given up stays listed.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// What became of a mail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum State {
    /// To be sent.
    Waiting,
    /// The server took it.
    Sent,
    /// The server refused it for good.
    Failed,
    /// Its code or link ran out before it could be sent.
    Expired,
    /// Written for the sake of equal work, never to be sent.
    Withheld,
}

text_column!(State, |text| [State::Waiting, State::Sent, State::Failed, State::Expired, State::Withheld]
    .into_iter()
    .find(|state| state.as_str() == text));

impl State {
    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Withheld => "withheld",
        }
    }
}

/// A mail in the outbox.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub struct Outgoing {
    /// Also in its Message-ID, so that a repeat is known as one.
    pub id: Id,
    /// Whom it is about.
    pub user_id: Option<Id>,
    /// Where it goes.
    pub recipient: String,
    /// What it says, as JSON.
    pub fields: String,
    /// The code or token that it carries.
    pub secret: Option<String>,
    /// How often it was tried.
    pub tries: i32,
    /// When it was written.
    pub created_at: Moment,
    /// When it is worth nothing any more.
    pub expires_at: Option<Moment>,
    due_at: Moment,
}

/// A mail to be written to the outbox.
pub struct NewMail<'a> {
    /// Which mail it is.
    pub kind: &'a str,
    /// Whom it is about.
    pub user: Option<&'a Id>,
    /// Where it goes.
    pub recipient: &'a str,
    /// What it says, as JSON.
    pub fields: String,
    /// The code or token that it carries.
    pub secret: Option<&'a str>,
    /// When it is worth nothing any more.
    pub expires_at: Option<Moment>,
    /// Whether it is only written for the sake of equal work.
    pub withheld: bool,
}

/// Writes a mail.
pub fn insert(conn: &mut Connection, mail: &NewMail<'_>, now: Moment) -> QueryResult<()> {
    let state = if mail.withheld { State::Withheld } else { State::Waiting };
    diesel::insert_into(outbox::table)
        .values((
            outbox::id.eq(Id::new()),
            outbox::kind.eq(mail.kind),
            outbox::user_id.eq(mail.user),
            outbox::recipient.eq(mail.recipient),
            outbox::fields.eq(&mail.fields),
            outbox::secret.eq(mail.secret.filter(|_| !mail.withheld)),
            outbox::state.eq(state),
            outbox::tries.eq(0),
            (outbox::created_at.eq(now), outbox::due_at.eq(now)),
            outbox::expires_at.eq(mail.expires_at),
        ))
        .execute(conn)
        .map(drop)
}

/// Takes the mail that has been due longest and leases it, so that no other courier sends it too.
pub fn claim(conn: &mut Connection, now: Moment) -> QueryResult<Option<Outgoing>> {
    let due: Option<Outgoing> = outbox::table
        .filter(outbox::state.eq(State::Waiting))
        .filter(outbox::due_at.le(now))
        .order(outbox::due_at)
        .limit(1)
        .select(Outgoing::as_select())
        .get_result(conn)
        .optional()?;
    let Some(mail) = due else { return Ok(None) };
    let unclaimed = outbox::table.find(&mail.id).filter(outbox::due_at.eq(mail.due_at));
    let rows = diesel::update(unclaimed.filter(outbox::state.eq(State::Waiting)))
        .set(outbox::due_at.eq(now.plus(LEASE)))
        .execute(conn)?;
    Ok((rows == 1).then_some(mail))
}

/// When the next mail is due, if any waits.
pub fn next_due(conn: &mut Connection) -> QueryResult<Option<Moment>> {
    outbox::table
        .filter(outbox::state.eq(State::Waiting))
        .order(outbox::due_at)
        .limit(1)
        .select(outbox::due_at)
        .get_result(conn)
        .optional()
}

/// The end of a mail, and of the secret in it.
pub fn finish(
    conn: &mut Connection,
    id: &Id,
    state: State,
    trouble: Option<&str>,
    now: Moment,
) -> QueryResult<()> {
    diesel::update(outbox::table.find(id))
        .set((
            outbox::state.eq(state),
            outbox::secret.eq(None::<String>),
            outbox::ended_at.eq(now),
            outbox::trouble.eq(trouble),
        ))
        .execute(conn)
        .map(drop)
}

/// Back to the outbox, to be tried again at `due`. `counted` when the server spoke about this very mail.
pub fn postpone(
    conn: &mut Connection,
    mail: &Outgoing,
    due: Moment,
    counted: bool,
    trouble: &str,
) -> QueryResult<()> {
    diesel::update(outbox::table.find(&mail.id).filter(outbox::state.eq(State::Waiting)))
        .set((
            outbox::due_at.eq(due),
            outbox::tries.eq(mail.tries + i32::from(counted)),
            outbox::trouble.eq(trouble),
        ))
        .execute(conn)
        .map(drop)
}

/// Erases what is worth nothing any more, also while no courier comes by; forgets mail a month after it was written,
/// unless it still waits.
pub fn sweep(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    let too_late = outbox::table.filter(outbox::state.eq(State::Waiting)).filter(outbox::expires_at.lt(now));
    diesel::update(too_late)
        .set((outbox::state.eq(State::Expired), outbox::secret.eq(None::<String>), outbox::ended_at.eq(now)))
        .execute(conn)?;
    let old = outbox::created_at.lt(now.minus(KEPT));
    diesel::delete(outbox::table.filter(old).filter(outbox::state.ne(State::Waiting))).execute(conn)
}
