//! What a proxy says of a request that somebody sent to an application: read from exactly one header each, in exactly one spelling, and
//! from nothing else.

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT, HOST, HeaderMap, HeaderName, SEC_WEBSOCKET_KEY, UPGRADE};
use actix_web::http::uri::PathAndQuery;

use crate::config::{AppPage, Application, ticket_in};
use crate::identity::LinkToken;
use crate::paths::service::FORWARD_AUTH_ENVOY;
use crate::web::cookies;

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The cookie on the host of each application. With this prefix a browser takes it only over TLS and from that very host.
pub const COOKIE_NAME: &str = "__Host-latchkey-app";

/// Who somebody is, for the application: username, identifier, email address, name and role.
pub const REMOTE: [HeaderName; 5] = [
    HeaderName::from_static("remote-user"),
    HeaderName::from_static("remote-id"),
    HeaderName::from_static("remote-email"),
    HeaderName::from_static("remote-name"),
    HeaderName::from_static("remote-groups"),
];

/// In which way a proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Caddy, `HAProxy`, Traefik, Apache.
    Usual,
    /// It understands 2xx, 401 and 403, and leads nobody anywhere by itself.
    Nginx,
    /// It sends the request itself, below our path.
    Envoy,
}

/// Whether what was asked for only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// HEAD, too.
    Get,
    Other,
}

/// A request that somebody sent to an application.
pub struct ForwardedRequest<'a> {
    pub proxy: Proxy,
    pub method: Method,
    pub host: &'a str,
    /// Path and query, as they came.
    path: &'a str,
    /// The application's cookie, if there is exactly one in its form.
    pub cookie: Option<LinkToken>,
    /// Whether a person goes there, and not a part of a page.
    pub is_navigation: bool,
    /// The proxy's own request.
    pub req: &'a HttpRequest,
}

impl<'a> ForwardedRequest<'a> {
    /// Reads what a proxy asks.
    ///
    /// # Errors
    /// What is missing, there twice, or in a form that no browser sends.
    pub fn of(proxy: Proxy, req: &'a HttpRequest) -> Result<Self, &'static str> {
        let headers = req.headers();
        refuse_look_alikes(headers)?;
        let (method, scheme, host, path) = match proxy {
            Proxy::Usual => (
                text(one(headers, &METHOD)?)?,
                text(one(headers, &PROTO)?)?,
                text(one(headers, &FORWARDED_HOST)?)?,
                path(one(headers, &URI)?),
            ),
            Proxy::Nginx => {
                let (scheme, host, path) = parts(one(headers, &ORIGINAL_URL)?)?;
                (text(one(headers, &ORIGINAL_METHOD)?)?, scheme, host, path)
            }
            Proxy::Envoy => (
                req.method().as_str(),
                text(one(headers, &PROTO)?)?,
                text(one(headers, &HOST)?)?,
                path_below(req)?,
            ),
        };
        if scheme != "https" {
            return Err("the request didn't come over https");
        }
        if !path.starts_with('/') {
            return Err("the path doesn't start with /");
        }
        let is_navigation = is_navigation(headers)?;
        Ok(Self {
            proxy,
            method: if matches!(method, "GET" | "HEAD") { Method::Get } else { Method::Other },
            host,
            path,
            cookie: cookie(headers),
            is_navigation,
            req,
        })
    }

    /// The ticket in the query of a request that only reads.
    pub fn ticket(&self) -> Option<&str> {
        ticket_in(self.path).filter(|_| self.method == Method::Get)
    }

    /// Where that was, without a ticket; the start page where the way back could be misread.
    pub fn page<'b>(&self, application: &'b Application) -> AppPage<'b> {
        AppPage::new(application, self.path).unwrap_or_else(|| AppPage::start(application))
    }
}

/// The value of a header that is there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a [u8], &'static str> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        (None, _) => Err(
            "the proxy must send X-Forwarded-Method, -Proto, -Host and -Uri (nginx: X-Original-Method and X-Original-URL)",
        ),
        (Some(_), Some(_)) => Err("a header was sent twice"),
    }
}

/// What decides is text, or nothing.
fn text(value: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(value).map_err(|_| "a header isn't UTF-8")
}

/// A path may be in any bytes: it decides nothing, and what is no text only loses the way back.
fn path(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or("/")
}

/// Scheme, host and path of a URL.
fn parts(url: &[u8]) -> Result<(&str, &str, &str), &'static str> {
    let (scheme, rest) = match url.strip_prefix(b"https://") {
        Some(rest) => ("https", rest),
        None => ("", url),
    };
    let end = rest.iter().position(|byte| *byte == b'/').ok_or("X-Original-URL has no path")?;
    let (host, behind) = rest.split_at(end);
    Ok((scheme, text(host)?, path(behind)))
}

/// What stands behind our own path, byte for byte.
fn path_below(req: &HttpRequest) -> Result<&str, &'static str> {
    let prefix = FORWARD_AUTH_ENVOY.pattern().split('{').next().unwrap_or_default().trim_end_matches('/');
    let asked = req.uri().path_and_query().map(PathAndQuery::as_str);
    asked
        .and_then(|asked| asked.strip_prefix(prefix))
        .ok_or("the path doesn't start with /forward-auth/envoy")
}

/// CGI, WSGI and PHP read `Remote_User` and `Remote.User` as `Remote-User`. No browser sends them; whoever does wants a proxy that
/// forgets them to hand them on.
fn refuse_look_alikes(headers: &HeaderMap) -> Result<(), &'static str> {
    let is_look_alike = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("remote") && name.contains(['_', '.']) && {
            let meant = name.replace(['_', '.'], "-");
            REMOTE.iter().any(|ours| ours.as_str() == meant)
        }
    };
    if headers.keys().any(is_look_alike) {
        Err("a header imitates Remote-… (for example Remote_User)")
    } else {
        Ok(())
    }
}

/// The application's cookie. Of one that comes twice, one was planted: neither counts.
fn cookie(headers: &HeaderMap) -> Option<LinkToken> {
    let mut ours = cookies::pairs(headers).filter(|(name, _)| *name == COOKIE_NAME);
    let (_, pair) = ours.next().filter(|_| ours.next().is_none())?;
    LinkToken::parse(pair.split_once('=')?.1.trim_matches([' ', '\t']))
}

/// What a browser says (Fetch Metadata); of one that says nothing, whether it wants a page.
fn is_navigation(headers: &HeaderMap) -> Result<bool, &'static str> {
    if headers.contains_key(&FETCH_MODE) {
        return Ok(one(headers, &FETCH_MODE)? == b"navigate");
    }
    let wants_page = headers
        .get_all(ACCEPT)
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html")));
    // Some proxies keep Upgrade to themselves, and show what else a websocket begins with.
    let is_of_script =
        [&UPGRADE, &SEC_WEBSOCKET_KEY, &REQUESTED_WITH].iter().any(|name| headers.contains_key(*name));
    Ok(wants_page && !is_of_script)
}
