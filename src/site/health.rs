//! For load balancers and supervisors: is the process alive, and should it get requests?

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use actix_web::HttpResponse;

use crate::app::App;
use crate::db;
use crate::identity::Id;
use crate::paths::route;
use crate::records::users;
use crate::web::routes;

/// Outside of sessions, hosts and limits.
pub fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::HEALTHZ, alive)).service(routes::page(route::READYZ, ready));
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(app: Data<App>) -> HttpResponse {
    if app.bell.is_stopping() {
        return HttpResponse::ServiceUnavailable().body("stopping\n");
    }
    let probe = Id::from_stored(String::new());
    if let Err(error) = app.db.read(move |conn| Ok::<_, db::Error>(users::by_id(conn, &probe)?)).await {
        log::warn!("not ready: {error}");
        return HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "5")).body("no database\n");
    }
    HttpResponse::Ok().body(if redis_answers(&app).await { "ok\n" } else { "degraded: redis\n" })
}

async fn redis_answers(app: &App) -> bool {
    let Some(redis) = &app.redis else { return true };
    let ping = redis.run(async |mut conn| redis::cmd("PING").query_async::<String>(&mut conn).await);
    matches!(tokio::time::timeout(Duration::from_secs(1), ping).await, Ok(Ok(_)))
}
