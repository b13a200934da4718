//! One row per signed-in browser. The row is the authority: whatever a cookie or Redis says, a session whose
//! row has ended, or has another generation, is signed out at its next request.

use std::collections::HashMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::users::User;
use crate::config::SessionConfig;
use crate::db::Connection;
use crate::db::columns::text_column;
use crate::db::schema::{sign_ins, users as users_table};
use crate::identity::{Id, Moment, Role};

/// The most browsers that one person is signed in with; the oldest makes room (OWASP ASVS 5.0, 7.1.2).
const AT_ONCE: i64 = 20;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a remembered sign-in lives without a request.
pub const REMEMBERED_IDLE: Duration = Duration::from_secs(7 * 86_400);

/// How long a sign-in lives.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum Kind {
    /// As the settings say.
    Normal,
    /// "Remember me": 7 days without a request, 30 at most (NIST SP 800-63B, AAL1).
    Remembered,
    /// Staff and superusers: 15 minutes without a request, 8 hours at most.
    Privileged,
}

text_column!(Kind, |text| [Kind::Normal, Kind::Remembered, Kind::Privileged]
    .into_iter()
    .find(|kind| kind.as_str() == text));

impl Kind {
    /// The kind for a person of that role who did or did not ask to be remembered.
    pub fn of(role: Role, remember: bool) -> Self {
        match (role.sees_admin(), remember) {
            (true, _) => Self::Privileged,
            (false, true) => Self::Remembered,
            (false, false) => Self::Normal,
        }
    }

    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Remembered => "remembered",
            Self::Privileged => "privileged",
        }
    }

    /// Life without a request.
    pub fn idle(self, config: SessionConfig) -> Duration {
        match self {
            Self::Normal => config.idle,
            Self::Remembered => REMEMBERED_IDLE,
            Self::Privileged => 15 * MINUTE,
        }
    }

    /// Life at most.
    pub fn absolute(self, config: SessionConfig) -> Duration {
        match self {
            Self::Normal => config.absolute,
            Self::Remembered => 30 * DAY,
            Self::Privileged => 8 * 60 * MINUTE,
        }
    }
}

/// A signed-in browser.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = sign_ins)]
pub struct SignIn {
    /// What the session points to.
    pub id: Id,
    /// How long it lives.
    pub kind: Kind,
    /// Raised at every rotation; a session of another generation is dead.
    pub generation: i32,
    /// When the password was last given.
    pub confirmed_at: Moment,
    last_seen_at: Moment,
    idle_ends_at: Moment,
    absolute_ends_at: Moment,
    ended_at: Option<Moment>,
}

impl SignIn {
    /// Whether it lives.
    pub fn is_live(&self, now: Moment) -> bool {
        self.ended_at.is_none() && now < self.idle_ends_at && now < self.absolute_ends_at
    }

    /// Whether it is time to write down that it was seen: not at every request, yet often enough that its
    /// idle life ends when it should.
    pub fn is_due(&self, config: SessionConfig, now: Moment) -> bool {
        now.since(self.last_seen_at) >= MINUTE.min(self.kind.idle(config) / 10)
    }

    /// The seconds until it ends at the latest, for a cookie that is to outlive the browser's window.
    pub fn remaining(&self, now: Moment) -> Duration {
        self.absolute_ends_at.since(now)
    }
}

/// A sign-in as its list shows it.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = sign_ins)]
pub struct Listed {
    /// Its identifier; what a session points to cannot be made of it.
    pub id: Id,
    /// The browser's name for itself.
    pub device: String,
    /// Its address.
    pub address: String,
    /// Since when.
    pub created_at: Moment,
    /// When it was last seen, give or take a minute.
    pub last_seen_at: Moment,
}

/// From where somebody signs in.
#[derive(Clone, Debug)]
pub struct Device {
    /// The browser's name for itself, cut.
    pub agent: String,
    /// Its address.
    pub address: String,
}

/// Signs a browser in; beyond twenty, the oldest of that person's ends.
pub fn begin(
    conn: &mut Connection,
    user: &Id,
    kind: Kind,
    device: &Device,
    config: SessionConfig,
    now: Moment,
) -> QueryResult<SignIn> {
    let absolute_ends_at = now.plus(kind.absolute(config));
    let sign_in = SignIn {
        id: Id::new(),
        kind,
        generation: 1,
        confirmed_at: now,
        last_seen_at: now,
        idle_ends_at: now.plus(kind.idle(config)).min(absolute_ends_at),
        absolute_ends_at,
        ended_at: None,
    };
    diesel::insert_into(sign_ins::table)
        .values((
            sign_ins::id.eq(&sign_in.id),
            sign_ins::user_id.eq(user),
            sign_ins::kind.eq(kind),
            sign_ins::generation.eq(sign_in.generation),
            sign_ins::device.eq(&device.agent),
            sign_ins::address.eq(&device.address),
            (sign_ins::created_at.eq(now), sign_ins::last_seen_at.eq(now), sign_ins::confirmed_at.eq(now)),
            sign_ins::idle_ends_at.eq(sign_in.idle_ends_at),
            sign_ins::absolute_ends_at.eq(sign_in.absolute_ends_at),
        ))
        .execute(conn)?;
    let surplus: Vec<Id> = live(user)
        .order(sign_ins::id.desc())
        .offset(AT_ONCE)
        .limit(AT_ONCE)
        .select(sign_ins::id)
        .load(conn)?;
    if !surplus.is_empty() {
        diesel::update(sign_ins::table.filter(sign_ins::id.eq_any(surplus)))
            .set(sign_ins::ended_at.eq(now))
            .execute(conn)?;
    }
    Ok(sign_in)
}

