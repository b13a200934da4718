//! Where somebody wants to go at an application: a URL that may lead nowhere else.

use super::{Application, Applications};

/// The field of a query that carries a ticket to an application.
const TICKET: &str = "latchkey_ticket";
/// The longest URL that is led back to, in bytes.
const MAX_LENGTH: usize = 2048;

/// A page of an application.
#[derive(Debug, Clone)]
pub struct AppPage<'a> {
    pub application: &'a Application,
    /// Path and query, without a ticket.
    path: String,
}

impl Applications {
    /// Reads the URL of a page of one of the applications.
    ///
    /// An allow-list and no list of tricks: https, exactly one of the hosts, visible ASCII. What stands in the answer is put together
    /// anew from its parts.
    pub fn page(&self, url: &str) -> Option<AppPage<'_>> {
        let rest = url.strip_prefix("https://")?;
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        AppPage::new(self.at(host)?, path)
    }
}

impl<'a> AppPage<'a> {
    /// Reads path and query of a page.
    pub fn new(application: &'a Application, path: &str) -> Option<Self> {
        let path = path.split('#').next().unwrap_or_default();
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let path = without_ticket(&path);
        (is_plain && path.len() + application.host.len() + "https://".len() <= MAX_LENGTH)
            .then_some(Self { application, path })
    }

    /// The start page.
    pub fn start(application: &'a Application) -> Self {
        Self { application, path: "/".to_owned() }
    }

    /// The URL.
    pub fn url(&self) -> String {
        format!("https://{}{}", self.application.host, self.path)
    }

    /// The URL, with a ticket.
    pub fn with_ticket(&self, ticket: &str) -> String {
        let sign = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{sign}{TICKET}={ticket}", self.url())
    }
}

/// Finds the ticket in a path's query; the last of several.
pub fn ticket_in(path: &str) -> Option<&str> {
    let (_, query) = path.split_once('?')?;
    let field = query.split('&').rfind(is_ticket)?;
    Some(field.split_once('=').map_or("", |(_, ticket)| ticket))
}

/// Takes every ticket out of a path's query, and leaves the rest as it is, byte for byte.
fn without_ticket(path: &str) -> String {
    let Some((before, query)) = path.split_once('?') else { return path.to_owned() };
    if !query.split('&').any(|field| is_ticket(&field)) {
        return path.to_owned();
    }
    let kept: Vec<&str> = query.split('&').filter(|field| !is_ticket(field)).collect();
    if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) }
}

fn is_ticket(field: &&str) -> bool {
    field.split('=').next() == Some(TICKET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn page(url: &str) -> Option<String> {
        let given = |name: &str| match name {
            "SECRET_KEY" => Some("0123456789".repeat(6)),
            "APPS" => Some("https://wiki.example.org user; https://ops.example.org:8443 staff".to_owned()),
            _ => None,
        };
        let apps = Config::from_lookup(&given).unwrap().applications;
        apps.page(url).map(|page| page.url())
    }

    #[test]
    fn a_page_is_one_of_an_application_or_nothing() {
        let wiki = "https://wiki.example.org";
        for (asked, expected) in [
            ("https://wiki.example.org", "/"),
            ("https://wiki.example.org/", "/"),
            ("https://wiki.example.org/a/b?c=d&e=%2F", "/a/b?c=d&e=%2F"),
            ("https://wiki.example.org?a=b", "/?a=b"),
            ("https://wiki.example.org/a#part", "/a"),
            ("https://wiki.example.org#part", "/"),
            ("https://wiki.example.org//evil.example/", "//evil.example/"),
            ("https://wiki.example.org/@evil.example", "/@evil.example"),
            ("https://wiki.example.org/?to=https://evil.example", "/?to=https://evil.example"),
            ("https://wiki.example.org:443/a", "/a"),
            ("https://wiki.example.org/a?latchkey_ticket=x", "/a"),
            ("https://wiki.example.org/a?b=c&latchkey_ticket=x&d=e&latchkey_ticket", "/a?b=c&d=e"),
            ("https://wiki.example.org/a?x_latchkey_ticket=x", "/a?x_latchkey_ticket=x"),
        ] {
            assert_eq!(page(asked), Some(format!("{wiki}{expected}")), "{asked}");
        }
        assert_eq!(page("https://ops.example.org:8443/a").as_deref(), Some("https://ops.example.org:8443/a"));
        // Django's corpus of url_has_allowed_host_and_scheme, what was found in others of our kind, and our own.
        let long = format!("https://wiki.example.org/{}", "a".repeat(2048));
        for bad in [
            "",
            "/",
            "//wiki.example.org/",
            "///wiki.example.org/",
            "wiki.example.org",
            "http://wiki.example.org/",
            "HTTPS://wiki.example.org/",
            "https:wiki.example.org",
            "https:/wiki.example.org",
            "https:///wiki.example.org",
            "https:\\\\wiki.example.org",
            "https:/\\wiki.example.org",
            "https://evil.example",
            "https://evilwiki.example.org",
            "https://wiki.example.org.evil.example",
            "https://wiki.example.org.",
            "https://WIKI.example.org/",
            "https://example.org",
            "https://a.wiki.example.org",
            "https://wiki.example.org@evil.example/",
            "https://a@wiki.example.org/",
            "https://wiki.example.org:@evil.example/",
            "https://evil.example/@wiki.example.org",
            "https://evil.example?https://wiki.example.org/",
            "https://evil.example#https://wiki.example.org/",
            "https://evil.example\\@wiki.example.org/",
            "https://wiki.example.org\\@evil.example/",
            "https://wiki.example.org\\.evil.example/",
            "https://wiki.example.org\t/",
            "https://wiki.example.org/\t/evil.example",
            "https://wiki.example.org/\nSet-Cookie: a=b",
            "https://wiki.example.org/\r\nSet-Cookie: a=b",
            "https://wiki.example.org/ a",
            "https://wiki.example.org/\\evil.example",
            "https://wiki.example.org/\u{e9}",
            "https://wiki.example.org%2f@evil.example/",
            "https://wiki.example.org%00.evil.example/",
            "https://wiki.example.org:80/",
            "https://wiki.example.org:0443/",
            "https://wiki.example.org:/",
            "https://ops.example.org/",
            "https://ops.example.org:443/",
            "https://wiki。example。org/",
            "https://wik\u{456}.example.org/",
            "https://\u{200b}wiki.example.org/",
            " https://wiki.example.org/",
            "\thttps://wiki.example.org/",
            "https://[wiki.example.org]/",
            "javascript:alert(1)//https://wiki.example.org/",
            "data:text/html,https://wiki.example.org/",
            long.as_str(),
        ] {
            assert_eq!(page(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_last_ticket_counts() {
        assert_eq!(ticket_in("/a?latchkey_ticket=x&b&latchkey_ticket=y"), Some("y"));
        assert_eq!((ticket_in("/a?latchkey_ticket"), ticket_in("/latchkey_ticket=x")), (Some(""), None));
    }
}
