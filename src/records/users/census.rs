//! How many accounts there are.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{AccountStatus, Moment, Role};

/// How many accounts there are, of each role and status.
#[derive(Clone, Debug)]
pub struct Census(Vec<(Role, [i64; 4])>);

impl Census {
    /// How many have a role and a status, where one is given.
    pub fn of(&self, role: Option<Role>, status: Option<&AccountStatus>) -> i64 {
        let of_role = self.0.iter().filter(|(known, _)| role.is_none_or(|role| role == *known));
        let counted = of_role.map(|(_, [active, unverified, blocked, leaving])| match status {
            None => active + unverified + blocked + leaving,
            Some(AccountStatus::Active) => *active,
            Some(AccountStatus::Unverified) => *unverified,
            Some(AccountStatus::Blocked(_)) => *blocked,
            Some(AccountStatus::Leaving) => *leaving,
        });
        counted.sum()
    }
}

/// Counts the accounts that signed up within a span.
pub fn joined_between(conn: &mut Connection, from: Moment, before: Moment) -> QueryResult<i64> {
    users::table
        .filter(users::created_at.ge(from))
        .filter(users::created_at.lt(before))
        .count()
        .get_result(conn)
}

/// Counts those who signed up before that and still wait for their code.
pub fn waiting_since(conn: &mut Connection, before: Moment) -> QueryResult<i64> {
    users::table
        .filter(users::verified_at.is_null())
        .filter(users::created_at.lt(before))
        .filter(users::blocked_at.is_null())
        .count()
        .get_result(conn)
}

/// Counts the accounts. Reads nothing but an index.
pub fn take(conn: &mut Connection) -> QueryResult<Census> {
    let mut counts = Vec::new();
    for role in Role::ALL {
        let of_role = users::table.filter(users::role.eq(role));
        let all: i64 = of_role.count().get_result(conn)?;
        let blocked: i64 = of_role.filter(users::blocked_at.is_not_null()).count().get_result(conn)?;
        let unblocked = of_role.filter(users::blocked_at.is_null());
        let unverified: i64 = unblocked.filter(users::verified_at.is_null()).count().get_result(conn)?;
        let verified = unblocked.filter(users::verified_at.is_not_null());
        let leaving: i64 = verified.filter(users::leaves_at.is_not_null()).count().get_result(conn)?;
        counts.push((role, [all - blocked - unverified - leaving, unverified, blocked, leaving]));
    }
    Ok(Census(counts))
}
