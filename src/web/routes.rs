//! The three shapes of a route: a page, a page with a form, an act. Each answers HEAD where it answers GET,
//! 405 with `Allow` otherwise, and a path without its last slash leads to the right one.

use std::collections::BTreeMap;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::guard::{self, Guard};
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, Scope, web};

use super::errors::{HttpError, Redirect};
use crate::identity::Role;
use crate::paths;

/// Something at a path, for the router.
pub enum Page {
    /// At one path, or at one for each word that may stand in its only hole.
    Plain(Vec<Resource>),
    /// Behind a beginning, at whatever fills the holes.
    Pattern(&'static str, Resource),
}

/// The role in the address of a page for one kind of account.
pub struct RoleInPath(pub Role);

impl FromRequest for RoleInPath {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        // As the router sees it.
        let word = req.match_info().as_str().trim_end_matches('/').rsplit('/').next();
        ready(word.and_then(Role::parse).map(Self).ok_or(HttpError::NotFound))
    }
}

/// All pages on their way to the router, which tries one after the other. Those whose path has no holes come first, since a text is
/// compared in no time and a pattern is not, in the order in which they are added; the others in a scope for each beginning, so that only
/// those with the same one are tried.
#[derive(Default)]
pub struct Pages {
    plain: Vec<Resource>,
    scopes: BTreeMap<&'static str, Vec<Resource>>,
}

/// A page that only shows something.
pub fn page<const N: usize, F, Args>(path: paths::Route<N>, get: F) -> Page
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Page::at(path, move |at| at.route(reading().to(get.clone())), "GET, HEAD")
}

/// A page with a form that is sent to its own address.
pub fn form<const N: usize, F, G, A, B>(path: paths::Route<N>, get: F, post: G) -> Page
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<B>,
    B: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    Page::at(
        path,
        move |at| at.route(reading().to(get.clone())).route(web::post().to(post.clone())),
        "GET, HEAD, POST",
    )
}

/// What front ends of other origins may read: they ask first, by OPTIONS.
pub fn shared<const N: usize, F, G, A, B>(path: paths::Route<N>, get: F, preflight: G) -> Page
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<B>,
    B: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    let asking = move || web::method(Method::OPTIONS).to(preflight.clone());
    Page::at(path, move |at| at.route(reading().to(get.clone())).route(asking()), "GET, HEAD, OPTIONS")
}

/// Something that is only done, by a form on another page: whoever comes here by a reload or a bookmark is led to that page.
pub fn act<const N: usize, const M: usize, F, Args>(
    path: paths::Route<N>,
    owner: paths::Route<M>,
    post: F,
) -> Page
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let lead = move |req: HttpRequest| {
        let path = owner.fill(|hole| req.match_info().get(hole).unwrap_or_default().to_owned());
        // What fills a hole came decoded: nothing but words may stand in a header again.
        let led = if is_plain(&path) { Redirect::Elsewhere(path).into() } else { HttpError::NotFound };
        ready(Err::<&str, HttpError>(led))
    };
    Page::at(
        path,
        move |at| at.route(reading().to(lead)).route(web::post().to(post.clone())),
        "GET, HEAD, POST",
    )
}

fn reading() -> Route {
    web::route().guard(get_or_head())
}

fn get_or_head() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

impl Page {
    fn at<const N: usize>(
        path: paths::Route<N>,
        routes: impl Fn(Resource) -> Resource,
        methods: &'static str,
    ) -> Self {
        let refuse = move || ready(Err::<&str, _>(HttpError::NotAllowed(methods)));
        let resource = |path: &str| routes(web::resource(path)).default_service(web::to(refuse));
        if let Some(paths) = path.all() {
            Self::Plain(paths.iter().map(|path| resource(path)).collect())
        } else {
            let (prefix, pattern) = path.split();
            Self::Pattern(prefix, resource(pattern))
        }
    }
}

impl Pages {
    /// Adds a page.
    pub fn service(&mut self, page: Page) -> &mut Self {
        match page {
            Page::Plain(resources) => self.plain.extend(resources),
            Page::Pattern(prefix, resource) => self.scopes.entry(prefix).or_default().push(resource),
        }
        self
    }

    /// Hands all of them over.
    pub fn register(self, config: &mut ServiceConfig) {
        for page in self.plain {
            config.service(page);
        }
        // A beginning that is the beginning of another one comes after it.
        for (prefix, pages) in self.scopes.into_iter().rev() {
            let scope = web::scope(prefix).default_service(web::to(nowhere));
            config.service(pages.into_iter().fold(scope, Scope::service));
        }
    }
}

/// Answers everything that no route matches. A path that only lacks its last slash is led to the right one.
///
/// # Errors
/// Always.
pub async fn nowhere(req: HttpRequest) -> Result<&'static str, HttpError> {
    let slashed = format!("{}/", req.path());
    if is_plain(&slashed) && req.resource_map().has_resource(&slashed) {
        let query = Some(req.query_string()).filter(|query| query.bytes().all(|c| c.is_ascii_graphic()));
        let query = query.filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
        Err(Redirect::Moved(slashed + &query.unwrap_or_default()).into())
    } else {
        Err(HttpError::NotFound)
    }
}

/// Whether a path is made of nothing but words and single slashes, so that it can be nothing but a page of ours.
pub fn is_plain(path: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let inside = path.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    path == "/" || inside.is_some_and(|words| words.split('/').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_led_anywhere() {
        assert!(is_plain("/user-profile/") && is_plain("/auth/sign-in/user/"));
        for path in
            ["//evil.example/", "/\\evil.example/", "/auth/%0d%0a/", "/x.css/", "/../", "///", "//", "a/"]
        {
            assert!(!is_plain(path), "{path}");
        }
    }
}
