//! How each database says "not any more", "not me" and "not now". (Not every client has a code for it, so that words count;
//! they are those of the servers' sources.)

/// What a message means for the connection that it came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The connection is dead, or its server has become one that does not write: another connection may lead to the right one.
    Lost,
    /// The server cannot just now, and would say the same to anybody.
    NotNow,
}

/// A part of a message, and what it means.
type Sign = (&'static str, Meaning);

use Meaning::{Lost, NotNow};

#[rustfmt::skip]
const POSTGRES: &[Sign] = &[
    // libpq, of the way there.
    ("server closed the connection", Lost),
    ("connection to server", Lost),
    ("no connection to the server", Lost),
    ("could not receive data", Lost),
    ("could not send data", Lost),
    ("SSL connection has been closed", Lost),
    ("SSL SYSCALL error", Lost),
    ("unexpected EOF", Lost),
    // 57P01 to 57P05, 25006 by its kind, 57P03.
    ("terminating connection", Lost),
    ("the database system is", Lost),
    ("read-only transaction", Lost),
    ("conflict with recovery", Lost),
    ("idle-session timeout", Lost),
    // A pooler, or tables that changed below a prepared statement.
    ("server conn crashed", Lost),
    ("query_wait_timeout", Lost),
    ("client_idle_timeout", Lost),
    ("pgbouncer", Lost),
    ("prepared statement", Lost),
    ("cached plan must not change", Lost),
    ("statement timeout", NotNow),
    ("lock timeout", NotNow),
    ("canceling statement", NotNow),
    ("could not obtain lock", NotNow),
    ("No space left", NotNow),
    ("disk full", NotNow),
    ("could not extend file", NotNow),
    ("out of memory", NotNow),
    ("out of shared memory", NotNow),
    ("too many clients", NotNow),
    ("remaining connection slots", NotNow),
    ("too many connections for", NotNow),
    ("permission denied for", NotNow),
    ("not accepting commands", NotNow),
    ("not currently accepting connections", NotNow),
    ("could not write", NotNow),
    ("could not fsync", NotNow),
    ("during recovery", Lost),
    ("authentication failed for user", NotNow),
    ("is not permitted to log in", NotNow),
];

#[rustfmt::skip]
const MYSQL: &[Sign] = &[
    // 2006, 2013, 2055, 1927, 1053, 1077, 4031.
    ("gone away", Lost),
    ("Lost connection", Lost),
    ("Connection was killed", Lost),
    ("Server shutdown in progress", Lost),
    ("disconnected by the server because of inactivity", Lost),
    ("Got timeout reading communication packets", Lost),
    ("Commands out of sync", Lost),
    ("Can't connect to", Lost),
    // 1290, 1836, 1792: demoted. 1047: a node of Galera that is not in the cluster.
    ("read-only option", Lost),
    ("super-read-only", Lost),
    ("read-only mode", Lost),
    ("READ ONLY transaction", Lost),
    ("READ_ONLY", Lost),
    ("WSREP has not yet prepared", Lost),
    // 1180: the node left its cluster in the middle of one; whether it counts there, nobody here knows.
    ("during COMMIT", Lost),
    ("Lock wait timeout", NotNow),
    ("Query execution was interrupted", NotNow),
    ("max_statement_time exceeded", NotNow),
    ("Disk full", NotNow),
    ("No space left", NotNow),
    ("is full", NotNow),
    ("Out of memory", NotNow),
    ("Too many connections", NotNow),
    ("max_user_connections", NotNow),
    ("command denied to user", NotNow),
    ("Error writing file", NotNow),
    ("from storage engine", NotNow),
    ("has exceeded the", NotNow),
    ("total number of locks exceeds", NotNow),
    ("Access denied for user", NotNow),
    ("is not allowed to connect", NotNow),
    ("is blocked because of many connection errors", NotNow),
    // 3101: a group that could not agree. 3032: offline. InnoDB that was started to be looked at.
    ("instructed the server to rollback", NotNow),
    ("offline mode", Lost),
    ("read only mode", Lost),
];

#[rustfmt::skip]
const SQLITE: &[Sign] = &[
    ("database is locked", NotNow),
    ("table is locked", NotNow),
    ("locking protocol", NotNow),
    ("disk is full", NotNow),
    ("disk I/O error", NotNow),
    ("readonly database", Lost),
    ("unable to open database", Lost),
    ("is malformed", Lost),
    ("is not a database", Lost),
    ("out of memory", NotNow),
];

/// What a message of any of the databases means, where it is about the database and not about a statement.
pub(super) fn meaning(message: &str) -> Option<Meaning> {
    let known = POSTGRES.iter().chain(MYSQL).chain(SQLITE);
    known.into_iter().find(|(part, _)| message.contains(part)).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages as the servers sent them.
    #[test]
    fn what_the_databases_say_is_understood() {
        for lost in [
            "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally",
            "FATAL:  terminating connection due to administrator command",
            "FATAL:  terminating connection due to idle-session timeout",
            "cannot execute INSERT in a read-only transaction",
            "FATAL:  the database system is shutting down",
            "FATAL:  the database system is in recovery mode",
            "Got error 6 \"No such device or address\" during COMMIT",
            "canceling statement due to conflict with recovery",
            "prepared statement \"__diesel_stmt_4\" does not exist",
            "bind message supplies 1 parameters, but prepared statement \"__diesel_stmt_4\" requires 2",
            "cached plan must not change result type",
            "Server has gone away",
            "Lost connection to server during query",
            "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.",
            "The MariaDB server is running with the --read-only option so it cannot execute this statement",
            "The MySQL server is running with the --super-read-only option so it cannot execute this statement",
            "Cannot execute statement in a READ ONLY transaction",
            "WSREP has not yet prepared node for application use",
            "Server shutdown in progress",
            "attempt to write a readonly database",
            "cannot execute UPDATE during recovery",
            "The server is currently in offline mode",
            "InnoDB is in read only mode.",
        ] {
            assert_eq!(meaning(lost), Some(Lost), "{lost}");
        }
        for not_now in [
            "database is locked",
            "database or disk is full",
            "canceling statement due to lock timeout",
            "canceling statement due to statement timeout",
            "could not extend file \"base/5/2663\": No space left on device",
            "Lock wait timeout exceeded; try restarting transaction",
            "The table 'users' is full",
            "INSERT command denied to user 'app'@'localhost' for table `accounts`.`users`",
            "permission denied for table users",
            "database is not accepting commands that assign new transaction IDs to avoid wraparound data loss in database \"app\"",
            "FATAL:  database \"app\" is not currently accepting connections",
            "could not write block 3 of temporary file: No space",
            "FATAL:  password authentication failed for user \"app\"",
            "Got error 28 \"No space left on device\" from storage engine InnoDB",
            "Got error 28 from storage engine",
            "User 'app' has exceeded the 'max_questions' resource (current value: 10)",
            "Plugin instructed the server to rollback the current transaction.",
            "Access denied for user 'app'@'localhost' (using password: YES)",
            "The total number of locks exceeds the lock table size",
        ] {
            assert_eq!(meaning(not_now), Some(NotNow), "{not_now}");
        }
        assert_eq!(meaning("no such table: users"), None);
        assert_eq!(meaning("column \"x\" does not exist"), None);
    }
}
