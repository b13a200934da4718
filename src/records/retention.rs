//! How long everything is kept: the table that housekeeping forgets by, and that the privacy page shows.

use std::time::Duration;

use diesel::QueryResult;

use super::two_factor::{second_steps, trusted_devices};
use super::users::UNVERIFIED_LIFETIME;
use super::{app_sessions, events, links, mail_budgets, outbox, sessions, users, verifications};
use crate::config::Config;
use crate::db::Connection;
use crate::identity::{Moment, Sentence, t};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// What the database keeps about people, by the tables that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Account,
    SignUps,
    Codes,
    Links,
    Sessions,
    AppSessions,
    Authenticators,
    Passkeys,
    RecoveryCodes,
    SecondSteps,
    TrustedDevices,
    Mails,
    MailBudgets,
    Events,
}

impl Kept {
    /// All of it.
    pub const ALL: [Self; 14] = [
        Self::Account,
        Self::SignUps,
        Self::Codes,
        Self::Links,
        Self::Sessions,
        Self::AppSessions,
        Self::Authenticators,
        Self::Passkeys,
        Self::RecoveryCodes,
        Self::SecondSteps,
        Self::TrustedDevices,
        Self::Mails,
        Self::MailBudgets,
        Self::Events,
    ];

    /// The table that holds it.
    pub fn table(self) -> &'static str {
        match self {
            Self::Account | Self::SignUps => "users",
            Self::Codes => "verifications",
            Self::Links => "links",
            Self::Sessions => "sessions",
            Self::AppSessions => "app_sessions",
            Self::Authenticators => "authenticators",
            Self::Passkeys => "passkeys",
            Self::RecoveryCodes => "recovery_codes",
            Self::SecondSteps => "second_steps",
            Self::TrustedDevices => "trusted_devices",
            Self::Mails => "outbox",
            Self::MailBudgets => "mail_budgets",
            Self::Events => "events",
        }
    }

    /// What it is.
    pub fn what(self) -> Sentence {
        match self {
            Self::Account => t(
                "Your account: username, email address, role, preferences, and the name, phone number, picture and text about you if you add them. Your password is kept only as a hash, from which it can't be recovered.",
            ),
            Self::SignUps => t("A sign-up that hasn't been confirmed"),
            Self::Codes => t(
                "One-time codes: the email address each was sent to, and how often it was tried. Codes are kept only as hashes.",
            ),
            Self::Links => t(
                "Links in emails, for example to choose a new password: the address each was sent to, and when. Their secrets are kept only as hashes.",
            ),
            Self::Sessions => t(
                "Devices that are signed in: the browser and operating system, the IP address, and when each was used",
            ),
            Self::AppSessions => t(
                "Applications you opened with this account: when you opened and last used each, and on which device",
            ),
            Self::Authenticators => t(
                "Authenticator apps for two-step sign-in: the name you gave each one, when you added it, and when you last used it. Their keys are kept encrypted.",
            ),
            Self::Passkeys => t(
                "Passkeys: the name you gave each one, its public key, when you added it, and when you last used it. We never get the secret part.",
            ),
            Self::RecoveryCodes => t("Recovery codes, kept only as hashes, and when you used one"),
            Self::SecondSteps => t("Sign-ins that waited for a second step, and how often a code was tried"),
            Self::TrustedDevices => t("Devices you trust: the browser and operating system, and until when"),
            Self::Mails => t(
                "Emails that we sent: what kind, to which address, and what the mail server said. Their codes and links are erased.",
            ),
            Self::MailBudgets => {
                t("How many emails were sent to an address, and which networks asked for them")
            }
            Self::Events => t("Events: what was done to an account, when, from which IP address, and why"),
        }
    }

    /// What for.
    pub fn why(self) -> Sentence {
        match self {
            Self::Account => t("To sign you in, and to show you to this site's staff"),
            Self::SignUps => t("So that you can enter the code"),
            Self::Codes => t("To check the code that you enter, and to stop others from guessing it"),
            Self::Links => t("To recognise the link when you use it"),
            Self::Sessions => t("To keep you signed in, and to show you where"),
            Self::AppSessions => {
                t("To let each application know who you are, and to show you where you're signed in")
            }
            Self::Authenticators => t("To check the codes that your app shows"),
            Self::Passkeys => t("To check that it's your passkey"),
            Self::RecoveryCodes => t("To let you in if you can't use your app or passkey"),
            Self::SecondSteps => t("To stop others from guessing codes"),
            Self::TrustedDevices => t("So that we don't ask for a second step on these devices"),
            Self::Mails => t("To find out why an email didn't arrive"),
            Self::MailBudgets => t("To stop anyone from flooding a mailbox"),
            Self::Events => t("To find out what happened if something goes wrong, and to show it to you"),
        }
    }

    /// From when it is counted.
    pub fn since(self) -> Sentence {
        match self {
            Self::Account => t("until the account is deleted"),
            Self::Authenticators | Self::Passkeys | Self::RecoveryCodes => {
                t("until you remove them or turn off two-step sign-in")
            }
            Self::TrustedDevices => t("after the device is no longer trusted"),
            Self::Links => t("after the link has expired"),
            Self::Sessions => t("after it can no longer be used"),
            Self::AppSessions => t("after its last use"),
            Self::SignUps
            | Self::Codes
            | Self::SecondSteps
            | Self::Mails
            | Self::MailBudgets
            | Self::Events => t("after it was created"),
        }
    }

    /// How long it is kept; without an end, until the account is deleted.
    pub fn span(self, config: &Config) -> Option<Duration> {
        match self {
            Self::Account | Self::Authenticators | Self::Passkeys | Self::RecoveryCodes => None,
            Self::SignUps | Self::Codes => Some(UNVERIFIED_LIFETIME),
            Self::Links => Some(72 * HOUR),
            Self::Sessions | Self::AppSessions | Self::Mails => Some(30 * DAY),
            Self::SecondSteps | Self::TrustedDevices | Self::MailBudgets => Some(DAY),
            Self::Events => Some(config.events_kept),
        }
    }

    /// Forgets what is older than `span`; returns how much it was.
    pub fn sweep(self, conn: &mut Connection, span: Duration, now: Moment) -> QueryResult<usize> {
        let before = now.minus(span);
        match self {
            Self::Account | Self::Authenticators | Self::Passkeys | Self::RecoveryCodes => Ok(0),
            Self::SecondSteps => second_steps::sweep(conn, before),
            Self::TrustedDevices => trusted_devices::sweep(conn, before),
            Self::SignUps => users::remove_stale(conn, before),
            Self::Codes => verifications::sweep(conn, before),
            Self::Links => links::sweep(conn, before),
            Self::Sessions => sessions::sweep(conn, before),
            Self::AppSessions => app_sessions::sweep(conn, before),
            Self::Mails => outbox::sweep(conn, before, now),
            Self::MailBudgets => mail_budgets::sweep(conn, before),
            Self::Events => events::sweep(conn, before),
        }
    }
}
