//! What is kept and shared. Each file owns one table: others call its functions with a connection that is
//! inside their own transaction, and never name its columns.

pub mod events;
pub mod links;
pub mod mail_budgets;
pub mod outbox;
pub mod pictures;
pub mod sign_ins;
pub mod users;
pub mod verifications;

use crate::identity::{Id, Moment};

/// A place in a list that shows the newest first: what follows is older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The time of the last row before it.
    pub at: Moment,
    /// Its identifier, for rows of the same time.
    pub id: Id,
}

/// Keeps what follows a [`Point`]. The first bound alone is what an index can use.
macro_rules! older_than {
    ($query:expr, $point:expr, $at:expr, $id:expr) => {
        match $point {
            Some(point) => {
                $query.filter($at.le(point.at)).filter($at.lt(point.at).or($id.lt(point.id.clone())))
            }
            None => $query,
        }
    };
}
pub(crate) use older_than;
