//! What somebody may do.

use diesel::sql_types::Text;

use super::{Sentence, t};

/// The four roles. Sign-up is open for [`Role::User`] and [`Role::Merchant`] alone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum Role {
    User,
    /// An account of somebody who sells.
    Merchant,
    /// Sees the admin pages and changes nothing there.
    Staff,
    /// May change what the admin pages show.
    Superuser,
}

super::serialize_as_text!(Role);

impl Role {
    /// Every role, in the order of power.
    pub const ALL: [Self; 4] = [Self::User, Self::Merchant, Self::Staff, Self::Superuser];

    /// The word in paths and in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Merchant => "merchant",
            Self::Staff => "staff",
            Self::Superuser => "superuser",
        }
    }

    /// What it is called on a page.
    pub fn name(self) -> Sentence {
        match self {
            Self::User => t("User"),
            Self::Merchant => t("Merchant"),
            Self::Staff => t("Staff"),
            Self::Superuser => t("Superuser"),
        }
    }

    /// The role of that word, in exactly that spelling.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether somebody may sign up for it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::User | Self::Merchant)
    }

    /// Whether it sees the admin pages.
    pub fn sees_admin(self) -> bool {
        matches!(self, Self::Staff | Self::Superuser)
    }
}