/// A sign-in and whose it is, whatever its standing.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<(SignIn, User)>> {
    sign_ins::table
        .inner_join(users_table::table)
        .filter(sign_ins::id.eq(id))
        .select((SignIn::as_select(), User::as_select()))
        .get_result(conn)
        .optional()
}

/// Writes down that it was seen: its idle life starts again, its absolute one does not.
pub fn touch(conn: &mut Connection, sign_in: &SignIn, config: SessionConfig, now: Moment) -> QueryResult<()> {
    let idle_ends_at = now.plus(sign_in.kind.idle(config)).min(sign_in.absolute_ends_at);
    diesel::update(sign_ins::table.find(&sign_in.id).filter(sign_ins::ended_at.is_null()))
        .set((sign_ins::last_seen_at.eq(now), sign_ins::idle_ends_at.eq(idle_ends_at)))
        .execute(conn)
        .map(drop)
}

/// Raises the generation, so that every older cookie of this sign-in is dead. `None` when it ended, or when
/// another request was first. `confirmed` when the password was given just now.
pub fn rotate(
    conn: &mut Connection,
    sign_in: &SignIn,
    confirmed: bool,
    config: SessionConfig,
    now: Moment,
) -> QueryResult<Option<SignIn>> {
    let rotated = SignIn {
        generation: sign_in.generation.wrapping_add(1),
        confirmed_at: if confirmed { now } else { sign_in.confirmed_at },
        last_seen_at: now,
        idle_ends_at: now.plus(sign_in.kind.idle(config)).min(sign_in.absolute_ends_at),
        ..sign_in.clone()
    };
    let current = sign_ins::table
        .find(&sign_in.id)
        .filter(sign_ins::generation.eq(sign_in.generation))
        .filter(sign_ins::ended_at.is_null());
    let rows = diesel::update(current)
        .set((
            sign_ins::generation.eq(rotated.generation),
            sign_ins::confirmed_at.eq(rotated.confirmed_at),
            sign_ins::last_seen_at.eq(rotated.last_seen_at),
            sign_ins::idle_ends_at.eq(rotated.idle_ends_at),
        ))
        .execute(conn)?;
    Ok((rows == 1).then_some(rotated))
}

/// Signs that browser out.
pub fn end(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<()> {
    diesel::update(sign_ins::table.find(id).filter(sign_ins::ended_at.is_null()))
        .set(sign_ins::ended_at.eq(now))
        .execute(conn)
        .map(drop)
}

/// Signs every browser of a person out, but for `keep`; tells how many.
pub fn end_all(conn: &mut Connection, user: &Id, keep: Option<&Id>, now: Moment) -> QueryResult<usize> {
    let mut others = diesel::update(live(user)).set(sign_ins::ended_at.eq(now)).into_boxed();
    if let Some(keep) = keep {
        others = others.filter(sign_ins::id.ne(keep));
    }
    others.execute(conn)
}

/// The browsers that a person is signed in with, the newest first.
pub fn live_of(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<Vec<Listed>> {
    live(user)
        .filter(sign_ins::idle_ends_at.gt(now))
        .filter(sign_ins::absolute_ends_at.gt(now))
        .order(sign_ins::id.desc())
        .select(Listed::as_select())
        .load(conn)
}

/// When each of these people was last seen.
pub fn last_seen(conn: &mut Connection, people: &[Id]) -> QueryResult<HashMap<Id, Moment>> {
    let seen: Vec<(Id, Option<Moment>)> = sign_ins::table
        .filter(sign_ins::user_id.eq_any(people))
        .group_by(sign_ins::user_id)
        .select((sign_ins::user_id, diesel::dsl::max(sign_ins::last_seen_at)))
        .load(conn)?;
    Ok(seen.into_iter().filter_map(|(user, at)| Some((user, at?))).collect())
}

/// Signs one browser of a person out; tells whether it was signed in.
pub fn end_of(conn: &mut Connection, user: &Id, id: &Id, now: Moment) -> QueryResult<bool> {
    let one = live(user).filter(sign_ins::id.eq(id));
    Ok(diesel::update(one).set(sign_ins::ended_at.eq(now)).execute(conn)? == 1)
}

/// How many people signed in within a span.
pub fn count_between(conn: &mut Connection, from: Moment, before: Moment) -> QueryResult<i64> {
    sign_ins::table
        .filter(sign_ins::created_at.ge(from))
        .filter(sign_ins::created_at.lt(before))
        .count()
        .get_result(conn)
}

/// Forgets sign-ins a month after their end.
pub fn sweep(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    diesel::delete(sign_ins::table.filter(sign_ins::absolute_ends_at.lt(now.minus(30 * DAY)))).execute(conn)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn live<'a>(user: &'a Id) -> _ {
    let of_user: diesel::dsl::Eq<sign_ins::user_id, &'a Id> = sign_ins::user_id.eq(user);
    sign_ins::table.filter(of_user).filter(sign_ins::ended_at.is_null())
}
