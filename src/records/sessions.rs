//! One row for each signed-in browser. The row decides: whatever a cookie or Redis says, a session whose row has ended, or
//! has another generation, is signed out at its next request.

mod life;
mod signed_in_by;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::users::{Profile, User, dormancy};
use crate::config::SessionConfig;
use crate::db::Connection;
use crate::db::columns::text_column;
use crate::db::connection::on_backend;
use crate::db::schema::{sessions, users as users_table, verifications};
use crate::identity::{CodePurpose, Email, Id, Moment, Role, serialize_as_text};

pub use life::Life;
pub use signed_in_by::SignedInBy;

/// The most sessions of one account; the oldest makes room (OWASP ASVS 5.0, 7.1.2).
const MAX_SESSIONS_PER_USER: i64 = 20;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a remembered session lasts without a request.
pub const REMEMBERED_IDLE: Duration = Duration::from_secs(7 * 86_400);

/// Whether "Stay signed in on this device" was ticked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    Yes,
    No,
}

impl Remember {
    /// Reads the box of a form, which is sent where it is ticked.
    pub fn of_box(sent: &str) -> Self {
        Self::from(!sent.is_empty())
    }
}

impl From<bool> for Remember {
    fn from(is_ticked: bool) -> Self {
        if is_ticked { Self::Yes } else { Self::No }
    }
}

/// How long a session lasts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum SessionKind {
    /// As the settings say.
    Normal,
    /// "Remember me": 7 days without a request, 30 at most (NIST SP 800-63B, AAL1).
    Remembered,
    /// Staff and superusers: 15 minutes without a request, 8 hours at most.
    Privileged,
}

text_column!(SessionKind, |text| [SessionKind::Normal, SessionKind::Remembered, SessionKind::Privileged]
    .into_iter()
    .find(|kind| kind.as_str() == text));

serialize_as_text!(SessionKind);

impl SessionKind {
    /// Chooses the kind for a role, and for whether "Stay signed in" was ticked.
    pub fn of(role: Role, remember: Remember) -> Self {
        match (role.sees_admin(), remember) {
            (true, _) => Self::Privileged,
            (false, Remember::Yes) => Self::Remembered,
            (false, Remember::No) => Self::Normal,
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

    /// How long it lasts without a request.
    pub fn idle(self, config: SessionConfig) -> Duration {
        match self {
            Self::Normal => config.idle,
            Self::Remembered => REMEMBERED_IDLE,
            Self::Privileged => 15 * MINUTE,
        }
    }

    /// How long it lasts at most.
    pub fn absolute(self, config: SessionConfig) -> Duration {
        match self {
            Self::Normal => config.absolute,
            Self::Remembered => 30 * DAY,
            Self::Privileged => 8 * 60 * MINUTE,
        }
    }
}

/// A signed-in browser: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub struct Session {
    #[diesel(embed)]
    #[serde(flatten)]
    pub life: Life,
    pub user_id: Id,
    /// The browser's name for itself, cut.
    pub device: String,
    /// What its person calls it; may be empty.
    pub name: String,
    pub signed_in_by: SignedInBy,
    /// Its IP address at sign-in.
    pub ip: String,
}

/// From where somebody signs in.
#[derive(Clone, Debug)]
pub struct Device {
    /// The browser's name for itself, cut.
    pub agent: String,
    pub ip: IpAddr,
    /// The session that its browser holds until then.
    pub leaves: Option<Id>,
}

/// Begins a session, which is using the account, and ends the one that the browser leaves; beyond twenty, the oldest of that account ends.
pub fn begin(
    conn: &mut Connection,
    user: &Id,
    kind: SessionKind,
    by: SignedInBy,
    device: &Device,
    config: SessionConfig,
    now: Moment,
) -> QueryResult<Session> {
    if let Some(left) = &device.leaves {
        end(conn, left, now)?;
    }
    let life = Life::begin(kind, by, config, now);
    let session = Session {
        life,
        user_id: user.clone(),
        device: device.agent.clone(),
        name: String::new(),
        signed_in_by: by,
        ip: device.ip.to_string(),
    };
    diesel::insert_into(sessions::table).values(&session).execute(conn)?;
    dormancy::end(conn, user, now)?;
    // Those that a clock dated ahead are not live, and must not make this one surplus.
    let ahead = open(user).filter(sessions::created_at.gt(now.plus(MINUTE)));
    diesel::update(ahead).set(sessions::ended_at.eq(now)).execute(conn)?;
    let surplus: Vec<Id> = open(user)
        .order((sessions::created_at.desc(), sessions::id.desc()))
        .offset(MAX_SESSIONS_PER_USER)
        .limit(MAX_SESSIONS_PER_USER)
        .select(sessions::id)
        .load(conn)?;
    if !surplus.is_empty() {
        diesel::update(sessions::table.filter(sessions::id.eq_any(surplus)))
            .set(sessions::ended_at.eq(now))
            .execute(conn)?;
    }
    Ok(session)
}

/// Finds a session and whose it is, live or not.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<(Session, User)>> {
    on_backend!(conn, conn => sessions::table
        .inner_join(users_table::table)
        .filter(sessions::id.eq(id))
        .select((Session::as_select(), User::as_select()))
        .get_result(conn)
        .optional())
}

