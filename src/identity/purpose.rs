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
    /// Whoever signs in without a password.
    SignIn,
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
    /// Take the account back from whoever else has it in hand.
    SecureAccount,
    /// Keep an account that is about to be deleted.
    KeepAccount,
    /// Keep the second step of signing in, of which somebody says that they have lost it.
    KeepTwoFactor,
}

super::serialize_as_text!(CodePurpose, LinkPurpose);

impl CodePurpose {
    /// The word in the database and in what is hashed.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::ChangeEmail => "change-email",
            Self::SignIn => "sign-in",
        }
    }

    /// Reads a word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::SignUp, Self::ChangeEmail, Self::SignIn].into_iter().find(|purpose| purpose.as_str() == word)
    }
}

impl LinkPurpose {
    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ResetPassword => "reset-password",
            Self::UndoEmail => "undo-email",
            Self::SecureAccount => "secure-account",
            Self::KeepAccount => "keep-account",
            Self::KeepTwoFactor => "keep-two-factor",
        }
    }

    /// Reads a word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::ResetPassword, Self::UndoEmail, Self::SecureAccount, Self::KeepAccount, Self::KeepTwoFactor]
            .into_iter()
            .find(|purpose| purpose.as_str() == word)
    }
}
