//! What the log says of a request: one line for each that was refused, with what its operator needs to know, and one for every
//! request for who asks for it (`RUST_LOG=info,access=debug`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web;

use super::client;
use super::errors::HttpError;
use crate::app::App;
use crate::identity::{Zone, random_name};
use crate::language::Language;

/// Carries the name of a request between a proxy, us and the log.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most proxies that are warned about by name.
const MAX_TOLD: usize = 100;

/// A request as the log names it.
pub struct Entry {
    /// Given by a proxy of ours, or made up.
    pub id: String,
    method: Method,
    /// Not the path, which may hold the secret of a link.
    route: Option<String>,
    ip: IpAddr,
    began: Instant,
}

impl Entry {
    /// Names a request that has just come in.
    pub fn begin(req: &ServiceRequest) -> Self {
        let app = req.app_data::<web::Data<App>>();
        let trusted = app.map(|app| app.config.trusted_proxies.as_slice()).unwrap_or_default();
        let is_of_proxy = client::is_proxy(req.peer_addr().map(|peer| peer.ip()), trusted);
        if !is_of_proxy {
            warn_of_forgotten_proxy(req);
        }
        let given = req.headers().get(X_REQUEST_ID).filter(|_| is_of_proxy).and_then(|id| id.to_str().ok());
        Self {
            id: given.filter(|id| is_name(id)).map_or_else(random_name, str::to_owned),
            method: req.method().clone(),
            route: req.match_pattern(),
            ip: client::ip_of(req, trusted),
            began: Instant::now(),
        }
    }

    /// Logs an error page and its cause.
    pub fn refused(&self, error: &HttpError) {
        let Some(page) = error.page() else { return };
        let why = match error {
            HttpError::Explained(page) => Language::of_site().say(&page.title, &Zone::utc()),
            error => error.to_string(),
        };
        self.write(error.level(), page.status, &why);
    }

    /// Logs a form that comes back with what is wrong with it.
    pub fn note_form(&self, status: StatusCode) {
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.write(log::Level::Info, status, "over a limit");
        } else if status.is_client_error() {
            self.write(log::Level::Info, status, "the form had errors");
        }
    }

    /// Logs the end of a request, for who asks for it.
    pub fn end(&self, status: StatusCode) {
        log::debug!(
            target: "access",
            "{} {} \"{}\" {} ms {}",
            self.ip,
            status.as_u16(),
            self.asked(),
            self.began.elapsed().as_millis(),
            self.id
        );
    }

    fn write(&self, level: log::Level, status: StatusCode, why: &str) {
        let Self { id, ip, .. } = self;
        let asked = self.asked();
        log::log!(level, "request {id} from {ip} to \"{asked}\" refused with {}: {why}", status.as_u16());
    }

    fn asked(&self) -> String {
        format!("{} {}", self.method, self.route.as_deref().unwrap_or("-"))
    }

    /// Tells the proxy the name of the request.
    pub fn sign(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            headers.insert(X_REQUEST_ID, id);
        }
    }
}

/// As long as the usual ones, and of signs that mean nothing to any log.
fn is_name(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Somebody forwards visitors to us and is not in `TRUSTED_PROXIES`: then all of them have its address. Told once for each.
fn warn_of_forgotten_proxy(req: &ServiceRequest) {
    static TOLD: Mutex<BTreeSet<IpAddr>> = Mutex::new(BTreeSet::new());
    let Some(peer) = req.peer_addr().filter(|_| req.headers().contains_key(client::X_FORWARDED_FOR)) else {
        return;
    };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() < MAX_TOLD && told.insert(peer.ip()) {
        let ip = peer.ip();
        log::warn!(
            "{ip} sends X-Forwarded-For and is not in TRUSTED_PROXIES: if it is your proxy, all visitors share its address and its limits"
        );
    }
}

/// Says something at most once a minute, however often it happens.
pub struct OncePerMinute(Mutex<Option<Instant>>);

impl OncePerMinute {
    /// Makes one that has said nothing yet.
    #[expect(clippy::new_without_default, reason = "for constants")]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Warns, unless it did within the last minute.
    pub fn warn(&self, what: impl FnOnce() -> String) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed().as_secs() >= 60) {
            *last = Some(Instant::now());
            log::warn!("{}", what());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_a_proxy_gives_is_taken_if_it_is_one() {
        assert!(is_name("0a1b2c3d-4e5f") && is_name(&"x".repeat(64)));
        for bad in ["", "a b", "a\nb", "é", "<b>", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
