//! What went wrong with the database, and whether it makes sense to try again.

use diesel::result::DatabaseErrorKind;

use super::signs::{self, Meaning};

/// How often a transaction is run at most, when another one was first.
const MAX_RUNS: u32 = 6;

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Away, locked or full: it may be back soon.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection is dead, or leads to a server that is not the right one any more. Another one may live.
    #[error("the connection to the database is lost: {0}")]
    Lost(String),
    /// It refused a statement.
    #[error("the database refused: {0}")]
    Query(diesel::result::Error),
    /// It is none that we can work with.
    #[error("{0}")]
    Unfit(&'static str),
    /// A copy was not made; nothing was changed.
    #[error("nothing was copied: {0}")]
    NotCopied(&'static str),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        use DatabaseErrorKind::{ClosedConnection, ReadOnlyTransaction, UnableToSendCommand, Unknown};
        use diesel::result::Error::{BrokenTransactionManager, DatabaseError, RollbackErrorOnCommit};
        let error = match error {
            // A full disk rolls back by itself; the cause is what counts.
            RollbackErrorOnCommit { commit_error, .. } => *commit_error,
            error => error,
        };
        match &error {
            DatabaseError(ClosedConnection | ReadOnlyTransaction | UnableToSendCommand, _)
            | BrokenTransactionManager => Self::Lost(error.to_string()),
            // Of the other kinds a message may hold what somebody typed, and decides nothing.
            DatabaseError(Unknown, info) => match signs::meaning(info.message()) {
                Some(Meaning::Lost) => Self::Lost(error.to_string()),
                Some(Meaning::NotNow) => Self::Unavailable(error.to_string()),
                None => Self::Query(error),
            },
            _ => Self::Query(error),
        }
    }
}

impl Error {
    /// Whether the connection is dead.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// Whether it is about the database as a whole, and told as an outage.
    pub fn is_of_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Lost(_))
    }

    /// Whether another transaction was first: the same work, run again, sees what that one did.
    fn lost_a_race(&self) -> bool {
        use diesel::result::Error::DatabaseError;
        let Self::Query(DatabaseError(kind, info)) = self else { return false };
        matches!(kind, DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure)
            || info.message().to_ascii_lowercase().contains("deadlock")
    }
}

/// How often a transaction was undone so far.
#[derive(Default)]
pub(super) struct Undone {
    races: u32,
    losses: u32,
}

impl Undone {
    /// Counts why it was undone, and says whether it is run again: when another one was first, or, once, over a new connection.
    pub(super) fn grant_another_run(&mut self, why: &Error) -> bool {
        self.races += u32::from(why.lost_a_race());
        self.losses += u32::from(why.is_lost());
        (why.lost_a_race() && self.races < MAX_RUNS) || (why.is_lost() && self.losses < 2)
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
    fn what_somebody_typed_decides_nothing() {
        let typed = "Duplicate entry 'server has gone away' for key 'users_x'";
        let taken = error(DatabaseErrorKind::UniqueViolation, typed);
        assert!(taken.lost_a_race() && !taken.is_lost());
        let refused = error(DatabaseErrorKind::CheckViolation, "server has gone away");
        assert!(matches!(refused, Error::Query(_)));
    }

    #[test]
    fn whoever_lost_a_race_goes_again_and_whoever_lost_the_connection_once() {
        let raced = error(DatabaseErrorKind::SerializationFailure, "could not serialize access");
        let read_only = "cannot execute UPDATE in a read-only transaction";
        let lost = error(DatabaseErrorKind::ReadOnlyTransaction, read_only);
        let mut so_far = Undone::default();
        assert!((1..MAX_RUNS).all(|_| so_far.grant_another_run(&raced)) && !so_far.grant_another_run(&raced));
        let mut so_far = Undone::default();
        assert!(
            so_far.grant_another_run(&raced)
                && so_far.grant_another_run(&lost)
                && !so_far.grant_another_run(&lost)
        );
    }

    #[test]
    fn a_deadlock_is_a_race() {
        for raced in
            ["deadlock detected", "Deadlock found when trying to get lock; try restarting transaction"]
        {
            assert!(error(DatabaseErrorKind::Unknown, raced).lost_a_race(), "{raced}");
        }
        assert!(matches!(error(DatabaseErrorKind::Unknown, "no such table: users"), Error::Query(_)));
    }
}
