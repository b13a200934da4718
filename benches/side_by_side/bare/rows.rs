//! The rows that the pages need, with no column more.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use actix_web::web;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use latchkey::db::schema::{app_sessions, sessions, users, verifications};
use time::PrimitiveDateTime;

/// Who is looking at a page, and the address that waits for its code.
#[derive(Queryable)]
pub struct Visit {
    pub generation: i32,
    pub ended: Option<PrimitiveDateTime>,
    pub idle_ends: PrimitiveDateTime,
    pub absolute_ends: PrimitiveDateTime,
    pub verified: Option<PrimitiveDateTime>,
    pub blocked: Option<PrimitiveDateTime>,
    pub leaves: Option<PrimitiveDateTime>,
    pub id: String,
    pub username: String,
    pub email: Option<String>,
    pub full_name: String,
    pub role: String,
    pub phone: String,
    pub about: String,
    pub picture: Option<String>,
    pub password_changed: PrimitiveDateTime,
    pub theme: String,
    pub time_zone: String,
    pub pending: Option<String>,
}

/// What decides at an application, and what it is told.
#[derive(Queryable)]
pub struct AtApplication {
    pub host: String,
    pub app_ended: Option<PrimitiveDateTime>,
    pub ended: Option<PrimitiveDateTime>,
    pub idle_ends: PrimitiveDateTime,
    pub absolute_ends: PrimitiveDateTime,
    _last_seen: PrimitiveDateTime,
    _confirmed: Option<PrimitiveDateTime>,
    pub verified: Option<PrimitiveDateTime>,
    pub blocked: Option<PrimitiveDateTime>,
    pub leaves: Option<PrimitiveDateTime>,
    pub id: String,
    pub username: String,
    pub email: Option<String>,
    pub full_name: String,
    pub role: String,
}

/// A row of the people list.
#[derive(Queryable)]
pub struct Person {
    pub id: String,
    pub username: String,
    pub full_name: String,
    pub email: Option<String>,
    pub role: String,
    pub picture: Option<String>,
    pub verified: Option<PrimitiveDateTime>,
    pub blocked: Option<PrimitiveDateTime>,
    pub leaves: Option<PrimitiveDateTime>,
    pub joined: PrimitiveDateTime,
}

/// The people list: fifty people, when they were last seen, and how many there are, as far as that is counted.
pub struct People {
    pub rows: Vec<Person>,
    pub seen: HashMap<String, PrimitiveDateTime>,
    pub count: usize,
}

/// A worker's way to the database.
pub trait Rows: Clone + 'static {
    async fn visit(&self, session: String) -> Option<Visit>;
    async fn at_application(&self, digest: String) -> Option<AtApplication>;
    async fn people(&self) -> People;
}

/// The worker's own connection.
#[derive(Clone)]
pub struct Sqlite(Rc<RefCell<SqliteConnection>>);
#[derive(Clone)]
pub struct Postgres(pub Pool<ConnectionManager<PgConnection>>);
#[derive(Clone)]
pub struct Mysql(pub Pool<ConnectionManager<diesel::MysqlConnection>>);

pub fn pool<C: R2D2Connection + 'static>(url: &str) -> Pool<ConnectionManager<C>> {
    Pool::builder().max_size(6).test_on_check_out(false).build(ConnectionManager::new(url)).expect("a pool")
}

impl Sqlite {
    pub fn open(url: &str) -> Self {
        let file = url.strip_prefix("sqlite://").expect("a file");
        let mut connection = SqliteConnection::establish(file).expect("a database");
        connection.batch_execute("PRAGMA journal_mode = WAL").expect("a database");
        Self(Rc::new(RefCell::new(connection)))
    }

    #[expect(clippy::unused_async, reason = "as the others")]
    async fn run<T>(&self, query: impl FnOnce(&mut SqliteConnection) -> T) -> T {
        query(&mut self.0.borrow_mut())
    }
}

macro_rules! blocking {
    ($($type:ident over $connection:ty),+) => {
        $(impl $type {
            async fn run<T: Send + 'static>(
                &self,
                query: impl FnOnce(&mut $connection) -> T + Send + 'static,
            ) -> T {
                let pool = self.0.clone();
                web::block(move || query(&mut pool.get().expect("a connection"))).await.expect("an answer")
            }
        })+
    };
}
blocking!(Postgres over PgConnection, Mysql over diesel::MysqlConnection);

macro_rules! rows {
    ($($type:ident),+) => {
        $(impl Rows for $type {
            async fn visit(&self, session: String) -> Option<Visit> {
                let is_pending = verifications::user_id
                    .eq(users::id.nullable())
                    .and(verifications::purpose.eq("change-email"))
                    .and(verifications::ended_at.is_null());
                let query = sessions::table
                    .inner_join(users::table)
                    .left_join(verifications::table.on(is_pending))
                    .filter(sessions::id.eq(session))
                    .select((
                        (
                            sessions::generation,
                            sessions::ended_at,
                            sessions::idle_ends_at,
                            sessions::absolute_ends_at,
                            users::verified_at,
                            users::blocked_at,
                            users::leaves_at,
                            users::id,
                            users::username,
                            users::email,
                            users::full_name,
                            users::role,
                            users::phone,
                            users::about,
                            users::picture,
                            users::password_changed_at,
                            users::theme,
                            users::time_zone,
                            verifications::email.nullable(),
                        ),
                    ));
                self.run(move |conn| query.get_result::<(Visit,)>(conn).optional().expect("a database"))
                    .await
                    .map(|(visit,)| visit)
            }

            async fn at_application(&self, digest: String) -> Option<AtApplication> {
                let query = app_sessions::table
                    .inner_join(sessions::table)
                    .inner_join(users::table)
                    .filter(app_sessions::token_digest.eq(digest))
                    .select((
                        app_sessions::host,
                        app_sessions::ended_at,
                        sessions::ended_at,
                        sessions::idle_ends_at,
                        sessions::absolute_ends_at,
                        sessions::last_seen_at,
                        sessions::confirmed_at,
                        users::verified_at,
                        users::blocked_at,
                        users::leaves_at,
                        users::id,
                        users::username,
                        users::email,
                        users::full_name,
                        users::role,
                    ));
                self.run(move |conn| query.get_result(conn).optional().expect("a database")).await
            }

            async fn people(&self) -> People {
                self.run(|conn| {
                    let rows: Vec<Person> = users::table
                        .order((users::created_at.desc(), users::id.desc()))
                        .limit(51)
                        .select((
                            users::id,
                            users::username,
                            users::full_name,
                            users::email,
                            users::role,
                            users::picture,
                            users::verified_at,
                            users::blocked_at,
                            users::leaves_at,
                            users::created_at,
                        ))
                        .load(conn)
                        .expect("a database");
                    let ids: Vec<&str> = rows.iter().map(|person| person.id.as_str()).collect();
                    let seen: Vec<(String, Option<PrimitiveDateTime>)> = sessions::table
                        .filter(sessions::user_id.eq_any(ids))
                        .group_by(sessions::user_id)
                        .select((sessions::user_id, diesel::dsl::max(sessions::last_seen_at)))
                        .load(conn)
                        .expect("a database");
                    let seen = seen.into_iter().filter_map(|(id, at)| Some((id, at?))).collect();
                    let one = diesel::dsl::sql::<diesel::sql_types::Integer>("1");
                    let all: Vec<i32> =
                        users::table.select(one).limit(10_001).load(conn).expect("a database");
                    People { rows, seen, count: all.len() }
                })
                .await
            }
        })+
    };
}
rows!(Sqlite, Postgres, Mysql);
