//! A handler that does what `/forward-auth` needs and nothing else: hashes the cookie, reads the row that decides, together with the
//! session and the account, and answers five headers. On SQLite on the worker's own connection, else in a pool of blocking threads.

use std::cell::RefCell;

use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use latchkey::db::schema::{app_sessions, sessions, users};
use sha2::{Digest, Sha256};
use time::PrimitiveDateTime;

/// What decides, and what is told.
#[derive(Queryable)]
struct Row {
    host: String,
    app_ended: Option<PrimitiveDateTime>,
    ended: Option<PrimitiveDateTime>,
    idle_ends: PrimitiveDateTime,
    absolute_ends: PrimitiveDateTime,
    _last_seen: PrimitiveDateTime,
    _confirmed: PrimitiveDateTime,
    verified: Option<PrimitiveDateTime>,
    blocked: Option<PrimitiveDateTime>,
    leaves: Option<PrimitiveDateTime>,
    id: String,
    username: String,
    email: Option<String>,
    full_name: String,
    role: String,
}

macro_rules! row_of {
    ($conn:expr, $digest:expr) => {
        app_sessions::table
            .inner_join(sessions::table)
            .inner_join(users::table)
            .filter(app_sessions::token_digest.eq($digest))
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
            ))
            .get_result::<Row>($conn)
            .optional()
            .expect("a database")
    };
}

/// Serves at that port until it is killed.
pub fn serve(url: &str, port: u16) {
    let url = url.to_owned();
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new({
            let url = url.clone();
            let postgres = url.starts_with("postgres").then(|| pool::<PgConnection>(&url));
            let mysql = url.starts_with("mysql").then(|| pool::<diesel::MysqlConnection>(&url));
            move || {
                let app = App::new().app_data(Data::new(url.clone()));
                let app = match (&postgres, &mysql) {
                    (Some(pool), _) => app.app_data(Data::new(pool.clone())),
                    (_, Some(pool)) => app.app_data(Data::new(pool.clone())),
                    (None, None) => app,
                };
                let route = match url.split_once("://").map(|(scheme, _)| scheme) {
                    Some("sqlite") => web::to(on_sqlite),
                    Some("mysql") => web::to(on_mysql),
                    _ => web::to(on_postgres),
                };
                app.default_service(route)
            }
        });
        let server = server.tcp_nodelay(true).worker_max_blocking_threads(2);
        server.bind(("127.0.0.1", port)).expect("a port").run().await.expect("it serves");
    });
}

fn pool<C: diesel::r2d2::R2D2Connection + 'static>(url: &str) -> Pool<ConnectionManager<C>> {
    Pool::builder().max_size(6).test_on_check_out(false).build(ConnectionManager::new(url)).expect("a pool")
}

async fn on_sqlite(url: Data<String>, req: HttpRequest) -> HttpResponse {
    thread_local!(static CONNECTION: RefCell<Option<SqliteConnection>> = const { RefCell::new(None) });
    let Some(digest) = digest(&req) else { return HttpResponse::Unauthorized().finish() };
    let row = CONNECTION.with_borrow_mut(|connection| {
        let connection = connection.get_or_insert_with(|| {
            let file = url.strip_prefix("sqlite://").expect("a file");
            let mut connection = SqliteConnection::establish(file).expect("a database");
            connection.batch_execute("PRAGMA journal_mode = WAL").expect("a database");
            connection
        });
        row_of!(connection, &digest)
    });
    answer(row)
}

async fn on_postgres(pool: Data<Pool<ConnectionManager<PgConnection>>>, req: HttpRequest) -> HttpResponse {
    let Some(digest) = digest(&req) else { return HttpResponse::Unauthorized().finish() };
    let row = web::block(move || row_of!(&mut pool.get().expect("a connection"), &digest)).await;
    answer(row.expect("an answer"))
}

async fn on_mysql(
    pool: Data<Pool<ConnectionManager<diesel::MysqlConnection>>>,
    req: HttpRequest,
) -> HttpResponse {
    let Some(digest) = digest(&req) else { return HttpResponse::Unauthorized().finish() };
    let row = web::block(move || row_of!(&mut pool.get().expect("a connection"), &digest)).await;
    answer(row.expect("an answer"))
}

fn digest(req: &HttpRequest) -> Option<String> {
    let line = req.headers().get("cookie")?.to_str().ok()?;
    let token = line.split(';').find_map(|pair| pair.trim().strip_prefix("__Host-latchkey-app="))?;
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(URL_SAFE_NO_PAD.decode(token).ok()?)))
}

fn answer(row: Option<Row>) -> HttpResponse {
    let now = time::OffsetDateTime::now_utc();
    let now = PrimitiveDateTime::new(now.date(), now.time());
    let is_fine = |row: &Row| {
        row.host == "wiki.example.org"
            && row.role == "user"
            && row.app_ended.is_none()
            && row.ended.is_none()
            && now < row.idle_ends
            && now < row.absolute_ends
            && row.verified.is_some()
            && row.blocked.is_none()
            && row.leaves.is_none()
    };
    let Some(row) = row.filter(is_fine) else { return HttpResponse::Unauthorized().finish() };
    let name = if row.full_name.is_empty() { &row.username } else { &row.full_name };
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Vary", "Cookie"))
        .insert_header(("Remote-User", row.username.as_str()))
        .insert_header(("Remote-Id", row.id.as_str()))
        .insert_header(("Remote-Email", row.email.as_deref().unwrap_or_default()))
        .insert_header(("Remote-Name", name.as_str()))
        .insert_header(("Remote-Groups", row.role.as_str()))
        .finish()
}
