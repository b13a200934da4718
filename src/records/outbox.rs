//! Mail to be sent. A row is written in the same transaction as what it tells, so that the two never part;
//! couriers claim rows one at a time.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{Point, older_than};
use crate::db::Connection;
use crate::db::columns::text_column;
use crate::db::schema::outbox;
use crate::identity::{Id, Message, Moment};

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
    /// A superuser stopped it.
    Cancelled,
    /// Written for the sake of equal work, never to be sent.
    Withheld,
}

text_column!(State, |text| State::parse(&text));

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Sent, Self::Failed, Self::Expired, Self::Cancelled, Self::Withheld];

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// What it is called on a page.
    pub fn name(self) -> Message {
        match self {
            Self::Waiting => "Waiting".into(),
            Self::Sent => "Sent".into(),
            Self::Failed => "Failed".into(),
            Self::Expired => "Ran out".into(),
            Self::Cancelled => "Cancelled".into(),
            Self::Withheld => "Not for sending".into(),
        }
    }

    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
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

/// A mail as a list shows it: all but its secret.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub struct Listed {
    /// Its identifier.
    pub id: Id,
    /// Which mail it is.
    pub kind: String,
    /// Whom it is about.
    pub user_id: Option<Id>,
    /// Where it goes.
    pub recipient: String,
    /// What it says, as JSON.
    pub fields: String,
    /// What became of it.
    pub state: State,
    /// How often it was tried.
    pub tries: i32,
    /// When it was written.
    pub created_at: Moment,
    /// When it is tried next.
    pub due_at: Moment,
    /// When it is worth nothing any more.
    pub expires_at: Option<Moment>,
    /// When it was sent or given up.
    pub ended_at: Option<Moment>,
    /// What the server said last.
    pub trouble: Option<String>,
}

impl Listed {
    /// Whether it can be tried again: it waits, or it was given up and carries no secret (which ended with it).
    pub fn can_retry(&self) -> bool {
        let is_given_up = matches!(self.state, State::Failed | State::Cancelled);
        self.state == State::Waiting || (is_given_up && self.expires_at.is_none())
    }
}

/// Which mails.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About that person.
    pub user: Option<Id>,
    /// In that state; none: all that are for sending.
    pub state: Option<State>,
}

/// The newest mails after a place.
pub fn list(
    conn: &mut Connection,
    filter: &Filter,
    after: Option<&Point>,
    limit: i64,
) -> QueryResult<Vec<Listed>> {
    let mut query = outbox::table.into_boxed();
    if let Some(user) = &filter.user {
        query = query.filter(outbox::user_id.eq(user.clone()));
    }
    query = match filter.state {
        Some(state) => query.filter(outbox::state.eq(state)),
        None => query.filter(outbox::state.ne(State::Withheld)),
    };
    older_than!(query, after, outbox::created_at, outbox::id)
        .order((outbox::created_at.desc(), outbox::id.desc()))
        .limit(limit)
        .select(Listed::as_select())
        .load(conn)
}

/// The mail of that identifier.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<Listed>> {
    outbox::table.find(id).select(Listed::as_select()).get_result(conn).optional()
}

/// How many mails there are in a state.
pub fn count(conn: &mut Connection, state: State) -> QueryResult<i64> {
    outbox::table.filter(outbox::state.eq(state)).count().get_result(conn)
}

/// Stops a mail that waits, and erases its secret; tells whether it was in time. A courier that has it in hand may
/// still send it, and then it counts as sent.
pub fn cancel(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let waiting = outbox::table.find(id).filter(outbox::state.eq(State::Waiting));
    Ok(diesel::update(waiting).set(cancelled(now)).execute(conn)? == 1)
}

/// Stops all mail about a person that waits.
pub fn cancel_of(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<()> {
    let waiting = outbox::table.filter(outbox::user_id.eq(user)).filter(outbox::state.eq(State::Waiting));
    diesel::update(waiting).set(cancelled(now)).execute(conn).map(drop)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn cancelled(now: Moment) -> _ {
    let state: diesel::dsl::Eq<outbox::state, State> = outbox::state.eq(State::Cancelled);
    let secret: diesel::dsl::Eq<outbox::secret, Option<String>> = outbox::secret.eq(None::<String>);
    let ended: diesel::dsl::Eq<outbox::ended_at, Moment> = outbox::ended_at.eq(now);
    (state, secret, ended)
}

/// Lets the courier try again: a mail that waits for its next try, or one without a secret that was given up (a secret
/// is erased with the end of its mail). Tells whether there was such a mail.
pub fn retry(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let Some(mail) = by_id(conn, id)?.filter(Listed::can_retry) else { return Ok(false) };
    let due = match mail.state {
        // Due within a lease: a courier may have it in hand, and will come back to it by itself.
        State::Waiting if mail.due_at <= now.plus(LEASE) => return Ok(true),
        // A courier may still have had it in hand when it was cancelled.
        State::Cancelled => now.plus(LEASE),
        _ => now,
    };
    let unchanged = outbox::table.find(id).filter(outbox::state.eq(mail.state));
    let again = (outbox::state.eq(State::Waiting), outbox::due_at.eq(due), outbox::tries.eq(0));
    Ok(diesel::update(unchanged).set((again, outbox::ended_at.eq(None::<Moment>))).execute(conn)? == 1)
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
