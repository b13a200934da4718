//! Who is let in: what every request passes before anything else looks at it (the right host, one session), and what a form passes
//! once its session is known (the right origin).

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};

use super::errors::{ErrorPage, HttpError};
use super::{app_of, client, cookies};
use crate::config::Config;
use crate::identity::{Role, t};
use crate::limits::Limit;
use crate::paths::admin::ADMIN;
use crate::paths::auth::SIGN_IN;
use crate::paths::service::{HEALTHZ, READYZ};

pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request in, or not. Refuses before a single byte of the body is read.
///
/// # Errors
/// Why a request is not let in.
pub fn keep(req: &mut ServiceRequest) -> Result<(), HttpError> {
    // Health checks come from machines that know our address and not our name.
    if ![HEALTHZ.path(), READYZ.path()].contains(&req.path()) {
        let app = app_of(req.request())?;
        let ip = client::ip_of(req, &app.config.trusted_proxies);
        for key in client::network_keys(ip, Limit::Everything) {
            app.limits.take_here(&key).map_err(HttpError::from)?;
        }
        check_host(&app.config, req)?;
        check_network(&app.config, req, ip)?;
        keep_own_cookies(&app.config, req.headers_mut());
        // Only now: a refused request costs too little to be worth slowing down sign-ins for.
        app.hasher.give_way();
    }
    Ok(())
}

fn check_host(config: &Config, req: &ServiceRequest) -> Result<(), HttpError> {
    let mut hosts = req.headers().get_all(header::HOST);
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let same = req.uri().authority().is_none_or(|asked| config.answers_to(asked.as_str()));
    if host.is_some_and(|host| config.answers_to(host)) && hosts.next().is_none() && same {
        Ok(())
    } else {
        let asked = host.unwrap_or("none, or several");
        let why = format!(
            "{asked}; PUBLIC_URL is {}, and ALLOWED_HOSTS may name others",
            config.public_url.origin()
        );
        Err(HttpError::WrongHost(why))
    }
}

/// The admin pages, and the sign-in pages of those who see them, may be closed to all but some networks.
fn check_network(config: &Config, req: &ServiceRequest, ip: IpAddr) -> Result<(), HttpError> {
    if config.admits_admins_from(ip) {
        return Ok(());
    }
    let sign_in_pages = [Role::Staff, Role::Superuser].map(|role| SIGN_IN.to([role.as_str()]));
    // As the router sees it: `/%61dmin/` is the same page.
    let path = req.match_info().as_str();
    let is_admin =
        path.starts_with(ADMIN.path()) || sign_in_pages.iter().any(|page| path.starts_with(page.as_str()));
    if !is_admin {
        return Ok(());
    }
    let text = t("Connect to your organisation's network or VPN and try again.");
    Err(ErrorPage::new(StatusCode::FORBIDDEN, t("Not available on this network"), text).into())
}

/// The cross-site check, by headers alone, so that no form ever expires and no anonymous page writes anything:
/// what the browser says in `Sec-Fetch-Site`; where it says nothing, `Origin`, and then the origin of `Referer`, which text
/// browsers send, against `PUBLIC_URL` (never against `Host`, which proxies rewrite). With none of them, only a request without
/// cookies passes: a script can post a form, but no browser can be used against its owner. (OWASP CSRF Prevention; Go's
/// `CrossOriginProtection`.)
///
/// # Errors
/// Why a request is refused.
pub fn check_origin(req: &ServiceRequest) -> Result<(), HttpError> {
    if matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let app = super::app_of(req.request())?;
    why_cross_site(&app.config, req.headers()).map_or(Ok(()), |why| Err(HttpError::CrossSite(why)))
}

fn why_cross_site(config: &Config, headers: &HeaderMap) -> Option<String> {
    let url = &config.public_url;
    let said = |name| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let (site, origin, referer) = (said(SEC_FETCH_SITE), said(header::ORIGIN), said(header::REFERER));
    let is_ours = match (site, origin, referer) {
        (Some(site), ..) => site == "same-origin" || site == "none",
        (None, Some(origin), _) => url.is_origin(origin),
        (None, None, Some(referer)) => url.is_origin_of(referer),
        (None, None, None) => !headers.contains_key(header::COOKIE),
    };
    if is_ours {
        return None;
    }
    // Of where it came from no more than the origin: the rest may hold a secret.
    let referer = referer.map_or("absent", |referer| referer.split('/').nth(2).unwrap_or("unreadable"));
    let [site, origin] = [site, origin].map(|said| said.unwrap_or("absent"));
    Some(format!(
        "Sec-Fetch-Site is {site}, Origin is {origin}, Referer is from {referer}; PUBLIC_URL is {}",
        url.origin()
    ))
}

