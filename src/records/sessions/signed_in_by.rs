//! What somebody signed in with, as the row of their session remembers it.

use diesel::sql_types::Text;

use crate::db::columns::text_column;
use crate::identity::serialize_as_text;

/// What somebody signed in with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Text)]
pub enum SignedInBy {
    Password,
    /// The code that confirmed a new account.
    Code,
    /// The password, and the code of an authenticator.
    PasswordAndCode,
    PasswordAndRecoveryCode,
    /// The password, on a device where a code was given not long ago.
    PasswordOnTrustedDevice,
    PasswordAndPasskey,
    /// A passkey alone, which has seen to it that it was its person.
    Passkey,
    /// A code that was emailed.
    EmailedCode,
    /// That, and the code of an authenticator.
    EmailedCodeAndCode,
    EmailedCodeAndRecoveryCode,
    EmailedCodeAndPasskey,
}

text_column!(SignedInBy, |text| SignedInBy::ALL.into_iter().find(|by| by.as_str() == text));

impl SignedInBy {
    const ALL: [Self; 11] = [
        Self::Password,
        Self::Code,
        Self::PasswordAndCode,
        Self::PasswordAndRecoveryCode,
        Self::PasswordOnTrustedDevice,
        Self::PasswordAndPasskey,
        Self::Passkey,
        Self::EmailedCode,
        Self::EmailedCodeAndCode,
        Self::EmailedCodeAndRecoveryCode,
        Self::EmailedCodeAndPasskey,
    ];

    /// Whether the second step of signing in was taken.
    pub fn has_second_step(self) -> bool {
        match self {
            Self::PasswordAndCode
            | Self::PasswordAndRecoveryCode
            | Self::PasswordAndPasskey
            | Self::Passkey
            | Self::EmailedCodeAndCode
            | Self::EmailedCodeAndRecoveryCode
            | Self::EmailedCodeAndPasskey => true,
            Self::Password | Self::Code | Self::PasswordOnTrustedDevice | Self::EmailedCode => false,
        }
    }

    /// Whether the password was given, or what stands for it.
    pub fn has_password(self) -> bool {
        match self {
            Self::Password
            | Self::Code
            | Self::PasswordAndCode
            | Self::PasswordAndRecoveryCode
            | Self::PasswordOnTrustedDevice
            | Self::PasswordAndPasskey
            | Self::Passkey => true,
            Self::EmailedCode
            | Self::EmailedCodeAndCode
            | Self::EmailedCodeAndRecoveryCode
            | Self::EmailedCodeAndPasskey => false,
        }
    }

    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Code => "code",
            Self::PasswordAndCode => "password-code",
            Self::PasswordAndRecoveryCode => "password-recovery-code",
            Self::PasswordOnTrustedDevice => "password-trusted-device",
            Self::PasswordAndPasskey => "password-passkey",
            Self::Passkey => "passkey",
            Self::EmailedCode => "emailed-code",
            Self::EmailedCodeAndCode => "emailed-code-code",
            Self::EmailedCodeAndRecoveryCode => "emailed-code-recovery-code",
            Self::EmailedCodeAndPasskey => "emailed-code-passkey",
        }
    }
}

serialize_as_text!(SignedInBy);
