//! What a code or a link is for. One made for one purpose is worth nothing for another.

use diesel::sql_types::Text;

/// What a one-time code confirms.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum CodePurpose {
    /// The email address of a new account.
    SignUp,
    /// The new email address of an account.
    ChangeEmail,
}

/// What a link with a secret does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum LinkPurpose {
    ResetPassword,
    /// Restore the email address that an account had before.
    UndoEmail,
}

impl CodePurpose {
    /// The word in the database and in what is hashed.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::ChangeEmail => "change-email",
        }
    }

    /// Reads a word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::SignUp, Self::ChangeEmail].into_iter().find(|purpose| purpose.as_str() == word)
    }
}

impl LinkPurpose {
    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ResetPassword => "reset-password",
            Self::UndoEmail => "undo-email",
        }
    }

    /// Reads a word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::ResetPassword, Self::UndoEmail].into_iter().find(|purpose| purpose.as_str() == word)
    }
}
