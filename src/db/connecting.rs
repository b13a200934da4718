//! How a connection is made and set up, on each back end.

#[cfg(feature = "postgres")]
use std::path::{Path, PathBuf};
#[cfg(feature = "postgres")]
use std::sync::LazyLock;

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
#[cfg(feature = "mysql")]
use diesel::prelude::*;
use diesel::r2d2::Error;
use secrecy::ExposeSecret;

use super::connection::DbConnection;
use crate::config::{Backend, DatabaseConfig};

/// What is known of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// The last connection was made at once.
    Good,
    /// The last one has not been made, or not yet.
    Doubtful,
}

/// Connects to the database that the settings name.
pub(super) fn connect(config: &DatabaseConfig, server: Server) -> Result<DbConnection, Error> {
    let place = config.place.expose_secret();
    match config.backend {
        #[cfg(feature = "sqlite")]
        Backend::Sqlite => {
            let mut conn =
                diesel::sqlite::SqliteConnection::establish(place).map_err(Error::ConnectionError)?;
            conn.batch_execute(SQLITE_SESSION).map_err(Error::QueryError)?;
            Ok(DbConnection::Sqlite(conn))
        }
        #[cfg(feature = "postgres")]
        Backend::Postgres => {
            let url = with_defaults(place);
            let mut conn = diesel::pg::PgConnection::establish(&url).map_err(Error::ConnectionError)?;
            conn.batch_execute(POSTGRES_SESSION).map_err(Error::QueryError)?;
            Ok(DbConnection::Postgres(conn))
        }
        #[cfg(feature = "mysql")]
        Backend::Mysql => {
            // A server tells its operator of every connection that only looks.
            let is_looked_at = server == Server::Doubtful || !config.others.is_empty();
            let mysql = |url: &str, demands_tls| {
                if is_looked_at {
                    require_reachable(url)?;
                }
                mysql(url, demands_tls)
            };
            let first = mysql(place, config.demands_tls);
            let others = config.others.iter().map(ExposeSecret::expose_secret);
            // Where none serves, the first one's reason is told.
            others.fold(first, |found, other| {
                found.or_else(|why| mysql(other, config.demands_tls).map_err(|_| why))
            })
        }
        // The settings refused it already.
        #[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "mysql")))]
        other => Err(Error::ConnectionError(diesel::ConnectionError::BadConnection(format!(
            "not built for {other:?}"
        )))),
    }
}

/// A server whose machine is gone answers nothing at all. Its connections end after three seconds, those that wait for an answer
/// too, and the second of two servers has its turn while somebody waits; unless the URL says otherwise.
#[cfg(feature = "postgres")]
const DEFAULTS: [(&str, &str); 4] = [
    ("tcp_user_timeout", "3000"),
    ("keepalives_idle", "2"),
    ("keepalives_interval", "1"),
    ("keepalives_count", "2"),
];

/// Where the system keeps the authorities that it trusts.
#[cfg(feature = "postgres")]
static AUTHORITIES: LazyLock<Option<PathBuf>> = LazyLock::new(|| openssl_probe::probe().cert_file);

/// Says what the URL leaves open. Of several servers it must be the one that takes writes.
#[cfg(feature = "postgres")]
fn with_defaults(url: &str) -> String {
    let (place, options) = url.split_once('?').unwrap_or((url, ""));
    let authority = place.split('/').nth(2).unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let mut options: Vec<(&str, &str)> =
        options.split('&').filter_map(|option| option.split_once('=')).collect();
    let are_several =
        hosts.contains(',') || options.iter().any(|(name, value)| *name == "host" && value.contains(','));
    let patience = if are_several { "2" } else { "3" };
    let attributes = are_several.then_some(("target_session_attrs", "read-write"));
    for default in DEFAULTS.into_iter().chain([("connect_timeout", patience)]).chain(attributes) {
        if !options.iter().any(|(name, _)| *name == default.0) {
            options.push(default);
        }
    }
    trust_system_authorities(&mut options, || AUTHORITIES.as_deref().and_then(Path::to_str));
    let options: Vec<_> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{place}?{}", options.join("&"))
}