/// Finds how long a session lasts, whose it is as far as their profile shows it, and the address that waits for its code. (There is one
/// at most: asking for a change ends the one before, under the lock of the account.)
pub fn profile_of(conn: &mut Connection, id: &Id) -> QueryResult<Option<(Life, Profile, Option<Email>)>> {
    let is_pending = verifications::user_id
        .eq(users_table::id.nullable())
        .and(verifications::purpose.eq(CodePurpose::ChangeEmail))
        .and(verifications::ended_at.is_null());
    on_backend!(conn, conn => sessions::table
        .inner_join(users_table::table)
        .left_join(verifications::table.on(is_pending))
        .filter(sessions::id.eq(id))
        .select((Life::as_select(), Profile::as_select(), verifications::email.nullable()))
        .get_result(conn)
        .optional())
}

/// Stores that it was seen: its idle life starts again, its absolute one does not.
pub fn touch(conn: &mut Connection, life: &Life, config: SessionConfig, now: Moment) -> QueryResult<()> {
    let idle_ends_at = life.idle_end(config, now);
    diesel::update(sessions::table.find(&life.id).filter(sessions::ended_at.is_null()))
        .set((sessions::last_seen_at.eq(now), sessions::idle_ends_at.eq(idle_ends_at)))
        .execute(conn)
        .map(drop)
}

/// Why a session is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Asked for, or because the account changed.
    Renewed,
    /// The password was given just now.
    PasswordGiven,
    /// The second step was taken just now.
    FactorGiven,
    /// Both were.
    BothGiven,
}

/// Raises the generation, so that every older pointer to this session is dead. `None` when it has ended, or when another
/// request was first.
pub fn rotate(
    conn: &mut Connection,
    session: &Session,
    why: Rotation,
    config: SessionConfig,
    now: Moment,
) -> QueryResult<Option<Session>> {
    let rotated = Session { life: session.life.renewed(why, config, now), ..session.clone() };
    let current = sessions::table
        .find(&session.life.id)
        .filter(sessions::generation.eq(session.life.generation))
        .filter(sessions::ended_at.is_null());
    let rows = diesel::update(current)
        .set((
            sessions::generation.eq(rotated.life.generation),
            sessions::confirmed_at.eq(rotated.life.confirmed_at),
            sessions::factor_at.eq(rotated.life.factor_at),
            sessions::last_seen_at.eq(rotated.life.last_seen_at),
            sessions::idle_ends_at.eq(rotated.life.idle_ends_at),
        ))
        .execute(conn)?;
    Ok((rows == 1).then_some(rotated))
}

/// Ends a session.
pub fn end(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<()> {
    diesel::update(sessions::table.find(id).filter(sessions::ended_at.is_null()))
        .set(sessions::ended_at.eq(now))
        .execute(conn)
        .map(drop)
}

/// Ends every session of an account, except `keep`; returns how many.
pub fn end_all(conn: &mut Connection, user: &Id, keep: Option<&Id>, now: Moment) -> QueryResult<usize> {
    let mut others = diesel::update(open(user)).set(sessions::ended_at.eq(now)).into_boxed();
    if let Some(keep) = keep {
        others = others.filter(sessions::id.ne(keep));
    }
    others.execute(conn)
}

/// Lists all sessions of an account, live or not, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<Session>> {
    sessions::table
        .filter(sessions::user_id.eq(user))
        .order((sessions::created_at, sessions::id))
        .select(Session::as_select())
        .load(conn)
}

/// Lists the live sessions of an account, the newest first.
pub fn live_of(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<Vec<Session>> {
    open(user)
        .filter(sessions::idle_ends_at.gt(now))
        .filter(sessions::absolute_ends_at.gt(now))
        .order((sessions::created_at.desc(), sessions::id.desc()))
        .select(Session::as_select())
        .load(conn)
}

/// Returns when each of these accounts was last seen.
pub fn last_seen(conn: &mut Connection, users: &[Id]) -> QueryResult<HashMap<Id, Moment>> {
    let seen: Vec<(Id, Option<Moment>)> = sessions::table
        .filter(sessions::user_id.eq_any(users))
        .group_by(sessions::user_id)
        .select((sessions::user_id, diesel::dsl::max(sessions::last_seen_at)))
        .load(conn)?;
    Ok(seen.into_iter().filter_map(|(user, at)| Some((user, at?))).collect())
}

/// Ends one session of an account; returns whether it was open.
pub fn end_of(conn: &mut Connection, user: &Id, id: &Id, now: Moment) -> QueryResult<bool> {
    let one = open(user).filter(sessions::id.eq(id));
    Ok(diesel::update(one).set(sessions::ended_at.eq(now)).execute(conn)? == 1)
}

/// Names a live session of an account; returns whether there is one.
pub fn rename(conn: &mut Connection, user: &Id, id: &Id, name: &str) -> QueryResult<bool> {
    // Of a row that stays as it was some databases say that none was changed.
    diesel::update(open(user).filter(sessions::id.eq(id))).set(sessions::name.eq(name)).execute(conn)?;
    let named: i64 = open(user).filter(sessions::id.eq(id)).count().get_result(conn)?;
    Ok(named == 1)
}

/// Counts the sessions that began within a span.
pub fn count_between(conn: &mut Connection, from: Moment, before: Moment) -> QueryResult<i64> {
    sessions::table
        .filter(sessions::created_at.ge(from))
        .filter(sessions::created_at.lt(before))
        .count()
        .get_result(conn)
}

/// Forgets sessions whose longest possible life was over by then.
pub(super) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(sessions::table.filter(sessions::absolute_ends_at.lt(before))).execute(conn)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn open<'a>(user: &'a Id) -> _ {
    let of_user: diesel::dsl::Eq<sessions::user_id, &'a Id> = sessions::user_id.eq(user);
    sessions::table.filter(of_user).filter(sessions::ended_at.is_null())
}
