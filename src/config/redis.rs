//! `REDIS_URL`: one Redis, several behind sentinels, or a cluster.

use secrecy::SecretString;

use super::origin::user_and_hosts;
use super::reader::Reader;

/// `REDIS_URL`, `REDIS_KEY_PREFIX`.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    pub place: RedisPlace,
    /// In front of every key, so that several sites can share one Redis.
    pub prefix: String,
}

/// Where Redis is. Each URL is one that its client understands, and may hold a password.
#[derive(Debug, Clone)]
pub enum RedisPlace {
    One(SecretString),
    /// Whichever the sentinels name.
    Sentinel {
        sentinels: Vec<SecretString>,
        /// By which name they know the servers.
        name: String,
        /// How to sign in there: the host of this URL says nothing.
        server: SecretString,
    },
    /// Some of the nodes of a cluster.
    Cluster(Vec<SecretString>),
}

const USUAL_PORT: u16 = 6379;
const USUAL_SENTINEL_PORT: u16 = 26_379;
const EXAMPLES: &str = "must look like redis://user:password@host:6379/0, redis+sentinel://user:password@one:26379,two:26379/name/0 or \
     redis+cluster://user:password@one:6379,two:6379, with rediss in the place of redis for TLS";

impl RedisConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Option<Self> {
        let url = read.text("REDIS_URL", "");
        let prefix = read.text("REDIS_KEY_PREFIX", "latchkey:");
        if url.is_empty() {
            return None;
        }
        let place = RedisPlace::parse(&url);
        if place.is_none() {
            read.mistake("REDIS_URL", EXAMPLES);
        }
        Some(Self { place: place?, prefix })
    }
}

impl RedisPlace {
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        match kind {
            "sentinel" => sentinels(scheme, rest),
            "cluster" => cluster(scheme, rest),
            // The client has forms of its own with a plus: redis+unix.
            _ => one(url.to_owned()).map(Self::One),
        }
    }
}

/// `user:password@one:26379,two/name/0?sentinel_user=…&sentinel_password=…`.
fn sentinels(scheme: &str, rest: &str) -> Option<RedisPlace> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/')?;
    let (name, database) = path.split_once('/').unwrap_or((path, "0"));
    let (user, hosts) = user_and_hosts(authority);
    let options = query.split('&').filter(|option| !option.is_empty());
    let options: Vec<(&str, &str)> = options.map(|option| option.split_once('=')).collect::<Option<_>>()?;
    let option =
        |wanted: &str| options.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value);
    let is_known = |(name, _): &(&str, &str)| ["sentinel_user", "sentinel_password"].contains(name);
    // An @ there is one of a password with a slash in it.
    if name.is_empty() || path.contains('@') || !options.iter().all(is_known) {
        return None;
    }
    let at_sentinel = match (option("sentinel_user"), option("sentinel_password")) {
        ("", "") => String::new(),
        (user, password) => format!("{user}:{password}@"),
    };
    let sentinel =
        |host: &str| one(format!("{scheme}://{at_sentinel}{}", with_port(host, USUAL_SENTINEL_PORT)));
    Some(RedisPlace::Sentinel {
        sentinels: hosts.split(',').map(sentinel).collect::<Option<_>>()?,
        name: name.to_owned(),
        server: one(format!("{scheme}://{user}localhost/{database}"))?,
    })
}

fn cluster(scheme: &str, rest: &str) -> Option<RedisPlace> {
    let (user, hosts) = user_and_hosts(rest.strip_suffix('/').unwrap_or(rest));
    if hosts.contains(['/', '?']) {
        return None;
    }
    let node = |host: &str| one(format!("{scheme}://{user}{}", with_port(host, USUAL_PORT)));
    hosts.split(',').map(node).collect::<Option<_>>().map(RedisPlace::Cluster)
}

fn with_port(host: &str, usual: u16) -> String {
    let has_port =
        host.rsplit_once(':').is_some_and(|(before, _)| !before.contains('[') || before.ends_with(']'));
    if has_port { host.to_owned() } else { format!("{host}:{usual}") }
}

/// A URL that the client understands.
fn one(url: String) -> Option<SecretString> {
    redis::Client::open(url.as_str()).is_ok().then(|| url.into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn exposed(urls: &[SecretString]) -> Vec<&str> {
        urls.iter().map(ExposeSecret::expose_secret).collect()
    }

    #[test]
    fn sentinels_and_clusters_have_addresses_of_their_own() {
        let place =
            RedisPlace::parse("rediss+sentinel://ann:p%40s@one,two:7,[::1]:9/main/3?sentinel_password=x")
                .unwrap();
        let RedisPlace::Sentinel { sentinels, name, server } = place else { panic!("{place:?}") };
        assert_eq!(
            exposed(&sentinels),
            ["rediss://:x@one:26379", "rediss://:x@two:7", "rediss://:x@[::1]:9"]
        );
        assert_eq!((name.as_str(), server.expose_secret()), ("main", "rediss://ann:p%40s@localhost/3"));
        let place = RedisPlace::parse("redis+cluster://one:7000,two/").unwrap();
        let RedisPlace::Cluster(nodes) = place else { panic!("{place:?}") };
        assert_eq!(exposed(&nodes), ["redis://one:7000", "redis://two:6379"]);
        for one in ["redis://127.0.0.1:6379/0", "redis+unix:///run/redis.sock?db=2", "unix:///run/redis.sock"]
        {
            assert!(matches!(RedisPlace::parse(one), Some(RedisPlace::One(_))), "{one}");
        }
        for bad in [
            "",
            "host",
            "http://host",
            "redis+sentinel://one:26379",
            "redis+sentinel://one:x/main",
            "redis+sentinel:///main",
            "redis+sentinel://one/main?password=x",
            "redis+cluster://",
            "redis+cluster://one,,two",
            "redis+cluster://one/3",
            "redis+sentinel://one/main?sentinel_password",
            "redis+sentinel://user:123/x@one/main",
        ] {
            assert!(RedisPlace::parse(bad).is_none(), "{bad}");
        }
    }
}
