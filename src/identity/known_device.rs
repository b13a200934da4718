//! A device on which an account signed in before.

use super::{Id, TokenDigest, random_name};

/// A device that is known for an account, under a name for that account alone. It stays known until the account forgets its
/// devices, which begins another epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDevice {
    user: String,
    name: String,
    epoch: i32,
}

impl KnownDevice {
    /// Names a device for an account.
    pub fn new(user: &Id, epoch: i32) -> Self {
        Self { user: user.as_str().to_owned(), name: random_name(), epoch }
    }

    /// Reads what [`KnownDevice::lane`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, rest) = text.split_once(' ')?;
        let (name, epoch) = rest.split_once(' ')?;
        Some(Self { user: user.to_owned(), name: name.to_owned(), epoch: epoch.parse().ok()? })
    }

    /// Names account and device together, for cookies, limits and budgets.
    pub fn lane(&self) -> String {
        format!("{} {} {}", self.user, self.name, self.epoch)
    }

    /// What to store of it: its name has 128 random bits.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.lane().as_bytes())
    }

    /// Whether it is known for an account in its present epoch.
    pub fn is_known_for(&self, user: &Id, epoch: i32) -> bool {
        self.is_of(user) && self.epoch == epoch
    }

    /// Whether it is, or once was, known for an account.
    pub fn is_of(&self, user: &Id) -> bool {
        self.user == user.as_str()
    }
}
