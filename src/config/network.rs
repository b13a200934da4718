//! `BIND`, `ALLOWED_HOSTS`, `TRUSTED_PROXIES`, `ADMIN_NETWORKS` and `HSTS`: who reaches us, and under which names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::IpNet;

use super::origin::{self, PublicUrl};
use super::reader::Reader;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Listen {
    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Listen {
    type Err = ();

    /// Reads an address and a port, a port of this machine, or `unix:` and a path.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(()) };
        }
        let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
        let address = match port.parse() {
            Ok(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            Err(_) => text.parse().map_err(|_| ())?,
        };
        Ok(Self::Tcp(address))
    }
}

pub(super) fn listen(read: &mut Reader<'_>) -> Vec<Listen> {
    let form = "one or more addresses to listen on, like 127.0.0.1:8000 or unix:/run/latchkey/http.sock";
    let places = read.parsed_list("BIND", form);
    if places.is_empty() {
        return vec![Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)))];
    }
    places
}

/// The port of the first place to listen that has one.
pub(super) fn port(places: &[Listen]) -> u16 {
    let ports = places.iter().filter_map(|place| match place {
        Listen::Tcp(address) => Some(address.port()),
        Listen::Unix(_) => None,
    });
    ports.into_iter().next().unwrap_or(8000)
}

/// A name that we answer to, or with a dot in front all names below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHost {
    This(String),
    /// Begins with a dot.
    Below(String),
}

impl AllowedHost {
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::This(host) => host == name,
            Self::Below(end) => name.ends_with(end.as_str()) || end.get(1..) == Some(name),
        }
    }
}

impl FromStr for AllowedHost {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_prefix('.') {
            Some(rest) => origin::host_name(rest).map(|name| Self::Below(format!(".{name}"))),
            None => origin::host_name(text).map(Self::This),
        }
        .ok_or(())
    }
}

pub(super) fn allowed_hosts(read: &mut Reader<'_>) -> Vec<AllowedHost> {
    read.parsed_list(
        "ALLOWED_HOSTS",
        "a list of names like accounts.example.org, or .example.org to include its subdomains",
    )
}

struct Network(IpNet);

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| address()).map(Self).map_err(|_| ())
    }
}

pub(super) fn networks(read: &mut Reader<'_>, name: &str) -> Vec<IpNet> {
    let networks = read.parsed_list::<Network>(name, "a list of IP addresses and networks, like 10.0.0.0/8");
    networks.into_iter().map(|network| network.0).collect()
}

pub(super) fn trusted_proxies(read: &mut Reader<'_>) -> Vec<IpNet> {
    let proxies = networks(read, "TRUSTED_PROXIES");
    // Nobody owns so much of the internet.
    let is_wide = |network: &IpNet| network.prefix_len() < if network.addr().is_ipv4() { 8 } else { 16 };
    if proxies.iter().any(is_wide) {
        read.warn("TRUSTED_PROXIES covers a large part of all IP addresses: anyone with one of them can fake theirs");
    }
    proxies
}

/// Front ends that may ask who is signed in, each as browsers send it in `Origin`.
pub(super) fn cors_origins(read: &mut Reader<'_>, public_url: &PublicUrl) -> Vec<String> {
    struct FrontEnd(PublicUrl);
    impl FromStr for FrontEnd {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            PublicUrl::parse_front_end(text).map(Self).ok_or(())
        }
    }
    let name = "CORS_ALLOWED_ORIGINS";
    let form = "a list of origins like https://app.example.org; http only on this machine";
    let front_ends = read.parsed_list::<FrontEnd>(name, form);
    for FrontEnd(url) in front_ends.iter().filter(|FrontEnd(url)| !url.is_of_site(public_url)) {
        // The cookie is SameSite=Lax.
        read.warn(&format!(
            "{} in {name} isn't of the same site as PUBLIC_URL: browsers won't say there who is signed in",
            url.origin()
        ));
    }
    front_ends.into_iter().map(|FrontEnd(url)| url.origin().to_owned()).collect()
}

/// The header that keeps browsers on https; none for `off`. (RFC 6797. Without `includeSubDomains`: the neighbours of our name
/// are not ours to decide about.)
pub(super) fn hsts(read: &mut Reader<'_>) -> Option<String> {
    let value = read.text("HSTS", "max-age=31536000");
    if ["off", "false", "no", "0"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return None;
    }
    let age = value
        .split(';')
        .find_map(|part| part.trim().to_ascii_lowercase().strip_prefix("max-age=").map(str::to_owned));
    let is_known = |part: &str| {
        let part = part.trim().to_ascii_lowercase();
        part.starts_with("max-age=") || matches!(part.as_str(), "includesubdomains" | "preload" | "")
    };
    let is_number = age.is_some_and(|age| !age.is_empty() && age.bytes().all(|b| b.is_ascii_digit()));
    if !is_number || !value.split(';').all(is_known) || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        read.mistake("HSTS", "must be a value like max-age=31536000; includeSubDomains, or off");
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_listen_is_read_in_every_usual_form() {
        let local = |port| Ok(Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        assert_eq!("8000".parse(), local(8000));
        assert_eq!(":8000".parse(), local(8000));
        assert_eq!("localhost:81".parse(), local(81));
        assert_eq!("unix:/run/x.sock".parse(), Ok(Listen::Unix("/run/x.sock".into())));
        assert!("[::]:8000".parse::<Listen>().is_ok_and(|place| !place.is_local()));
        for bad in ["", "unix:", "unix:x", "example.org:80", "1.2.3.4", "127.0.0.1:99999"] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_leading_dot_stands_for_all_names_below() {
        let host: AllowedHost = ".Example.org".parse().unwrap();
        assert!(host.fits("a.example.org") && host.fits("example.org") && !host.fits("badexample.org"));
        assert!("*".parse::<AllowedHost>().is_err() && ".".parse::<AllowedHost>().is_err());
    }

    #[test]
    fn an_address_is_a_network_of_one() {
        assert_eq!(
            "10.0.0.1".parse::<Network>().map(|network| network.0.to_string()),
            Ok("10.0.0.1/32".to_owned())
        );
        assert!("10.0.0.1/33".parse::<Network>().is_err());
    }
}
