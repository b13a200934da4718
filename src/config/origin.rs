//! `PUBLIC_URL`, and names of hosts.

use std::net::{IpAddr, Ipv6Addr};

use super::reader::Reader;

/// The origin under which people reach the site: scheme, host and, where it is not the usual one, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
    port: u16,
    https: bool,
}

impl PublicUrl {
    pub(super) fn read(read: &mut Reader<'_>, port: u16) -> Self {
        let default = format!("http://localhost:{port}");
        let text = read.text("PUBLIC_URL", &default);
        if port == 0 && text == default {
            read.mistake("PUBLIC_URL", "must be given when the system chooses the port (BIND with port 0)");
        }
        match Self::parse(&text) {
            Some(url) if url.https || url.is_local() => return url,
            Some(_) => read.mistake("PUBLIC_URL", "must begin with https:// unless it is on this machine"),
            None => read.mistake("PUBLIC_URL", "must be an origin like https://accounts.example.org"),
        }
        Self { origin: default, host: "localhost".to_owned(), port, https: false }
    }

    /// Reads an origin in any spelling: with or without its usual port, a dot behind the name, a slash at the end.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (https, usual_port) = match scheme {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = host_and_port(authority)?;
        let port = port.unwrap_or(usual_port);
        let name = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let origin = if port == usual_port {
            format!("{scheme}://{name}")
        } else {
            format!("{scheme}://{name}:{port}")
        };
        Some(Self { origin, host, port, https })
    }

    /// Whether a browser's `Origin` names this site; on this machine also by another of its own names.
    pub fn is_origin(&self, origin: &str) -> bool {
        let Some(asked) = Self::parse(origin) else { return false };
        let is_same_host = asked.host == self.host || (asked.is_local() && self.is_local());
        is_same_host && (asked.https, asked.port) == (self.https, self.port)
    }

    /// Whether a browser's `Referer` is a page of this site.
    pub fn is_origin_of(&self, referer: &str) -> bool {
        let origin: Vec<&str> = referer.splitn(4, '/').take(3).collect();
        self.is_origin(&origin.join("/"))
    }

    /// Reads the origin of another program of this house, as a browser sends it: over https, or on this machine.
    pub(super) fn parse_front_end(text: &str) -> Option<Self> {
        Self::parse(text).filter(|url| url.https || url.is_local())
    }

    /// Reads the origin of an application.
    pub(super) fn parse_application(text: &str) -> Option<Self> {
        Self::parse(text).filter(|url| url.https)
    }

    /// Whether browsers take them for one site, as far as their names tell: the same scheme, and the same two words at the end.
    /// (Which names are given to strangers, as `co.uk` is, only a list knows.)
    pub(super) fn is_of_site(&self, other: &Self) -> bool {
        let site = |host: &str| host.rsplitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
        self.https == other.https && site(&self.host) == site(&other.host)
    }

    /// As a browser sends it in `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the usual one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether cookies may be `Secure`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether browsers keep passkeys for it: for names only (Web Authentication, 5.1.3). Over plain http for this machine alone, which
    /// this is then.
    pub fn has_passkeys(&self) -> bool {
        self.host.parse::<IpAddr>().is_err() && (self.https || self.host == "localhost")
    }

    /// Whether it names this very machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// The part up to the last `@`, with it, and what comes after.
pub(super) fn user_and_hosts(authority: &str) -> (&str, &str) {
    authority.split_at(authority.rfind('@').map_or(0, |at| at + 1))
}

/// The host of `host[:port]` in lower case; `None` for everything that is not exactly that.
pub(super) fn host_name(authority: &str) -> Option<String> {
    host_and_port(authority).map(|(host, _)| host)
}

/// A name with a dot behind it is the same name (RFC 1034, 3.1): browsers keep the dot.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(v6) = authority.strip_prefix('[') {
        let (address, rest) = v6.split_once(']')?;
        // Browsers shorten it.
        (address.parse::<Ipv6Addr>().ok()?.to_string(), rest)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        (host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(), port)
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok()?),
        None if port.is_empty() => None,
        None => return None,
    };
    let host_is_fine = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'));
    host_is_fine.then_some((host, port))
}

/// `localhost`, 127.0.0.0/8 and `::1`.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_same_in_any_spelling() {
        let site = PublicUrl::parse("https://Accounts.Example.org.:443/").unwrap();
        assert_eq!((site.origin(), site.host()), ("https://accounts.example.org", "accounts.example.org"));
        assert!(
            site.is_origin("https://accounts.example.org.")
                && site.is_origin("https://accounts.example.org:443")
        );
        let v6 = PublicUrl::parse("https://[2001:DB8:0:0::1]").unwrap();
        assert_eq!((v6.origin(), v6.host()), ("https://[2001:db8::1]", "2001:db8::1"));
        assert!(v6.is_origin("https://[2001:db8::1]:443") && !v6.is_origin("https://[2001:db8::2]"));
        assert_eq!(host_name("[2001:0db8::0001]:443").as_deref(), Some("2001:db8::1"));
        for other in [
            "http://accounts.example.org",
            "https://accounts.example.org:444",
            "https://example.org",
            "null",
            "",
        ] {
            assert!(!site.is_origin(other), "{other}");
        }
        assert!(
            site.is_origin_of("https://accounts.example.org/a?b#c")
                && site.is_origin_of("https://accounts.example.org")
        );
        for other in [
            "https://accounts.example.org.evil.example/",
            "https://evil.example/https://accounts.example.org/",
            "https://accounts.example.org@evil.example/",
            "",
        ] {
            assert!(!site.is_origin_of(other), "{other}");
        }
        let here = PublicUrl::parse("http://localhost:8000").unwrap();
        assert!(here.is_origin("http://127.0.0.1:8000") && here.is_origin("http://[::1]:8000"));
        assert!(
            !here.is_origin("http://127.0.0.1:8001") && !here.is_origin("http://localhost.evil.example:8000")
        );
        assert_eq!(
            PublicUrl::parse("https://[2001:db8::1]:8443").unwrap().origin(),
            "https://[2001:db8::1]:8443"
        );
    }
}
