//! For load balancers and supervisors: is the process alive, and should it get requests?

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};

use crate::app::App;
use crate::paths::service::{HEALTHZ, READYZ};
use crate::web::routes;

const TEXT: &str = "text/plain; charset=utf-8";
const AGAIN: (&str, &str) = ("Retry-After", "5");

/// Registers the health checks, which stand outside of sessions, hosts and limits.
pub fn routes(config: &mut ServiceConfig) {
    config.service(routes::page(HEALTHZ, alive)).service(routes::page(READYZ, ready));
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(app: Data<App>) -> HttpResponse {
    if app.shutdown.has_begun() {
        return HttpResponse::ServiceUnavailable().insert_header(AGAIN).content_type(TEXT).body("stopping\n");
    }
    if let Err(error) = app.db.ping().await {
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
