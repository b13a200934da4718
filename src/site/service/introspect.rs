//! Who has a cookie, for an application that does not trust headers: it shows the cookie of its own host and a secret of its own, and
//! gets the JSON of `whoami` (in the manner of RFC 7662).

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue, WWW_AUTHENTICATE};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::forward_auth::{self, Denied, Proxy};
use super::whoami::{Somebody, may_be_told};
use crate::app::App;
use crate::config::Application;
use crate::identity::LinkToken;
use crate::paths::service::INTROSPECT;
use crate::records::sessions::{self, Session};
use crate::records::users::User;
use crate::web::{connections, forms};

pub(super) fn routes(config: &mut ServiceConfig) {
    let otherwise =
        web::to(|| async { HttpResponse::MethodNotAllowed().insert_header(("Allow", "POST")).finish() });
    config.service(
        web::resource(INTROSPECT.pattern()).route(web::post().to(introspect)).default_service(otherwise),
    );
}

#[derive(Deserialize)]
struct IntrospectForm {
    token: String,
}

async fn introspect(app: Data<App>, req: HttpRequest, body: Payload) -> HttpResponse {
    let watched = connections::begin(&req);
    let mut answer = answer(&app, &req, body).await;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    connections::end(watched, &answer);
    answer
}

async fn answer(app: &Data<App>, req: &HttpRequest, body: Payload) -> HttpResponse {
    let Some(application) = asking(app, req) else {
        return HttpResponse::Unauthorized().insert_header((WWW_AUTHENTICATE, "Bearer")).finish();
    };
    let form = match forms::body(body.into_inner()).await {
        Ok(body) => forms::decode::<IntrospectForm>(&body),
        Err(error) => Err(error),
    };
    let Ok(form) = form else { return HttpResponse::new(StatusCode::BAD_REQUEST) };
    match whose(app, application, &form.token).await {
        Ok(Some((session, user))) => HttpResponse::Ok().json(Somebody::of(app, &user, &session)),
        Ok(None) => HttpResponse::Ok().json(serde_json::json!({ "signed_in": false })),
        Err(denied) => denied.page(Proxy::Usual, app, req),
    }
}

async fn whose(
    app: &Data<App>,
    application: &Application,
    token: &str,
) -> Result<Option<(Session, User)>, Denied> {
    let Some(token) = LinkToken::parse(token) else { return Ok(None) };
    let Some(session) = forward_auth::whose(app, application, &token).await? else { return Ok(None) };
    let found = app.db.find(move |conn| sessions::by_id(conn, &session)).await?;
    // What is told must be what decides, also where it changed in between.
    Ok(found.filter(|(_, user)| may_be_told(app, user) && application.is_for(user.role)))
}

/// Finds the application whose secret a request shows.
fn asking<'a>(app: &'a App, req: &HttpRequest) -> Option<&'a Application> {
    let mut shown = req.headers().get_all(AUTHORIZATION);
    let shown = shown.next().filter(|_| shown.next().is_none())?.to_str().ok()?;
    let (scheme, secret) = shown.split_once(' ')?;
    let secret = LinkToken::parse(secret.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    let is_of = |application: &&Application| {
        app.keys.all().any(|keys| {
            secret.is_of_application(&keys.application, &application.host, application.secret_number)
        })
    };
    app.config.applications.iter().find(is_of)
}
