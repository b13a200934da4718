//! What went wrong with the database, and whether it makes sense to try again.

use diesel::result::DatabaseErrorKind;

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, locked or full: it may be back soon.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection is dead. Another one may live.
    #[error("the connection to the database is lost: {0}")]
    Lost(String),
    /// It refused a statement.
    #[error("the database refused: {0}")]
    Query(diesel::result::Error),
    /// A copy was not made; nothing was changed.
    #[error("nothing was copied: {0}")]
    NotCopied(&'static str),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::Error::{BrokenTransactionManager, DatabaseError, RollbackErrorOnCommit};
        let error = match error {
            // A full disk rolls back by itself; the cause is what counts.
            RollbackErrorOnCommit { commit_error, .. } => *commit_error,
            error => error,
        };
        match &error {
            // First of all: its message may hold what somebody typed.
            DatabaseError(
                DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure,
                _,
            ) => Self::Query(error),
            DatabaseError(DatabaseErrorKind::ClosedConnection, _) | BrokenTransactionManager => {
                Self::Lost(error.to_string())
            }
            DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => Self::Unavailable(error.to_string()),
            DatabaseError(_, info) if says(info.message(), &LOST) => Self::Lost(error.to_string()),
            DatabaseError(_, info) if says(info.message(), &AWAY) => Self::Unavailable(error.to_string()),
            _ => Self::Query(error),
        }
    }
}

/// How the clients say that a connection is dead. (Not every one of them has a code for it.)
const LOST: [&str; 9] = [
    "server closed the connection",
    "terminating connection",
    "no connection to the server",
    "connection to server",
    "could not receive data",
    "connection has been closed",
    "gone away",
    "Lost connection",
    "Connection was killed",
];
/// How the databases say that they cannot just now: a lock that is held, a disk that is full.
const AWAY: [&str; 9] = [
    "locked",
    "disk is full",
    "disk I/O error",
    "readonly database",
    "unable to open",
    "statement timeout",
    "lock timeout",
    "Lock wait timeout",
    "No space left",
];

fn says(message: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| message.contains(sign))
}

impl Error {
    /// Whether the connection is dead.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// Whether another transaction was first: the same work, run again, sees what that one did.
    pub(super) fn lost_a_race(&self) -> bool {
        use diesel::result::Error::DatabaseError;
        let Self::Query(DatabaseError(kind, info)) = self else { return false };
        matches!(kind, DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure)
            || info.message().to_ascii_lowercase().contains("deadlock")
    }
}

/// An error of a transaction's closure, which may or may not be the database's.
pub trait TransactionError: From<Error> {
    /// The database's error, if that is what it is.
    fn database(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as a client reports it, by its message alone.
    #[derive(Debug)]
    struct Said(&'static str);

    impl diesel::result::DatabaseErrorInformation for Said {
        fn message(&self) -> &str {
            self.0
        }
        fn details(&self) -> Option<&str> {
            None
        }
        fn hint(&self) -> Option<&str> {
            None
        }
        fn table_name(&self) -> Option<&str> {
            None
        }
        fn column_name(&self) -> Option<&str> {
            None
        }
        fn constraint_name(&self) -> Option<&str> {
            None
        }
        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    fn error(kind: DatabaseErrorKind, message: &'static str) -> Error {
        diesel::result::Error::DatabaseError(kind, Box::new(Said(message))).into()
    }

    #[test]
    fn what_the_clients_say_is_understood() {
        let unknown = |message| error(DatabaseErrorKind::Unknown, message);
        for dead in [
            "server closed the connection unexpectedly",
            "FATAL:  terminating connection due to administrator command",
            "Server has gone away",
            "Lost connection to server during query",
        ] {
            assert!(unknown(dead).is_lost(), "{dead}");
        }
        for busy in
            ["database is locked", "database or disk is full", "canceling statement due to lock timeout"]
        {
            assert!(matches!(unknown(busy), Error::Unavailable(_)), "{busy}");
        }
        for raced in
            ["deadlock detected", "Deadlock found when trying to get lock; try restarting transaction"]
        {
            assert!(unknown(raced).lost_a_race(), "{raced}");
        }
        let taken = error(
            DatabaseErrorKind::UniqueViolation,
            "Duplicate entry 'server has gone away' for key 'users_x'",
        );
        assert!(taken.lost_a_race() && !taken.is_lost(), "what somebody typed decides nothing");
        assert!(matches!(unknown("no such table: users"), Error::Query(_)));
    }
}
