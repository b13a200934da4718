//! What the audit log says about a moment, and what it forgets of an account that is gone.

use std::time::Duration;

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::{Kind, Source};
use crate::db::Connection;
use crate::db::schema::{events, users};
use crate::identity::{Id, Moment};

/// For how long a wrong password is remembered against the sign-in that follows.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Counts the failures of a kind (wrong passwords, wrong codes) of the last day that no sign-in has followed, up to `most`.
pub fn failures_before(
    conn: &mut Connection,
    user: &Id,
    kind: Kind,
    most: usize,
    now: Moment,
) -> QueryResult<usize> {
    let newest: Vec<String> = events::table
        .filter(events::user_id.eq(user))
        .filter(events::at.gt(now.minus(REMEMBERED)))
        .filter(events::kind.eq_any([kind.as_str(), Kind::SignedIn.as_str()]))
        .order((events::at.desc(), events::id.desc()))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(events::kind)
        .load(conn)?;
    Ok(newest.iter().take_while(|found| *found == kind.as_str()).count())
}

/// Whether an event is the newest of its kind of an account.
pub fn is_newest(conn: &mut Connection, user: &Id, kind: Kind, event: &Id) -> QueryResult<bool> {
    let newest: Option<Id> = events::table
        .filter(events::user_id.eq(user))
        .filter(events::kind.eq(kind.as_str()))
        .order((events::at.desc(), events::id.desc()))
        .limit(1)
        .select(events::id)
        .get_result(conn)
        .optional()?;
    Ok(newest.as_ref() == Some(event))
}

/// Lists some of the accounts that signed up between then and then, and are gone without a trace but their events.
pub fn sign_ups_gone(
    conn: &mut Connection,
    from: Moment,
    before: Moment,
    limit: i64,
) -> QueryResult<Vec<Id>> {
    let account = users::table.filter(users::id.nullable().eq(events::user_id));
    let gone: Vec<Option<Id>> = events::table
        .filter(events::kind.eq(Kind::SignedUp.as_str()))
        .filter(events::at.ge(from))
        .filter(events::at.lt(before))
        .filter(events::source.ne(Source::Forgotten.stored()))
        .filter(not(exists(account)))
        .limit(limit)
        .select(events::user_id)
        .load(conn)?;
    Ok(gone.into_iter().flatten().collect())
}

/// So many events are forgotten with one statement.
const BATCH: i64 = 1000;

/// Forgets whose some of the events of an account were: they stay under its pseudonym, without addresses, and without whatever else
/// might name its person. Returns of how many; of none when it is done.
pub fn forget_some(conn: &mut Connection, user: &Id, pseudonym: &Id) -> QueryResult<usize> {
    let nowhere = Source::Forgotten.stored();
    let acts = events::table.filter(events::actor_id.eq(user)).limit(BATCH).select(events::id);
    let acts: Vec<Id> = acts.load(conn)?;
    diesel::update(events::table.filter(events::id.eq_any(&acts)))
        .set((events::actor_id.eq(pseudonym), events::source.eq(&nowhere)))
        .execute(conn)?;
    let own = events::table.filter(events::user_id.eq(user)).limit(BATCH).select(events::id);
    let own: Vec<Id> = own.load(conn)?;
    let of_user = || events::table.filter(events::id.eq_any(&own));
    // Who else did something to it, and from where, is about them.
    diesel::update(of_user().filter(events::actor_id.is_null()))
        .set(events::source.eq(&nowhere))
        .execute(conn)?;
    diesel::update(of_user())
        .set((
            events::user_id.eq(pseudonym),
            events::detail.eq(""),
            events::was.eq(""),
            events::became.eq(""),
        ))
        .execute(conn)?;
    Ok(acts.len() + own.len())
}
