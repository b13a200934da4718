//! One transaction, from behind its beginning to its end.

use std::time::Instant;

use diesel::Connection;
use diesel::connection::TransactionManager;

use super::after_commit;
use super::connection::DbConnection;
use super::error::{Error, TransactionError};

/// How a transaction ended.
pub(super) enum Ended<T, E> {
    Committed(T),
    /// Nothing of it happened.
    Undone(E),
    /// The answer to its COMMIT was lost: whether it took place cannot be known.
    Unknown(E),
}

impl<T, E> Ended<T, E> {
    pub(super) fn error(&self) -> Option<&E> {
        match self {
            Self::Committed(_) => None,
            Self::Undone(error) | Self::Unknown(error) => Some(error),
        }
    }
}

impl<T, E> From<Ended<T, E>> for Result<T, E> {
    fn from(ended: Ended<T, E>) -> Self {
        match ended {
            Ended::Committed(value) => Ok(value),
            Ended::Undone(error) | Ended::Unknown(error) => Err(error),
        }
    }
}

/// Runs what stands between the beginning of a transaction and its end. Nothing is committed after `deadline`: the
/// person who waited has already seen that it did not work.
pub(super) fn transaction<T, E: TransactionError>(
    conn: &mut DbConnection,
    work: impl Fn(&mut DbConnection) -> Result<T, E>,
    deadline: Instant,
) -> Ended<T, E> {
    type Transactions = <DbConnection as Connection>::TransactionManager;
    after_commit::forget();
    let in_time = || if Instant::now() < deadline { Ok(()) } else { Err(E::from(too_late())) };
    match in_time().and_then(|()| work(conn)).and_then(|value| in_time().map(|()| value)) {
        Ok(value) => match Transactions::commit_transaction(conn).map_err(Error::from) {
            Ok(()) => {
                after_commit::run();
                Ended::Committed(value)
            }
            Err(error) if error.is_lost() => Ended::Unknown(error.into()),
            Err(error) => Ended::Undone(error.into()),
        },
        Err(refusal) => {
            roll_back(conn);
            Ended::Undone(refusal)
        }
    }
}

/// Commits what was done; where that failed, rolls it back and returns the error.
pub(super) fn end<C: Connection, T, E: From<diesel::result::Error>>(
    conn: &mut C,
    done: Result<T, E>,
) -> Result<T, E> {
    match &done {
        Ok(_) => C::TransactionManager::commit_transaction(conn)?,
        Err(_) => roll_back(conn),
    }
    done
}

/// Rolls back. With a connection that is lost, its transaction has ended already.
fn roll_back<C: Connection>(conn: &mut C) {
    if let Err(error) = C::TransactionManager::rollback_transaction(conn).map_err(Error::from)
        && !error.is_lost()
    {
        log::warn!("a transaction was rolled back already: {error}");
    }
}

/// Nobody waits any more.
pub(super) fn too_late() -> Error {
    Error::Unavailable("no answer within five seconds".to_owned())
}
