//! `PUBLIC_URL`, and names of hosts.

use std::net::IpAddr;

use super::reader::Reader;

/// The origin under which people reach the site: scheme, host and, where it is not the usual one, port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    host: String,
    https: bool,
}

impl PublicUrl {
    pub(super) fn read(read: &mut Reader<'_>, port: u16) -> Self {
        let default = format!("http://localhost:{port}");
        let text = read.text("PUBLIC_URL", &default);
        match Self::parse(&text) {
            Some(url) if url.https || url.is_local() => return url,
            Some(_) => read.mistake("PUBLIC_URL", "must begin with https:// unless it is on this machine"),
            None => read.mistake("PUBLIC_URL", "must be an origin like https://accounts.example.org"),
        }
        Self { origin: default, host: "localhost".to_owned(), https: false }
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        let host = host_name(&authority)?;
        let usual_port = if https { ":443" } else { ":80" };
        let authority = authority.strip_suffix(usual_port).unwrap_or(&authority);
        Some(Self { origin: format!("{scheme}://{authority}"), host, https })
    }

    /// As a browser sends it in `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether cookies may be `Secure`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether it names this very machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// The host of `host[:port]` in lower case; `None` for everything that is not exactly that.
pub(super) fn host_name(authority: &str) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (address, rest) = v6.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, rest)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_fine =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let host_is_fine = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'));
    (port_is_fine && host_is_fine).then(|| host.to_ascii_lowercase())
}

/// `localhost`, 127.0.0.0/8 and `::1`.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
