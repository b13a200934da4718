//! Sign-ins of which the first step was right, and that wait for the second one. None of them is a session.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::db::Connection;
use crate::db::columns::text_column;
use crate::db::schema::{second_steps, users as users_table};
use crate::identity::{Id, Moment, Role, serialize_as_text};
use crate::records::sessions::Remember;
use crate::records::users::User;

/// How long one waits.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// So many codes are tried for one.
pub const MAX_TRIES: i32 = 5;

/// What was given first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum FirstStep {
    Password,
    /// A code that was emailed.
    EmailedCode,
}

text_column!(FirstStep, |text| [FirstStep::Password, FirstStep::EmailedCode]
    .into_iter()
    .find(|step| step.as_str() == text));

serialize_as_text!(FirstStep);

impl FirstStep {
    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::EmailedCode => "emailed-code",
        }
    }
}

/// A sign-in that waits for its second step: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = second_steps, treat_none_as_default_value = false)]
pub struct SecondStep {
    pub id: Id,
    pub user_id: Id,
    /// What the account was when its password was given.
    role: Role,
    password_changed_at: Moment,
    pub first_step: FirstStep,
    remembers: bool,
    /// Where its person wanted to go: a path, or a form that waits, sealed.
    #[serde(skip)]
    pub next_path: String,
    pub tries: i32,
    created_at: Moment,
    ended_at: Option<Moment>,
}

impl SecondStep {
    /// Whether it waits, for an account that is as it was.
    pub fn is_open(&self, user: &User, now: Moment) -> bool {
        self.ended_at.is_none()
            && now < self.created_at.plus(LIFETIME)
            && !self.created_at.is_ahead_of(now)
            && self.role == user.role
            && self.password_changed_at == user.password_changed_at
    }

    /// Whether "Stay signed in on this device" was ticked.
    pub fn remember(&self) -> Remember {
        Remember::from(self.remembers)
    }

    /// How many tries are left.
    pub fn left(&self) -> i32 {
        (MAX_TRIES - self.tries).max(0)
    }
}

/// Begins to wait.
pub fn begin(
    conn: &mut Connection,
    user: &User,
    first_step: FirstStep,
    remember: Remember,
    next_path: &str,
    now: Moment,
) -> QueryResult<SecondStep> {
    let step = SecondStep {
        id: Id::new(),
        user_id: user.id.clone(),
        role: user.role,
        password_changed_at: user.password_changed_at,
        first_step,
        remembers: remember == Remember::Yes,
        next_path: next_path.to_owned(),
        tries: 0,
        created_at: now,
        ended_at: None,
    };
    diesel::insert_into(second_steps::table).values(&step).execute(conn)?;
    Ok(step)
}

/// Finds one, and whose it is.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<(SecondStep, User)>> {
    second_steps::table
        .inner_join(users_table::table)
        .filter(second_steps::id.eq(id))
        .select((SecondStep::as_select(), User::as_select()))
        .get_result(conn)
        .optional()
}

/// Counts a wrong code, and ends what has no try left; returns how many are left. The account is locked.
pub fn count_try(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<i32> {
    let step = second_steps::table.find(id);
    diesel::update(step).set(second_steps::tries.eq(second_steps::tries + 1)).execute(conn)?;
    let left = step.select(SecondStep::as_select()).get_result(conn)?.left();
    if left == 0 {
        end(conn, id, now)?;
    }
    Ok(left)
}

/// Ends one; returns whether it was this call that did.
pub fn end(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<bool> {
    let open = second_steps::table.find(id).filter(second_steps::ended_at.is_null());
    Ok(diesel::update(open).set(second_steps::ended_at.eq(now)).execute(conn)? == 1)
}

/// Ends all of an account.
pub fn end_all(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<()> {
    let open =
        second_steps::table.filter(second_steps::user_id.eq(user)).filter(second_steps::ended_at.is_null());
    diesel::update(open).set(second_steps::ended_at.eq(now)).execute(conn).map(drop)
}

/// Lists those of an account, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<SecondStep>> {
    second_steps::table
        .filter(second_steps::user_id.eq(user))
        .order((second_steps::created_at, second_steps::id))
        .select(SecondStep::as_select())
        .load(conn)
}

/// Forgets those from before then.
pub(in crate::records) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(second_steps::table.filter(second_steps::created_at.lt(before))).execute(conn)
}
