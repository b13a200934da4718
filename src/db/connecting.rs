//! How a connection is made and set up, on each back end.

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
#[cfg(feature = "mysql")]
use diesel::prelude::*;
use diesel::r2d2::Error;
use secrecy::ExposeSecret;

use super::connection::DbConnection;
use crate::config::{Backend, DatabaseConfig};

/// Connects to the database that the settings name.
pub(super) fn connect(config: &DatabaseConfig) -> Result<DbConnection, Error> {
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
            let url = with_system_authorities(&with_defaults(place));
            let mut conn = diesel::pg::PgConnection::establish(&url).map_err(Error::ConnectionError)?;
            conn.batch_execute(POSTGRES_SESSION).map_err(Error::QueryError)?;
            Ok(DbConnection::Postgres(conn))
        }
        #[cfg(feature = "mysql")]
        Backend::Mysql => {
            let is_cluster = !config.others.is_empty();
            let mysql = |url: &str, demands_tls| {
                if is_cluster {
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

/// A server whose machine is gone answers nothing at all: five seconds are enough, unless the URL says otherwise. Of several servers
/// it must be the one that takes writes.
#[cfg(feature = "postgres")]
fn with_defaults(url: &str) -> String {
    let mut url = url.to_owned();
    let authority = url.split(['/', '?']).nth(2).unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let named = url.split(['?', '&']).find_map(|option| option.strip_prefix("host=")).unwrap_or_default();
    let are_several = hosts.contains(',') || named.contains(',');
    let attributes = are_several.then_some(("target_session_attrs", "read-write"));
    // The second of two must have its turn while somebody waits for a connection.
    let patience = ("connect_timeout", if are_several { "2" } else { "3" });
    for (name, value) in [patience, ("tcp_user_timeout", "5000")].into_iter().chain(attributes) {
        if !url.contains(name) {
            let joint = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{joint}{name}={value}");
        }
    }
    url
}

/// Where the URL asks for a certificate that is verified and names no authorities, those of the system count. (libpq looks into the
/// home of its user, and `system` into the folder of an OpenSSL that nobody installed.)
#[cfg(feature = "postgres")]
fn with_system_authorities(url: &str) -> String {
    let url = url.replace("&sslrootcert=system", "").replace("sslrootcert=system", "");
    if !url.contains("sslmode=verify-") || url.contains("sslrootcert=") {
        return url;
    }
    let Some(store) = openssl_probe::probe().cert_file else { return url };
    format!("{url}&sslrootcert={}", store.display())
}

/// How long a machine of a cluster may take to answer at all: its client would wait for minutes.
#[cfg(feature = "mysql")]
const REACH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Refuses a machine that is gone, so that another one has its turn.
#[cfg(feature = "mysql")]
fn require_reachable(url: &str) -> Result<(), Error> {
    let refused = |why: String| Error::ConnectionError(diesel::ConnectionError::BadConnection(why));
    let place = url::Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let addresses = place.socket_addrs(|| Some(3306)).map_err(|error| refused(error.to_string()))?;
    let answers = |address| std::net::TcpStream::connect_timeout(address, REACH_TIMEOUT).is_ok();
    if addresses.iter().any(answers) {
        Ok(())
    } else {
        Err(refused("Can't connect to a node of the cluster".to_owned()))
    }
}

/// Connects to one server, and refuses one that cannot serve: of several another one may.
#[cfg(feature = "mysql")]
fn mysql(url: &str, demands_tls: bool) -> Result<DbConnection, Error> {
    use Error::{ConnectionError, QueryError};
    let mut conn = diesel::mysql::MysqlConnection::establish(url).map_err(ConnectionError)?;
    conn.batch_execute(MYSQL_SESSION).map_err(QueryError)?;
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
const MYSQL_SESSION: &str = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE', \
    innodb_lock_wait_timeout = 3; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