/// Keeps our own cookies and no others: what other programs put beside them, in whatever bytes, is nobody's hindrance; nor is one
/// whose name only reads like ours once it is decoded, which is how a neighbouring site gets around `__Host-`. Of those that come
/// twice one was planted: neither is kept.
fn keep_own_cookies(config: &Config, headers: &mut HeaderMap) {
    if !headers.contains_key(header::COOKIE) {
        return;
    }
    let is_ours = |name: &str| config.cookie_called(name).is_some_and(|name| cookies::ALL.contains(&name));
    // There stays a header, even if empty: that a browser sent one says that it keeps cookies.
    let own = HeaderValue::from_str(&own_cookies(is_ours, headers));
    headers.insert(header::COOKIE, own.unwrap_or(HeaderValue::from_static("")));
}

/// Our cookies, in one line.
fn own_cookies(is_ours: impl Fn(&str) -> bool, headers: &HeaderMap) -> String {
    let own: Vec<(&str, &str)> = cookies::pairs(headers).filter(|(name, _)| is_ours(name)).collect();
    let is_single = |name: &str| own.iter().filter(|(known, _)| *known == name).count() == 1;
    let (single, planted): (Vec<_>, Vec<_>) = own.iter().partition(|(name, _)| is_single(name));
    if !planted.is_empty() {
        log::warn!("a request had a cookie of ours twice; neither counts");
    }
    single.into_iter().map(|(_, pair)| pair).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(line: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        own_cookies(|name| ["__Host-latchkey", "__Host-latchkey-flow"].contains(&name), &headers)
    }

    #[test]
    fn planted_cookies_are_nobodys() {
        for planted in [
            &b"__Host-latchkey=x; __Host-latchkey=y"[..],
            b"%5F%5FHost-latchkey=x",
            b"__Host-latchkey=x; a=b;__Host-latchkey=y",
            b"__Host%2Dlatchkey=x",
        ] {
            assert_eq!(own(planted), "", "{}", String::from_utf8_lossy(planted));
        }
        // One of another name takes nothing with it.
        let kept = "__Host-latchkey=x";
        assert_eq!(own(b"__Host-latchkey=x; __Host-latchkey-flow=a; __Host-latchkey-flow=b"), kept);
        assert_eq!(own(b"%5F_Host-latchkey=evil; __Host-latchkey=x"), kept);
    }

    #[test]
    fn what_other_programs_put_beside_our_cookies_hinders_nobody() {
        for beside in
            [&b"a=\xff"[..], b"a=b=c", b"=x", b"\xe9t\xe9=1", b"a", b"", b"a=\"b", b"__host-latchkey=x"]
        {
            let line = [beside, b"; __Host-latchkey=x;\t ", beside, b";__Host-latchkey-flow=y"].concat();
            let kept = "__Host-latchkey=x; __Host-latchkey-flow=y";
            assert_eq!(own(&line), kept, "{}", String::from_utf8_lossy(&line));
        }
        assert_eq!(own(b"a=b; c=d"), "");
    }

    #[test]
    fn a_blank_of_unicode_makes_another_name_to_a_browser_and_to_us() {
        let mut blanks =
            vec!['\u{85}', '\u{a0}', '\u{1680}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}', '\u{3000}'];
        blanks.extend('\u{2000}'..='\u{200a}');
        for blank in blanks {
            for line in [format!("a=b; {blank}__Host-latchkey=x"), format!("__Host-latchkey{blank}=x")] {
                assert_eq!(own(line.as_bytes()), "", "{line:?}");
            }
        }
    }

    fn passes(headers: &[(&'static str, &'static str)]) -> bool {
        let key = |name: &str| (name == "SECRET_KEY").then(|| "k".repeat(64));
        let config = Config::from_lookup(&key).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        why_cross_site(&config, &map).is_none()
    }

    #[test]
    fn only_our_own_pages_post() {
        let own = "http://localhost:8000";
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("cookie", "latchkey=1")]));
        assert!(passes(&[("sec-fetch-site", "none")]));
        assert!(passes(&[("origin", own), ("cookie", "latchkey=1")]));
        assert!(passes(&[]), "a script without cookies");
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN"] {
            assert!(!passes(&[("sec-fetch-site", site), ("origin", own)]), "{site}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "https://localhost:8000",
            "http://localhost",
            "http://localhost:8001",
        ] {
            assert!(!passes(&[("origin", origin)]), "{origin}");
        }
        assert!(!passes(&[("cookie", "latchkey=1")]), "neither header, with a cookie");
    }
}
