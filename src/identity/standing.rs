//! Whether an account may be used.

/// Where an account stands. Blocked outweighs unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The address has not been confirmed yet.
    Unverified,
    /// In good standing.
    Active,
    /// Shut by a superuser, with the reason that the person is told.
    Blocked(String),
}
