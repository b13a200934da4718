//! For load balancers and supervisors: is the process alive, and should it get requests?

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};

use crate::app::App;
use crate::db;
use crate::identity::Id;
use crate::paths::route;
use crate::records::users;
use crate::web::routes;

const TEXT: &str = "text/plain; charset=utf-8";
const AGAIN: (&str, &str) = ("Retry-After", "5");

/// Outside of sessions, hosts and limits.
pub fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(route::HEALTHZ, alive)).service(routes::page(route::READYZ, ready));
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(app: Data<App>) -> HttpResponse {
    if app.bell.is_stopping() {
        return HttpResponse::ServiceUnavailable().insert_header(AGAIN).content_type(TEXT).body("stopping\n");
    }
    let probe = Id::from_stored(String::new());
    if let Err(error) = app.db.read(move |conn| Ok::<_, db::Error>(users::by_id(conn, &probe)?)).await {
        log::warn!("not ready: {error}");
        return HttpResponse::ServiceUnavailable()
            .insert_header(AGAIN)
            .content_type(TEXT)
            .body("no database\n");
    }
    let redis_is_away = match &app.redis {
        Some(redis) => !redis.answers().await,
        None => false,
    };
    HttpResponse::Ok().content_type(TEXT).body(if redis_is_away { "degraded: redis\n" } else { "ok\n" })
}