/// Where a certificate is to be verified and no authorities are named, or those of the system are, these count. (libpq looks into the
/// home of its user, and `system` into the folder of an OpenSSL that nobody installed.)
#[cfg(feature = "postgres")]
fn trust_system_authorities<'a>(
    options: &mut Vec<(&'a str, &'a str)>,
    system: impl FnOnce() -> Option<&'a str>,
) {
    const SYSTEM: (&str, &str) = ("sslrootcert", "system");
    let mode = options.iter().find(|(name, _)| *name == "sslmode").map(|(_, mode)| *mode);
    // As libpq has it: the system's authorities without a full check would be no check. It refuses other modes itself.
    if options.contains(&SYSTEM) && matches!(mode, None | Some("verify-full")) {
        options.retain(|option| *option != SYSTEM && option.0 != "sslmode");
        options.push(("sslmode", "verify-full"));
    } else if !mode.is_some_and(|mode| mode.starts_with("verify-")) {
        return;
    }
    let is_named = options.iter().any(|(name, _)| *name == "sslrootcert");
    if !is_named {
        options.extend(system().map(|store| ("sslrootcert", store)));
    }
}

/// How long a machine may take to answer at all, and its server to say the first word: the client would wait for ever.
#[cfg(feature = "mysql")]
const REACH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Refuses a server that is frozen or gone, so that another one has its turn.
#[cfg(feature = "mysql")]
fn require_reachable(url: &str) -> Result<(), Error> {
    let refused = |why: String| Error::ConnectionError(diesel::ConnectionError::BadConnection(why));
    let place = url::Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let is_socket = place.query_pairs().any(|(name, _)| name == "unix_socket");
    // Without a port the client takes its socket, too.
    if is_socket || matches!(place.host_str(), None | Some("localhost")) {
        return Ok(());
    }
    let addresses = place.socket_addrs(|| Some(3306)).map_err(|error| refused(error.to_string()))?;
    if addresses.iter().any(|address| greets(address).is_ok()) {
        Ok(())
    } else {
        Err(refused("Can't connect to the server: it does not answer".to_owned()))
    }
}

/// Waits for the first byte of a server's greeting.
#[cfg(feature = "mysql")]
fn greets(address: &std::net::SocketAddr) -> std::io::Result<()> {
    let mut stream = std::net::TcpStream::connect_timeout(address, REACH_TIMEOUT)?;
    stream.set_read_timeout(Some(REACH_TIMEOUT))?;
    std::io::Read::read_exact(&mut stream, &mut [0])
}

/// Connects to one server, and refuses one that cannot serve: of several another one may.
#[cfg(feature = "mysql")]
fn mysql(url: &str, demands_tls: bool) -> Result<DbConnection, Error> {
    use Error::{ConnectionError, QueryError};
    let mut conn = diesel::mysql::MysqlConnection::establish(url).map_err(ConnectionError)?;
    conn.batch_execute(MYSQL_SESSION).map_err(QueryError)?;
    conn.batch_execute(MYSQL_LIMITS).map_err(QueryError)?;
    if demands_tls {
        require_tls(&mut conn)?;
    }
    if shown(&mut conn, "VARIABLES LIKE 'wsrep_on'")?.as_deref() == Some("ON") {
        // A node that has left its cluster takes connections, and refuses all else.
        if shown(&mut conn, "STATUS LIKE 'wsrep_ready'")?.as_deref() != Some("ON") {
            let why = "this node of the cluster does not serve (wsrep_ready is OFF)";
            return Err(ConnectionError(diesel::ConnectionError::BadConnection(why.to_owned())));
        }
        // What was acknowledged at another node, like a sign-out, counts here before the next row is read.
        conn.batch_execute("SET SESSION wsrep_sync_wait = 1").map_err(QueryError)?;
    }
    Ok(DbConnection::Mysql(conn))
}

/// What the server shows under a name; nothing where it knows no such name.
#[cfg(feature = "mysql")]
fn shown(conn: &mut diesel::mysql::MysqlConnection, what: &'static str) -> Result<Option<String>, Error> {
    #[derive(diesel::QueryableByName)]
    struct Shown {
        #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
        value: String,
    }
    let shown = diesel::sql_query(format!("SHOW {what}")).get_result::<Shown>(conn).optional();
    shown.map(|row| row.map(|row| row.value)).map_err(Error::QueryError)
}

