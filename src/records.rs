//! What is kept. Each file owns one table: others call its functions with a connection that is inside their own
//! transaction, and never name its columns. ([`transfer`] copies whole rows.)

pub mod app_sessions;
pub mod events;
pub mod links;
pub mod mail_budgets;
pub mod outbox;
pub mod retention;
pub mod sessions;
pub mod transfer;
pub mod two_factor;
pub mod users;
pub mod verifications;

use crate::identity::{Id, Moment};

/// The last row of a page of a list that shows the newest first: what follows is older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub at: Moment,
    /// Its identifier, for rows of the same time.
    pub id: Id,
}

/// Keeps what follows a [`Cursor`]. The first bound alone is what an index can use.
macro_rules! older_than {
    ($query:expr, $cursor:expr, $at:expr, $id:expr) => {
        match $cursor {
            Some(cursor) => {
                $query.filter($at.le(cursor.at)).filter($at.lt(cursor.at).or($id.lt(cursor.id.clone())))
            }
            None => $query,
        }
    };
}
pub(crate) use older_than;
