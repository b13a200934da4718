//! `DATABASE_URL`: which database, of those that this binary is built for.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::origin::user_and_hosts;
use super::reader::Reader;

/// How many threads each worker has for the database; all but one may write.
pub const THREADS_PER_WORKER: usize = 2;

/// `DATABASE_URL`, `DATABASE_POOL_SIZE`.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub backend: Backend,
    /// The file of SQLite, else the whole URL; it may hold a password.
    pub place: SecretString,
    /// Further servers of the same cluster, for when that one does not serve (MySQL; the client of PostgreSQL sees to it itself).
    pub others: Vec<SecretString>,
    /// Whether a connection without TLS is refused, where the client does not see to it (MySQL).
    pub demands_tls: bool,
    /// Connections at most.
    pub pool_size: u32,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
    Mysql,
}

impl DatabaseConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let url = read.text("DATABASE_URL", "sqlite://latchkey.sqlite3");
        let database = Self::of_url(&url).unwrap_or_else(|mistake| {
            read.mistake("DATABASE_URL", mistake);
            Self::new(Backend::Sqlite, String::new())
        });
        let pool_size = read.number("DATABASE_POOL_SIZE", default_pool_size(), 2..=1000);
        Self { pool_size, ..database }
    }

    fn new(backend: Backend, place: String) -> Self {
        let pool_size = default_pool_size();
        Self { backend, place: place.into(), others: Vec::new(), demands_tls: false, pool_size }
    }

    /// The database of that URL, with as many connections as usual. By scheme, never by trial: SQLite would take any text for the
    /// name of a file.
    ///
    /// # Errors
    /// What is wrong with the URL, as the end of a sentence that begins with its name.
    pub fn of_url(url: &str) -> Result<Self, &'static str> {
        match url.split_once("://") {
            Some(("sqlite", file)) if !file.is_empty() => sqlite(file),
            Some(("postgres" | "postgresql", server)) if !server.is_empty() => postgres(url),
            Some(("mysql" | "mariadb", server)) if !server.is_empty() => mysql(server),
            _ => Err("must look like sqlite://relative.sqlite3, sqlite:///absolute.sqlite3, \
                      postgres://user:password@host/name or mysql://user:password@host/name, \
                      with @ : / # ? and % in a password written as %40 %3A %2F %23 %3F and %25"),
        }
    }

    /// Whether a URL holds a password.
    pub fn holds_password(url: &str) -> bool {
        let authority = url.split(['/', '?']).nth(2).unwrap_or_default();
        url.contains("password=") || user_and_hosts(authority).0.contains(':')
    }

    /// The file, where it is one that does not exist yet.
    pub fn missing_file(&self) -> Option<&Path> {
        let file = Path::new(self.place.expose_secret());
        (self.backend == Backend::Sqlite && !file.exists()).then_some(file)
    }

    /// Whether it is a file that does not exist yet.
    pub fn is_missing_file(&self) -> bool {
        self.missing_file().is_some()
    }
}

fn sqlite(file: &str) -> Result<DatabaseConfig, &'static str> {
    if !cfg!(feature = "sqlite") {
        return Err(
            "names SQLite, but this binary was built without it; build one with: cargo build --features sqlite",
        );
    }
    // Other programs take options there, and here they would be a part of the name.
    if file.contains(['?', '#']) {
        return Err(
            "must name a file without options for SQLite: sqlite://relative.sqlite3 or sqlite:///absolute.sqlite3",
        );
    }
    if file.starts_with(':') {
        return Err("must be a file: a database in memory is another one for each connection");
    }
    Ok(DatabaseConfig::new(Backend::Sqlite, file.to_owned()))
}

fn postgres(url: &str) -> Result<DatabaseConfig, &'static str> {
    if !cfg!(feature = "postgres") {
        return Err(
            "names PostgreSQL, but this binary was built without it; build one with: cargo build --features postgres",
        );
    }
    // libpq would take a part of the password for a host or a port, and say it.
    let authority =
        url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let is_port = |host: &str| match host.rsplit_once(':') {
        Some((before, port)) if !before.contains('[') || before.ends_with(']') => {
            port.bytes().all(|b| b.is_ascii_digit())
        }
        _ => true,
    };
    if authority.matches('@').count() > 1 || !hosts.split(',').all(is_port) {
        return Err(
            "can't be read: in a user or password write @ : / # ? and % as %40 %3A %2F %23 %3F and %25",
        );
    }
    Ok(DatabaseConfig::new(Backend::Postgres, url.to_owned()))
}

/// What diesel's client of MySQL reads of a URL.
const MYSQL_OPTIONS: [&str; 5] = ["ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket"];

/// A server, or several of one cluster: `user:password@one,two:3307,three/name`.
fn mysql(servers: &str) -> Result<DatabaseConfig, &'static str> {
    let (authority, place) = servers.split_at(servers.find(['/', '?']).unwrap_or(servers.len()));
    let (user, hosts) = user_and_hosts(authority);
    let one = |host| one_mysql(&format!("{user}{host}{place}"));
    let mut all = hosts.split(',').map(one);
    let first = all.next().ok_or("must name a host")??;
    let others = all.map(|other| other.map(|other| other.place)).collect::<Result<_, _>>()?;
    Ok(DatabaseConfig { others, ..first })
}

