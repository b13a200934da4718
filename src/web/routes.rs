//! The three shapes of a route: a page, a page with a form, an act. Each answers HEAD where it answers GET,
//! 405 with `Allow` otherwise, and one address without its last slash leads to the right one.

use std::sync::LazyLock;

use actix_web::dev::{HttpServiceFactory, Path, ResourceDef};
use actix_web::guard::{self, Guard};
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, web};

use super::fault::Fault;
use crate::app::App;
use crate::paths::route;

/// A page that only shows something.
pub fn page<F, Args>(path: &'static str, get: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    otherwise(web::resource(path).route(reading().to(get)), "GET, HEAD")
}

/// A page with a form that is sent to its own address.
pub fn form<F, G, A, B>(path: &'static str, get: F, post: G) -> impl HttpServiceFactory + 'static
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<B>,
    B: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    otherwise(web::resource(path).route(reading().to(get)).route(web::post().to(post)), "GET, HEAD, POST")
}

/// Something that is only done, by a form on another page.
pub fn act<F, Args>(path: &'static str, post: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    otherwise(web::resource(path).route(web::post().to(post)), "POST")
}

fn reading() -> Route {
    web::route().guard(get_or_head())
}

fn get_or_head() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

fn otherwise(resource: Resource, methods: &'static str) -> Resource {
    resource.default_service(web::to(move || std::future::ready(Err::<&str, _>(Fault::NotAllowed(methods)))))
}

/// Everything that no route matches. An address that only lacks its last slash is led to the right one, which
/// is built from the route and never from what was asked.
///
/// # Errors
/// Always.
pub async fn nowhere(req: HttpRequest) -> Result<&'static str, Fault> {
    let debug = App::of(&req)?.config.debug;
    let found = slashed(req.path()).filter(|path| debug || !path.starts_with(route::DEV_MAILS));
    Err(found.map_or(Fault::NotFound, Fault::Moved))
}

fn slashed(path: &str) -> Option<String> {
    static ROUTES: LazyLock<Vec<ResourceDef>> =
        LazyLock::new(|| route::ALL.iter().map(|pattern| ResourceDef::new(*pattern)).collect());
    let asked = format!("{path}/");
    let route = ROUTES.iter().find(|route| route.is_match(&asked))?;
    let mut matched = Path::new(asked.as_str());
    route.capture_match_info(&mut matched);
    let values: Vec<&str> = matched.iter().map(|(_, value)| value).collect();
    let plain = |value: &&str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let mut built = String::new();
    (values.iter().all(plain) && route.resource_path_from_iter(&mut built, &values)).then_some(built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_slash_is_found_again() {
        assert_eq!(slashed("/user-profile").as_deref(), Some("/user-profile/"));
        assert_eq!(slashed("/auth/sign-in/user").as_deref(), Some("/auth/sign-in/user/"));
        for path in [
            "/nowhere",
            "//evil.example",
            "/\\evil.example",
            "/auth/sign-in/%0d%0a",
            "/user-profile/x.css",
            "//",
        ] {
            assert_eq!(slashed(path), None, "{path}");
        }
    }
}
