//! Who is at the other end: the IP address that limits and events are about.
//!
//! actix's own `realip_remote_addr` believes any client's word; this believes only proxies that we trust.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, USER_AGENT};
use actix_web::{FromRequest, HttpRequest, dev, web};
use ipnet::IpNet;

use super::errors::HttpError;
use crate::app::App;
use crate::identity::visible_line;
use crate::limits::{Limit, LimitKey};
use crate::records::events::Source;

/// What proxies say about who asked them.
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The browser that asks.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its IP address, as far as we can know it.
    pub ip: IpAddr,
    /// Its name for itself, cut.
    pub agent: String,
}

impl Client {
    /// Names who asks, for shares: one IPv4 address, or the /56 that an IPv6 household is given (RIPE-690).
    pub fn network(&self) -> String {
        network(self.ip, HOUSEHOLD)
    }

    /// Names who asks for mail: a provider's network is cheap, and each of its addresses would else have a share of its own.
    pub fn neighbourhood(&self) -> String {
        network(self.ip, NEIGHBOURS)
    }

    /// Names the buckets of its networks.
    pub fn keys(&self, limit: Limit) -> Vec<LimitKey> {
        network_keys(self.ip, limit)
    }

    /// The buckets of what is limited by network; a device that is known has one of its own, which no neighbour uses up.
    pub fn keys_of(&self, limit: Limit, lanes: &[String]) -> Vec<LimitKey> {
        match lanes.first() {
            Some(lane) => vec![limit.of(lane)],
            None => self.keys(limit),
        }
    }

    /// Describes it for the audit log.
    pub fn source(&self) -> Source {
        Source::Ip(self.ip)
    }
}

impl FromRequest for Client {
    type Error = HttpError;
    type Future = std::future::Ready<Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let agent = req.headers().get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let agent = visible_line(&agent.unwrap_or_default()).chars().take(200).collect();
        std::future::ready(Ok(Self { ip: ip_of_request(req), agent }))
    }
}

/// Finds where a request comes from that no handler has seen yet.
pub fn ip_of(req: &ServiceRequest, trusted: &[IpNet]) -> IpAddr {
    ip(req.peer_addr().map(|peer| peer.ip()), req.headers(), trusted)
}

/// The same for a request that has passed no gate.
pub fn ip_of_request(req: &HttpRequest) -> IpAddr {
    let app = req.app_data::<web::Data<App>>();
    let trusted = app.map(|app| app.config.trusted_proxies.as_slice());
    ip(req.peer_addr().map(|peer| peer.ip()), req.headers(), trusted.unwrap_or_default())
}

/// How much of an address names a network, in bits.
#[derive(Clone, Copy)]
struct Prefix {
    v4: u8,
    v6: u8,
}

/// One machine.
const MACHINE: Prefix = Prefix { v4: 32, v6: 64 };
/// A household.
const HOUSEHOLD: Prefix = Prefix { v4: 32, v6: 56 };
/// A company.
const COMPANY: Prefix = Prefix { v4: 32, v6: 48 };
/// Those beside each other at one provider.
const NEIGHBOURS: Prefix = Prefix { v4: 24, v6: 48 };

/// Names the buckets that something from an address counts in: one for an IPv4 address; for IPv6 those of the machine's, the
/// household's and the company's network, so that nobody has more of them than neighbours.
pub fn network_keys(ip: IpAddr, limit: Limit) -> Vec<LimitKey> {
    let key = |prefix| limit.of(network(ip, prefix));
    match ip.to_canonical() {
        IpAddr::V4(_) => vec![key(MACHINE)],
        IpAddr::V6(_) => vec![key(MACHINE), key(HOUSEHOLD).times(3), key(COMPANY).times(10)],
    }
}

/// Names one machine: an IPv4 address, or a network of 64 bits.
pub(super) fn machine(ip: IpAddr) -> String {
    network(ip, MACHINE)
}

fn network(ip: IpAddr, prefix: Prefix) -> String {
    let ip = ip.to_canonical();
    let bits = if ip.is_ipv4() { prefix.v4 } else { prefix.v6 };
    IpNet::new(ip, bits).map_or_else(|_| ip.to_string(), |net| net.trunc().to_string())
}

/// Who an address that cannot be read belongs to: never the proxy, which may be trusted with more.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Whether a peer is one of our proxies. Those of a unix socket are: only whom its file lets in is there.
pub fn is_proxy(peer: Option<IpAddr>, trusted: &[IpNet]) -> bool {
    peer.is_none_or(|peer| trusted.iter().any(|net| net.contains(&peer.to_canonical())))
}

/// The right-most IP address of `X-Forwarded-For` that is none of our proxies, when the peer is one of them.
fn ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let nearest = peer.map_or(NOBODY, |peer| peer.to_canonical());
    if !is_proxy(peer, trusted) {
        return nearest;
    }
    let hops = headers.get_all(X_FORWARDED_FOR).flat_map(|line| line.to_str().unwrap_or("?").split(','));
    let mut nearest = nearest;
    for hop in hops.collect::<Vec<_>>().into_iter().rev() {
        nearest = parse_hop(hop.trim()).unwrap_or(NOBODY);
        if !is_proxy(Some(nearest), trusted) {
            break;
        }
    }
    nearest
}

/// Reads an address as proxies write it: alone, with a port, or in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let alone = hop.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(hop);
    let address = alone.parse().or_else(|_| hop.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap());
        }
        ip(peer.parse().ok(), &headers, &["10.0.0.0/8".parse().unwrap()]).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4", "203.0.113.9"]), "203.0.113.9");
        for unreadable in ["203.0.113.9, nonsense", "203.0.113.9, 10.0.0.2:x", "[203.0.113.9", "_hidden", "é"]
        {
            assert_eq!(seen("10.0.0.1", &[unreadable]), "0.0.0.0", "{unreadable}");
        }
        for written in ["203.0.113.9:4711", "203.0.113.9, 10.0.0.2:443", "::ffff:203.0.113.9"] {
            assert_eq!(seen("10.0.0.1", &[written]), "203.0.113.9", "{written}");
        }
        for written in ["[2001:db8::1]:443", "[2001:db8::1]", "2001:db8::1"] {
            assert_eq!(seen("10.0.0.1", &[written]), "2001:db8::1", "{written}");
        }
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn one_customer_of_ipv6_is_one_and_a_household_has_three_times_as_much() {
        let keys = |ip: &str| {
            let keys = network_keys(ip.parse().unwrap(), Limit::SignUp);
            keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>()
        };
        assert_eq!(keys("2001:db8:1:2:3::4"), keys("2001:db8:1:2:ffff::1"));
        let (one, next) = (keys("2001:db8:1:2::1"), keys("2001:db8:1:3::1"));
        assert!(one[0] != next[0] && one[1..] == next[1..], "{one:?} {next:?}");
        assert!(one[1].contains("times: 3") && one[2].contains("times: 10"));
        assert_eq!(keys("::ffff:192.0.2.1"), keys("192.0.2.1"));
        assert_eq!(keys("192.0.2.1").len(), 1);
    }
}
