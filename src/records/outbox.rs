//! Mail to be sent. A row is written in the same transaction as what it reports, so that the two never part;
//! couriers claim rows one at a time.

mod listing;

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::Connection;
use crate::db::columns::text_column;
use crate::db::schema::{outbox, users};
use crate::identity::{Id, Moment, Sentence, serialize_as_text, t};
pub use listing::{Filter, ListedMail, by_id, count, list};

/// How long a courier has for one mail; then another may take it.
pub const LEASE: Duration = Duration::from_secs(30);
/// The longest that a mail is put off.
pub const MAX_DELAY: Duration = Duration::from_secs(3600);
/// What became of a mail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum State {
    Waiting,
    /// The server took it.
    Sent,
    /// The server refused it for good.
    Failed,
    /// Its code or link expired before it could be sent.
    Expired,
    /// A superuser stopped it.
    Cancelled,
    /// Written for the sake of equal work, never to be sent.
    Withheld,
}

text_column!(State, |text| State::parse(&text));
serialize_as_text!(State);

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Sent, Self::Failed, Self::Expired, Self::Cancelled, Self::Withheld];

    /// Reads a word of the database or of a query.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Names it on a page.
    pub fn name(self) -> Sentence {
        match self {
            Self::Waiting => t("Waiting"),
            Self::Sent => t("Sent"),
            Self::Failed => t("Failed"),
            Self::Expired => t("Expired"),
            Self::Cancelled => t("Cancelled"),
            Self::Withheld => t("Not for sending"),
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

/// A mail in the outbox: a whole row, as it is claimed, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
pub struct OutboxMail {
    /// Also in its Message-ID, so that a repeat is recognised.
    pub id: Id,
    pub kind: String,
    /// The account that it is about.
    pub user_id: Option<Id>,
    pub recipient: String,
    /// What it says, as JSON.
    pub fields: String,
    /// The code or token that it carries, sealed; erased when it ends.
    pub secret: Option<String>,
    state: State,
    /// How often a server put it off.
    pub tries: i32,
    created_at: Moment,
    due_at: Moment,
    /// When it is not worth sending any more.
    pub expires_at: Option<Moment>,
    ended_at: Option<Moment>,
    trouble: Option<String>,
}

/// Begins the trouble of a mail that a server may have taken.
const PERHAPS: &str = "perhaps delivered: ";

impl OutboxMail {
    /// Whether a server may have taken it already.
    pub fn is_perhaps_sent(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.starts_with(PERHAPS))
    }
}

/// A mail to be written to the outbox.
pub struct NewMail<'a> {
    pub kind: &'a str,
    /// The account that it is about.
    pub user: Option<&'a Id>,
    pub recipient: &'a str,
    /// What it says, as JSON.
    pub fields: String,
    /// The code or token that it carries, sealed.
    pub secret: Option<&'a str>,
    /// When it is not worth sending any more.
    pub expires_at: Option<Moment>,
    /// [`State::Waiting`], or [`State::Withheld`].
    pub state: State,
}

/// Writes a mail.
pub fn insert(conn: &mut Connection, new: &NewMail<'_>, now: Moment) -> QueryResult<()> {
    let mail = OutboxMail {
        id: Id::new(),
        kind: new.kind.to_owned(),
        user_id: new.user.cloned(),
        recipient: new.recipient.to_owned(),
        fields: new.fields.clone(),
        secret: new.secret.filter(|_| new.state == State::Waiting).map(str::to_owned),
        state: new.state,
        tries: 0,
        created_at: now,
        due_at: now,
        expires_at: new.expires_at,
        ended_at: None,
        trouble: None,
    };
    diesel::insert_into(outbox::table).values(&mail).execute(conn).map(drop)
}