/// The client of MySQL ignores what it does not know, and takes `localhost` for the socket whatever the port; neither may happen
/// in silence.
fn one_mysql(server: &str) -> Result<DatabaseConfig, &'static str> {
    if !cfg!(feature = "mysql") {
        return Err(
            "names MySQL, but this binary was built without it; build one with: cargo build --features mysql",
        );
    }
    let mut url = Url::parse(&format!("mysql://{server}")).map_err(|_| {
        "must look like mysql://user:password@host/name, with @ : / # ? and % in a password written as %40 %3A %2F %23 %3F and %25"
    })?;
    if url.query_pairs().any(|(name, _)| !MYSQL_OPTIONS.contains(&&*name)) {
        return Err(
            "may have the options ssl_mode, ssl_ca, ssl_cert, ssl_key and unix_socket, spelled like this: the client of MySQL ignores all others",
        );
    }
    let option =
        |name| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.to_lowercase());
    let demands_tls = match option("ssl_mode").as_deref() {
        None | Some("disabled" | "preferred") => false,
        Some("required") => true,
        Some("verify_ca" | "verify_identity") => {
            return Err(
                "asks for ssl_mode=VERIFY_…, which the client of MariaDB does not obey; use ssl_mode=REQUIRED with ssl_ca on a network that you trust, or PostgreSQL with sslmode=verify-full",
            );
        }
        Some(_) => return Err("must have DISABLED, PREFERRED or REQUIRED as its ssl_mode"),
    };
    if url.host_str() == Some("localhost") && url.port().is_some() && option("unix_socket").is_none() {
        url.set_host(Some("127.0.0.1")).map_err(|_| "must name a host")?;
    }
    Ok(DatabaseConfig { demands_tls, ..DatabaseConfig::new(Backend::Mysql, url.into()) })
}

/// One connection for each thread of the workers (one worker for each core, actix-web's default) and of the couriers.
fn default_pool_size() -> u32 {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(THREADS_PER_WORKER * (workers + 1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<(Backend, String), &'static str> {
        DatabaseConfig::of_url(url).map(|config| (config.backend, config.place.expose_secret().to_owned()))
    }

    #[test]
    fn the_scheme_chooses_the_database() {
        assert_eq!(place("sqlite://a.sqlite3"), Ok((Backend::Sqlite, "a.sqlite3".to_owned())));
        assert_eq!(place("sqlite:///lib/a.sqlite3"), Ok((Backend::Sqlite, "/lib/a.sqlite3".to_owned())));
        for good in [
            "postgres:///n?host=/run",
            "postgres://u:p%40s@[::1]:5432/n",
            "postgres://u@a:1,b:2/n",
            "postgres://%2Frun/n",
        ] {
            assert_eq!(place(good).is_ok(), cfg!(feature = "postgres"), "{good}");
        }
        let server = "postgresql://ann@localhost/accounts";
        assert_eq!(place(server), Ok((Backend::Postgres, server.to_owned())));
        for bad in [
            "",
            "latchkey.sqlite3",
            "sqlite:a.sqlite3",
            "postgre://oops",
            "sqlite://",
            "sqlite://a.sqlite3?mode=rwc",
            "sqlite://:memory:",
            "postgres://u:p@ss@host/x",
            "postgres://u:s3cret/part@host/x",
            "mysql://",
            "oracle://a",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
        assert_eq!(place("mysql://localhost/a").is_ok(), cfg!(feature = "mysql"));
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn what_the_client_of_mysql_would_ignore_is_seen_to_or_refused() {
        let tls = |url: &str| DatabaseConfig::of_url(url).map(|config| config.demands_tls).ok();
        assert_eq!(tls("mysql://a:b@h/n"), Some(false));
        assert_eq!(tls("mysql://a:b@h/n?ssl_mode=REQUIRED"), Some(true));
        assert_eq!(tls("mysql://a:b@h/n?ssl_mode=Verify_Identity"), None);
        assert_eq!(tls("mysql://a:b@h/n?ssl_mode=verify_ca&ssl_ca=/x"), None);
        assert_eq!(tls("mysql://a:b@h/n?ssl_mode=yes"), None);
        for ignored in
            ["ssl-mode=REQUIRED", "SSL_MODE=REQUIRED", "tls=true", "sslmode=require", "useSSL=true"]
        {
            assert_eq!(tls(&format!("mysql://a:b@h/n?{ignored}")), None, "{ignored}");
        }
        let (_, with_port) = place("mariadb://a:b@localhost:13306/n").unwrap();
        assert_eq!(with_port, "mysql://a:b@127.0.0.1:13306/n");
        let cluster =
            DatabaseConfig::of_url("mysql://a:b@one,two:3307,localhost:3308/n?ssl_mode=REQUIRED").unwrap();
        let others: Vec<&str> = cluster.others.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(cluster.place.expose_secret(), "mysql://a:b@one/n?ssl_mode=REQUIRED");
        assert_eq!(
            others,
            ["mysql://a:b@two:3307/n?ssl_mode=REQUIRED", "mysql://a:b@127.0.0.1:3308/n?ssl_mode=REQUIRED"]
        );
        assert!(place("mysql://a:b@one,/n").is_err() && place("mysql://a:b@one:x,two/n").is_err());
        let (_, socket) = place("mysql://a:b@localhost/n").unwrap();
        assert_eq!(socket, "mysql://a:b@localhost/n");
    }
}