/// Refuses a connection in clear: the client takes REQUIRED for a wish.
#[cfg(feature = "mysql")]
fn require_tls(conn: &mut diesel::mysql::MysqlConnection) -> Result<(), Error> {
    #[derive(diesel::QueryableByName)]
    struct Cipher {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let query = "SELECT VARIABLE_VALUE AS value FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'SSL_CIPHER'";
    let newer = query.replace("information_schema.SESSION_STATUS", "performance_schema.session_status");
    let cipher = diesel::sql_query(query)
        .get_result::<Cipher>(conn)
        .or_else(|_| diesel::sql_query(newer).get_result::<Cipher>(conn))
        .map_err(Error::QueryError)?;
    if cipher.value.is_empty() {
        let why =
            "DATABASE_URL asks for TLS (ssl_mode=REQUIRED), but the connection isn't encrypted; add ssl_ca";
        return Err(Error::ConnectionError(diesel::ConnectionError::BadConnection(why.to_owned())));
    }
    Ok(())
}

/// FULL: what was acknowledged survives a power cut. `secure_delete`: what is erased is gone from the file, too.
/// `busy_timeout` first: the others may have to wait.
#[cfg(feature = "sqlite")]
const SQLITE_SESSION: &str = "PRAGMA busy_timeout = 3000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;";
/// Nobody waits for an answer for longer than five seconds (see `QUERY_TIMEOUT`), so neither does the server.
#[cfg(feature = "postgres")]
const POSTGRES_SESSION: &str = "SET timezone = 'UTC'; SET statement_timeout = '5s'; SET lock_timeout = '3s'; \
    SET idle_in_transaction_session_timeout = '30s'; SET application_name = 'latchkey'; \
    SET client_encoding = 'UTF8'";
/// READ COMMITTED as PostgreSQL has it: what waits for a row sees the row as it is then. Strict: no silent cut.
#[cfg(feature = "mysql")]
const MYSQL_SESSION: &str = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE'; \
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// The same limits as PostgreSQL's; and a machine of ours that vanishes takes its locks with it. (MySQL has no limit of some.)
#[cfg(feature = "mysql")]
pub(super) const MYSQL_LIMITS: &str = "SET innodb_lock_wait_timeout = 3, lock_wait_timeout = 3, wait_timeout = 660 \
    /*M!100300 , idle_transaction_timeout = 30, max_statement_time = 5 */";

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    fn of(url: &str) -> Vec<(String, String)> {
        let url = url::Url::parse(&with_defaults(url)).unwrap();
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    fn trusted(given: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let mut options = given.to_vec();
        trust_system_authorities(&mut options, || Some("/all.pem"));
        options
    }

    #[test]
    fn what_a_url_says_stays_and_what_it_leaves_open_has_limits() {
        let open = of("postgres://u:connect_timeout@one/n");
        assert!(open.contains(&("connect_timeout".to_owned(), "3".to_owned())), "{open:?}");
        assert!(!open.iter().any(|(name, _)| name == "target_session_attrs"), "{open:?}");
        let said = of("postgres://u@one,two/n?keepalives_idle=9&connect_timeout=7");
        let count = |name: &str| said.iter().filter(|(known, _)| known == name).count();
        assert!(said.contains(&("connect_timeout".to_owned(), "7".to_owned())), "{said:?}");
        assert!(said.contains(&("target_session_attrs".to_owned(), "read-write".to_owned())), "{said:?}");
        assert_eq!((count("keepalives_idle"), count("connect_timeout")), (1, 1), "{said:?}");
    }

    #[test]
    fn the_authorities_of_the_system_are_never_trusted_without_looking() {
        let full = vec![("sslmode", "verify-full"), ("sslrootcert", "/all.pem")];
        assert_eq!(trusted(&[("sslrootcert", "system")]), full);
        assert_eq!(trusted(&[("sslrootcert", "system"), ("sslmode", "verify-full")]), full);
        assert_eq!(trusted(&[("sslmode", "verify-full")]), full);
        // libpq refuses it.
        let weak = [("sslmode", "require"), ("sslrootcert", "system")];
        assert_eq!(trusted(&weak), weak);
        let own = [("sslmode", "verify-ca"), ("sslrootcert", "/own.pem")];
        assert_eq!(trusted(&own), own);
        assert_eq!(trusted(&[]), []);
    }
}
