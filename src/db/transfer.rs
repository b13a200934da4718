//! A whole database, copied to another one of any kind: row by row, in batches, in one transaction of the target.

use diesel::prelude::*;

use super::Connection;
use super::schema;
use crate::identity::Moment;

const BATCH: i64 = 500;

/// How many rows of a table were copied.
pub type Copied = (&'static str, i64);

/// Each table in full, and how the rows after a given one are found. Referenced tables come first.
macro_rules! transfer {
    ($($table:ident after |$last:ident| $after:expr; order $order:expr; { $($column:ident: $type:ty),+ })+) => {
        $(mod $table {
            use super::*;
            use super::schema::$table;

            #[derive(Queryable, Selectable, Insertable)]
            #[diesel(table_name = $table)]
            struct Row { $($column: $type),+ }

            pub(super) fn count(conn: &mut Connection) -> QueryResult<i64> {
                $table::table.count().get_result(conn)
            }

            pub(super) fn copy(from: &mut Connection, to: &mut Connection) -> QueryResult<i64> {
                let mut copied = 0;
                let mut $last: Option<Row> = None;
                loop {
                    let mut next = $table::table.order($order).limit(BATCH).select(Row::as_select()).into_boxed();
                    if let Some($last) = &$last {
                        next = next.filter($after);
                    }
                    let rows: Vec<Row> = next.load(from)?;
                    for row in &rows {
                        copied += 1;
                        insert(row, to)?;
                    }
                    match rows.into_iter().next_back() {
                        Some(row) => $last = Some(row),
                        None => return Ok(copied),
                    }
                }
            }

            fn insert(row: &Row, to: &mut Connection) -> QueryResult<()> {
                diesel::insert_into($table::table).values(($($table::$column.eq(&row.$column),)+)).execute(to).map(drop)
            }
        })+

        /// Copies every table; tells how many rows each had. The caller's transaction keeps all of it or nothing.
        pub(super) fn copy_all(from: &mut Connection, to: &mut Connection) -> QueryResult<Vec<Copied>> {
            Ok(vec![$((stringify!($table), $table::copy(from, to)?)),+])
        }

        /// How many rows each table has.
        pub(super) fn count_all(conn: &mut Connection) -> QueryResult<Vec<Copied>> {
            Ok(vec![$((stringify!($table), $table::count(conn)?)),+])
        }
    };
}

transfer! {
    users after |last| users::id.gt(last.id.clone()); order users::id; {
        id: String, username: String, username_canon: String, email: Option<String>, email_canon: Option<String>, password_hash: String, role: String, verified_at: Option<Moment>, blocked_at: Option<Moment>, blocked_reason: Option<String>, full_name: String, phone: String, about: String, picture: Option<String>, created_at: Moment, password_changed_at: Moment, full_name_canon: String
    }
    verifications after |last| verifications::id.gt(last.id.clone()); order verifications::id; {
        id: String, user_id: String, purpose: String, address: String, claim: Option<String>, code_digest: Option<String>, code_expires_at: Moment, tries: i32, next_path: String, created_at: Moment, ended_at: Option<Moment>
    }
    links after |last| links::id.gt(last.id.clone()); order links::id; {
        id: String, user_id: String, purpose: String, token_digest: String, address: String, created_at: Moment, expires_at: Moment, used_at: Option<Moment>, revoked_at: Option<Moment>
    }
    sign_ins after |last| sign_ins::id.gt(last.id.clone()); order sign_ins::id; {
        id: String, user_id: String, kind: String, generation: i32, device: String, address: String, created_at: Moment, last_seen_at: Moment, confirmed_at: Moment, idle_ends_at: Moment, absolute_ends_at: Moment, ended_at: Option<Moment>
    }
    events after |last| events::id.gt(last.id.clone()); order events::id; {
        id: String, at: Moment, kind: String, user_id: Option<String>, address: String, detail: String, actor_id: Option<String>, was: String, became: String
    }
    outbox after |last| outbox::id.gt(last.id.clone()); order outbox::id; {
        id: String, kind: String, user_id: Option<String>, recipient: String, fields: String, secret: Option<String>, state: String, tries: i32, created_at: Moment, due_at: Moment, expires_at: Option<Moment>, ended_at: Option<Moment>, trouble: Option<String>
    }
    mail_budgets after |last| mail_budgets::address.gt(last.address.clone()).or(mail_budgets::address.eq(last.address.clone()).and(mail_budgets::kind.gt(last.kind.clone()))); order (mail_budgets::address, mail_budgets::kind); {
        address: String, kind: String, recent: String, touched_at: Moment
    }
}
