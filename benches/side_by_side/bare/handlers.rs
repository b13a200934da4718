//! The pages.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::rows::{AtApplication, People, Person, Rows, Visit};
use super::sessions::Sessions;

pub fn routes<R: Rows>(app: &mut ServiceConfig, rows: R) {
    app.app_data(Data::new(rows))
        .route("/user-profile/", web::get().to(profile::<R>))
        .route("/admin/users/", web::get().to(people::<R>))
        .route("/user-profile/picture/{name}/", web::get().to(picture::<R>))
        .route("/auth/sign-in/user/", web::get().to(sign_in))
        .route("/static/site.css", web::get().to(stylesheet))
        .route("/forward-auth", web::get().to(forward_auth::<R>));
}

#[derive(Template)]
#[template(path = "../benches/side_by_side/bare/profile.html")]
struct Profile {
    visit: Visit,
}

impl Profile {
    fn name(&self) -> &str {
        if self.visit.full_name.is_empty() { &self.visit.username } else { &self.visit.full_name }
    }
}

async fn profile<R: Rows>(rows: Data<R>, sessions: Data<Sessions>, req: HttpRequest) -> HttpResponse {
    match visit(rows.get_ref(), &sessions, &req).await {
        Some(visit) => page(Profile { visit }.render()),
        None => HttpResponse::Unauthorized().finish(),
    }
}

#[derive(Template)]
#[template(path = "../benches/side_by_side/bare/people.html")]
struct PeopleList {
    people: People,
    visit: Visit,
}

impl PeopleList {
    fn status(person: &Person) -> &'static str {
        match (person.blocked, person.verified, person.leaves) {
            (Some(_), ..) => "Blocked",
            (None, None, _) => "Unverified",
            (None, Some(_), Some(_)) => "Leaving",
            (None, Some(_), None) => "Active",
        }
    }
}

async fn people<R: Rows>(rows: Data<R>, sessions: Data<Sessions>, req: HttpRequest) -> HttpResponse {
    match visit(rows.get_ref(), &sessions, &req).await.filter(|visit| visit.role == "superuser") {
        Some(visit) => page(PeopleList { people: rows.people().await, visit }.render()),
        None => HttpResponse::Unauthorized().finish(),
    }
}

async fn picture<R: Rows>(
    rows: Data<R>,
    sessions: Data<Sessions>,
    req: HttpRequest,
    name: Path<String>,
) -> HttpResponse {
    let visit = visit(rows.get_ref(), &sessions, &req).await;
    if visit.and_then(|visit| visit.picture).as_ref() != Some(&*name) {
        return HttpResponse::NotFound().finish();
    }
    match std::fs::read(format!("media/{name}.jpg")) {
        Ok(jpeg) => headers(HttpResponse::Ok().insert_header((CONTENT_TYPE, "image/jpeg"))).body(jpeg),
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

#[derive(Template)]
#[template(path = "../benches/side_by_side/bare/sign_in.html")]
struct SignIn {
    role: &'static str,
}

async fn sign_in() -> HttpResponse {
    page(SignIn { role: "user" }.render())
}

async fn stylesheet() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, "text/css; charset=utf-8")).insert_header((ETAG, "\"site\""));
    headers(&mut answer).body(include_str!("../../../static/site.css"))
}

async fn forward_auth<R: Rows>(rows: Data<R>, req: HttpRequest) -> HttpResponse {
    let Some(digest) = digest(&req) else { return HttpResponse::Unauthorized().finish() };
    let now = now();
    let is_fine = |row: &AtApplication| {
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
    let row = rows.at_application(digest).await.filter(is_fine);
    let Some(row) = row else { return HttpResponse::Unauthorized().finish() };
    let name = if row.full_name.is_empty() { &row.username } else { &row.full_name };
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("Vary", "Cookie"))
        .insert_header(("Remote-User", row.username.as_str()))
        .insert_header(("Remote-Id", row.id.as_str()))
        .insert_header(("Remote-Email", row.email.as_deref().unwrap_or_default()))
        .insert_header(("Remote-Name", name.as_str()))
        .insert_header(("Remote-Groups", row.role.as_str()))
        .finish()
}

fn digest(req: &HttpRequest) -> Option<String> {
    let line = req.headers().get("cookie")?.to_str().ok()?;
    let token = line.split(';').find_map(|pair| pair.trim().strip_prefix("__Host-latchkey-app="))?;
    Some(URL_SAFE_NO_PAD.encode(Sha256::digest(URL_SAFE_NO_PAD.decode(token).ok()?)))
}

async fn visit(rows: &impl Rows, sessions: &Sessions, req: &HttpRequest) -> Option<Visit> {
    let (session, generation) = sessions.of(req).await?;
    let now = now();
    rows.visit(session).await.filter(|row| {
        row.generation == generation
            && row.ended.is_none()
            && now < row.idle_ends
            && now < row.absolute_ends
            && row.verified.is_some()
            && row.blocked.is_none()
            && row.leaves.is_none()
    })
}

fn now() -> PrimitiveDateTime {
    let now = time::OffsetDateTime::now_utc();
    PrimitiveDateTime::new(now.date(), now.time())
}

fn date(at: &PrimitiveDateTime) -> String {
    at.format(format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute] UTC"))
        .expect("a date")
}

fn page(html: askama::Result<String>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
    headers(&mut answer).body(html.expect("a page"))
}

/// Those of every answer of ours.
fn headers(answer: &mut actix_web::HttpResponseBuilder) -> &mut actix_web::HttpResponseBuilder {
    answer
        .insert_header((
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; script-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        ))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "same-origin"))
        .insert_header(("x-frame-options", "DENY"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .insert_header(("x-permitted-cross-domain-policies", "none"))
        .insert_header((
            "permissions-policy",
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
        ))
        .insert_header(("x-request-id", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>())))
}
