//! The bare page: for each page of ours a handler that does the work which that page needs, in the fastest way known, and nothing
//! else. It asks the same rows, opens the same cookie, draws a page of the same words and answers the same headers. On SQLite it reads
//! on the worker's own connection, else in a pool of few blocking threads.

mod handlers;
mod rows;
mod sessions;

use std::collections::HashMap;

use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use latchkey::keys::Keys;
use secrecy::SecretString;

use rows::{Mysql, Postgres, Sqlite, pool};
use sessions::Sessions;

/// What the program under measurement was given, by the same names.
pub struct Settings(pub HashMap<String, String>);

impl Settings {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Serves until it is killed.
pub fn serve(settings: &Settings, port: u16) {
    let url = settings.get("DATABASE_URL").expect("a database").to_owned();
    let redis = settings.get("REDIS_URL").map(|url| {
        let prefix = settings.get("REDIS_KEY_PREFIX").expect("a prefix");
        (redis::Client::open(url).expect("a Redis"), prefix.to_owned())
    });
    let keys = Keys::derive(&[SecretString::from("k".repeat(64))]);
    let port = ("127.0.0.1", port);
    actix_web::rt::System::new().block_on(async move {
        let postgres = url.starts_with("postgres").then(|| pool::<diesel::PgConnection>(&url));
        let mysql = url.starts_with("mysql").then(|| pool::<diesel::MysqlConnection>(&url));
        let server = HttpServer::new(move || {
            let sessions = Data::new(Sessions::new(keys.session.clone(), redis.clone()));
            let app = App::new().app_data(sessions);
            match (&postgres, &mysql) {
                (Some(pool), _) => app.configure(|app| handlers::routes(app, Postgres(pool.clone()))),
                (_, Some(pool)) => app.configure(|app| handlers::routes(app, Mysql(pool.clone()))),
                (None, None) => app.configure(|app| handlers::routes(app, Sqlite::open(&url))),
            }
            .default_service(web::to(actix_web::HttpResponse::NotFound))
        });
        let server = server.tcp_nodelay(true).worker_max_blocking_threads(2);
        server.bind(port).expect("a port").run().await.expect("it serves");
    });
}
