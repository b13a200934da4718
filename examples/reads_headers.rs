//! Who is signed in, for an application behind a proxy that asks Latchkey (see docs/applications.md).

use actix_web::rt::System;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

async fn hello(req: HttpRequest) -> HttpResponse {
    // From the bytes: HeaderValue::to_str() is an error for a name that is not ASCII.
    let remote = |name: &str| {
        let value = req.headers().get(name).map_or(&b""[..], |value| value.as_bytes());
        String::from_utf8_lossy(value).into_owned()
    };
    // Store accounts by Remote-Id: usernames change, ids do not.
    if remote("Remote-Id").is_empty() {
        return HttpResponse::Forbidden().body("not through the proxy");
    }
    let [name, user, role] = ["Remote-Name", "Remote-User", "Remote-Groups"].map(remote);
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(format!("Hello, {name} ({user}, {role})"))
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_default();
    let app = || App::new().default_service(web::get().to(hello));
    System::new().block_on(HttpServer::new(app).bind(format!("127.0.0.1:{port}"))?.run())
}