/// Claims the mail that has been due longest and leases it, so that no other courier sends it too.
pub fn claim(conn: &mut Connection, now: Moment) -> QueryResult<Option<OutboxMail>> {
    let due: Option<OutboxMail> = outbox::table
        .filter(outbox::state.eq(State::Waiting))
        .filter(outbox::due_at.le(now))
        .order(outbox::due_at)
        .limit(1)
        .select(OutboxMail::as_select())
        .get_result(conn)
        .optional()?;
    let due = match due {
        Some(mail) => Some(mail),
        None => dated_ahead(conn, now)?,
    };
    let Some(mail) = due else { return Ok(None) };
    let unclaimed = outbox::table.find(&mail.id).filter(outbox::due_at.eq(mail.due_at));
    let rows = diesel::update(unclaimed.filter(outbox::state.eq(State::Waiting)))
        .set(outbox::due_at.eq(now.plus(LEASE)))
        .execute(conn)?;
    Ok((rows == 1).then_some(mail))
}

/// Lengthens the lease of a mail that is being sent.
pub fn extend(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<()> {
    let waiting = outbox::table.find(id).filter(outbox::state.eq(State::Waiting));
    diesel::update(waiting).set(outbox::due_at.eq(now.plus(LEASE))).execute(conn).map(drop)
}

/// Finds a mail that waits for longer than any is put off, or was queued in time to come: a clock that was ahead said so, and
/// would be waited for.
fn dated_ahead(conn: &mut Connection, now: Moment) -> QueryResult<Option<OutboxMail>> {
    outbox::table
        .filter(outbox::state.eq(State::Waiting))
        .filter(outbox::due_at.gt(now.plus(2 * MAX_DELAY)).or(outbox::created_at.gt(now.plus(LEASE))))
        .order(outbox::due_at.desc())
        .limit(1)
        .select(OutboxMail::as_select())
        .get_result(conn)
        .optional()
}

/// Returns when the next mail is due, if any waits.
pub fn next_due(conn: &mut Connection) -> QueryResult<Option<Moment>> {
    outbox::table
        .filter(outbox::state.eq(State::Waiting))
        .order(outbox::due_at)
        .limit(1)
        .select(outbox::due_at)
        .get_result(conn)
        .optional()
}

/// Ends a mail, and erases its secret, but that of one that was refused: it may be tried again until it expires. Returns whether it had not ended before. One that was cancelled while a courier was
/// sending it has been sent all the same.
pub fn finish(
    conn: &mut Connection,
    id: &Id,
    state: State,
    trouble: Option<&str>,
    now: Moment,
) -> QueryResult<bool> {
    let open: &[State] = match state {
        State::Sent => &[State::Waiting, State::Cancelled],
        State::Waiting | State::Failed | State::Expired | State::Cancelled | State::Withheld => {
            &[State::Waiting]
        }
    };
    let ended = outbox::table.find(id).filter(outbox::state.eq_any(open));
    let rows = diesel::update(ended)
        .set((outbox::state.eq(state), outbox::ended_at.eq(now), outbox::trouble.eq(trouble)))
        .execute(conn)?;
    if state != State::Failed {
        let secret = outbox::secret.eq(None::<String>);
        diesel::update(outbox::table.find(id).filter(outbox::state.eq(state))).set(secret).execute(conn)?;
    }
    // The last mails about an account outlive it, until they are sent.
    let orphan = outbox::table.find(id).filter(outbox::user_id.is_not_null()).filter(not(exists(account())));
    diesel::delete(orphan).execute(conn)?;
    Ok(rows == 1)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn account() -> _ {
    users::table.filter(users::id.nullable().eq(outbox::user_id))
}

/// Forgets the mails about an account that is gone, except those that wait: they go when they have been sent.
pub fn forget_account(conn: &mut Connection, user: &Id) -> QueryResult<()> {
    let about = outbox::table.filter(outbox::user_id.eq(user));
    diesel::delete(about.filter(outbox::state.ne(State::Waiting))).execute(conn).map(drop)
}

/// Forgets all mails about an account, those that wait, too.
pub fn forget_all_of(conn: &mut Connection, user: &Id) -> QueryResult<()> {
    diesel::delete(outbox::table.filter(outbox::user_id.eq(user))).execute(conn).map(drop)
}

/// Why a mail goes back to the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOff {
    /// The server cannot be reached, which says nothing about this mail.
    ServerAway,
    /// The server spoke about this very mail: it counts.
    ByServer,
    /// The server got all of it and did not say whether it took it.
    Perhaps,
}

/// Puts a mail back, to be tried again at `due`.
pub fn postpone(
    conn: &mut Connection,
    mail: &OutboxMail,
    due: Moment,
    why: PutOff,
    trouble: &str,
) -> QueryResult<()> {
    let tries = mail.tries + i32::from(why != PutOff::ServerAway);
    // Once perhaps, perhaps for good: whatever was said since.
    let trouble = if why == PutOff::Perhaps || mail.is_perhaps_sent() {
        format!("{PERHAPS}{trouble}")
    } else {
        trouble.to_owned()
    };
    diesel::update(outbox::table.find(&mail.id).filter(outbox::state.eq(State::Waiting)))
        .set((outbox::due_at.eq(due), outbox::tries.eq(tries), outbox::trouble.eq(trouble)))
        .execute(conn)
        .map(drop)
}

/// Cancels a mail that waits, and erases its secret; returns whether it was in time. A courier that is sending it may
/// still send it, and then it counts as sent.
pub fn cancel(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let waiting = outbox::table.find(id).filter(outbox::state.eq(State::Waiting));
    Ok(diesel::update(waiting).set(Cancelled::at(now)).execute(conn)? == 1)
}

/// What cancelling sets: the secret goes with the mail.
#[derive(AsChangeset)]
#[diesel(table_name = outbox, treat_none_as_null = true)]
struct Cancelled {
    state: State,
    secret: Option<String>,
    ended_at: Option<Moment>,
}

impl Cancelled {
    fn at(now: Moment) -> Self {
        Self { state: State::Cancelled, secret: None, ended_at: Some(now) }
    }
}

/// Lets the courier try again: a mail that waits for its next try, or one that was given up and has not lost its secret. Returns whether there was such a mail.
pub fn retry(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let Some(mail) = by_id(conn, id)?.filter(|mail| mail.can_retry(now)) else { return Ok(false) };
    let due = match mail.state {
        // Due within a lease: a courier may be sending it, and will come back to it by itself.
        State::Waiting if mail.due_at <= now.plus(LEASE) => return Ok(true),
        // A courier may still have been sending it when it was cancelled.
        State::Cancelled => now.plus(LEASE),
        State::Waiting | State::Sent | State::Failed | State::Expired | State::Withheld => now,
    };
    let unchanged = outbox::table.find(id).filter(outbox::state.eq(mail.state));
    let again = (outbox::state.eq(State::Waiting), outbox::due_at.eq(due), outbox::tries.eq(0));
    Ok(diesel::update(unchanged).set((again, outbox::ended_at.eq(None::<Moment>))).execute(conn)? == 1)
}

/// Removes a mail.
pub fn remove(conn: &mut Connection, id: &Id) -> QueryResult<()> {
    diesel::delete(outbox::table.find(id)).execute(conn).map(drop)
}

/// Erases the secrets of what has expired, also while no courier comes by; forgets mail that was written before then, unless it
/// still waits.
pub(super) fn sweep(conn: &mut Connection, before: Moment, now: Moment) -> QueryResult<usize> {
    let too_late = outbox::table.filter(outbox::state.eq(State::Waiting)).filter(outbox::expires_at.lt(now));
    diesel::update(too_late)
        .set((outbox::state.eq(State::Expired), outbox::ended_at.eq(now)))
        .execute(conn)?;
    let stale = outbox::table.filter(outbox::state.eq(State::Failed)).filter(outbox::expires_at.lt(now));
    diesel::update(stale).set(outbox::secret.eq(None::<String>)).execute(conn)?;
    let old = outbox::created_at.lt(before);
    diesel::delete(outbox::table.filter(old).filter(outbox::state.ne(State::Waiting))).execute(conn)
}
