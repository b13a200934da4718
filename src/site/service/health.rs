//! For load balancers and supervisors: is the process alive, and should it get requests?

use actix_web::HttpResponse;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::Data;

use crate::app::App;
use crate::paths::service::{HEALTHZ, READYZ};
use crate::readiness::Readiness;
use crate::web::errors::AWAY;
use crate::web::routes::{self, Pages};

const TEXT: &str = "text/plain; charset=utf-8";

/// Registers the health checks, which stand outside of sessions, hosts and limits.
pub fn routes(pages: &mut Pages) {
    pages.service(routes::page(HEALTHZ, alive)).service(routes::page(READYZ, ready));
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(app: Data<App>) -> HttpResponse {
    if app.shutdown.has_begun() {
        return not_ready("stopping\n");
    }
    match app.readiness.look(&app.db, app.redis.as_ref()).await {
        Readiness::Ready => HttpResponse::Ok().content_type(TEXT).body("ok\n"),
        Readiness::NoRedis => HttpResponse::Ok().content_type(TEXT).body("degraded: redis\n"),
        Readiness::NoDatabase => not_ready("no database\n"),
    }
}

fn not_ready(why: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::ServiceUnavailable();
    answer.insert_header((RETRY_AFTER, AWAY.as_secs())).content_type(TEXT).body(why)
}
