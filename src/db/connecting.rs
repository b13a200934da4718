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

/// Whether a server is likely to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// As far as we know.
    Good,
    /// Nobody has been able to connect for a while.
    Doubtful,
}

/// Connects to the database that the settings name.
pub(super) fn connect(
    config: &DatabaseConfig,
    #[cfg_attr(not(feature = "mysql"), expect(unused_variables, reason = "other clients have limits"))]
    server: Server,
) -> Result<DbConnection, Error> {
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
            // Each probe leaves a warning in the server's log, so we probe only a cluster, and where there is doubt.
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

/// A server whose machine is gone answers nothing at all. Its connections end after three seconds, also those that wait for an answer,
/// unless the URL says otherwise.
#[cfg(feature = "postgres")]
const DEFAULTS: [(&str, &str); 4] = [
    ("tcp_user_timeout", "3000"),
    ("keepalives_idle", "2"),
    ("keepalives_interval", "1"),
    ("keepalives_count", "2"),
];

/// Adds the options that the URL leaves out. Of several servers, only the one that takes writes is used.
#[cfg(feature = "postgres")]
fn with_defaults(url: &str) -> String {
    let (place, options) = url.split_once('?').unwrap_or((url, ""));
    let options: Vec<&str> = options.split('&').filter(|option| !option.is_empty()).collect();
    let authority = place.split('/').nth(2).unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let are_several =
        hosts.contains(',') || value_of("host", &options).is_some_and(|hosts| hosts.contains(','));
    // Short enough to try the second of two servers while somebody waits.
    let patience = if are_several { "2" } else { "3" };
    let attributes = are_several.then_some(("target_session_attrs", "read-write"));
    let defaults = DEFAULTS.into_iter().chain([("connect_timeout", patience)]).chain(attributes);
    let defaults = defaults.filter(|(name, _)| value_of(name, &options).is_none());
    // What the URL says comes last, since the last one counts. What cannot be read stays, since libpq refuses it.
    let mut all: Vec<String> = defaults.map(|(name, value)| format!("{name}={value}")).collect();
    all.extend(with_system_authorities(&options, || AUTHORITIES.as_deref().and_then(Path::to_str)));
    format!("{place}?{}", all.join("&"))
}

#[cfg(feature = "postgres")]
fn value_of<'a>(name: &str, options: &[&'a str]) -> Option<&'a str> {
    options.iter().rev().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
}

/// Where the system keeps the certificate authorities that it trusts.
#[cfg(feature = "postgres")]
static AUTHORITIES: LazyLock<Option<PathBuf>> = LazyLock::new(|| openssl_probe::probe().cert_file);

/// Uses the system's certificate authorities where a certificate is to be verified and the options name none, or name `system`. (libpq
/// looks in the home of its user, and for `system` in the folder of an OpenSSL that nobody installed.)
#[cfg(feature = "postgres")]
fn with_system_authorities(options: &[&str], system: impl FnOnce() -> Option<&'static str>) -> Vec<String> {
    let mode = match (value_of("sslrootcert", options), value_of("sslmode", options)) {
        // As in libpq, `system` means `verify-full`: anybody has a certificate from some public authority, so the name must match,
        // too. libpq itself refuses the other modes.
        (Some("system"), None | Some("verify-full")) => Some("verify-full"),
        (None, Some(mode)) if mode.starts_with("verify-") => Some(mode),
        _ => None,
    };
    let trusted =
        mode.and_then(|mode| Some([format!("sslmode={mode}"), format!("sslrootcert={}", system()?)]));
    let is_replaced = |option: &str| {
        trusted.is_some() && ["sslmode=", "sslrootcert="].iter().any(|name| option.starts_with(name))
    };
    let others = options.iter().filter(|option| !is_replaced(option)).map(|option| (*option).to_owned());
    let others: Vec<String> = others.collect();
    others.into_iter().chain(trusted.into_iter().flatten()).collect()
}

/// How long a machine may take to accept a connection, and its server to send the first byte. The client itself would wait for ever.
#[cfg(feature = "mysql")]
const REACH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Refuses a server that is frozen or gone, so that another one has its turn.
#[cfg(feature = "mysql")]
fn require_reachable(url: &str) -> Result<(), Error> {
    let refused = |why: String| Error::ConnectionError(diesel::ConnectionError::BadConnection(why));
    let place = url::Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let is_socket = place.query_pairs().any(|(name, _)| name == "unix_socket");
    // Without a host, or at localhost without a port, the client takes its socket, too.
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
/// The same limits as PostgreSQL's; they also release the locks of a machine of ours that vanishes. (MySQL lacks some of them.)
#[cfg(feature = "mysql")]
pub(super) const MYSQL_LIMITS: &str = "SET innodb_lock_wait_timeout = 3, lock_wait_timeout = 3, wait_timeout = 660 \
    /*M!100300 , idle_transaction_timeout = 30, max_statement_time = 5 */";

#[cfg(feature = "postgres")]
#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Vec<(String, String)> {
        let url = url::Url::parse(&with_defaults(url)).unwrap();
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    fn trusted(given: &[&str]) -> Vec<String> {
        with_system_authorities(given, || Some("/all.pem"))
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
    fn what_cannot_be_read_is_left_to_libpq_which_refuses_it() {
        for unreadable in ["sslmode", "sslmode%3Dverify-full", "connect%5Ftimeout=9"] {
            let url = with_defaults(&format!("postgres://u@one/n?{unreadable}"));
            assert!(url.ends_with(&format!("&{unreadable}")), "{url}");
        }
    }

    #[test]
    fn the_authorities_of_the_system_are_never_trusted_without_looking() {
        let full = ["sslmode=verify-full", "sslrootcert=/all.pem"];
        assert_eq!(trusted(&["sslrootcert=system"]), full);
        assert_eq!(trusted(&["sslrootcert=system", "sslmode=verify-full"]), full);
        assert_eq!(trusted(&["sslmode=verify-full"]), full);
        // libpq refuses it.
        let weak = ["sslmode=require", "sslrootcert=system"];
        assert_eq!(trusted(&weak), weak);
        let own = ["sslmode=verify-ca", "sslrootcert=/own.pem"];
        assert_eq!(trusted(&own), own);
        assert!(trusted(&[]).is_empty());
        // Without any, libpq looks for itself.
        assert_eq!(with_system_authorities(&["sslrootcert=system"], || None), ["sslrootcert=system"]);
    }
}
