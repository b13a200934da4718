//! The mail settings, named and meant as in Django.

use std::path::PathBuf;

use secrecy::SecretString;

use super::PublicUrl;
use super::reader::Reader;
use crate::identity::Email;

/// How mail leaves, and from whom.
#[derive(Debug, Clone)]
pub struct MailConfig {
    pub transport: TransportKind,
    /// The sender of every mail.
    pub from: Email,
    /// Whether this process delivers.
    pub courier: bool,
}

/// `EMAIL_BACKEND`.
#[derive(Debug, Clone)]
pub enum TransportKind {
    Smtp(Smtp),
    Console,
    /// One `.eml` file a mail, in this folder.
    File(PathBuf),
}

/// `EMAIL_HOST` and its kin.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Name of the server, also in its certificate.
    pub host: String,
    pub port: u16,
    /// Plain, STARTTLS required, or TLS from the first byte.
    pub security: SmtpSecurity,
    /// How we name ourselves to it.
    pub hello: String,
    /// User and password, when the server wants them.
    pub login: Option<(String, SecretString)>,
}

/// How a connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    Plain,
    /// `EMAIL_USE_TLS`: STARTTLS, or nothing is sent.
    StartTls,
    /// `EMAIL_USE_SSL`: TLS from the first byte.
    Tls,
}

#[derive(Clone, Copy)]
enum BackEnd {
    Smtp,
    Console,
    File,
}

/// Their words, and Django's names for the same.
const BACK_ENDS: [(&str, BackEnd); 6] = [
    ("smtp", BackEnd::Smtp),
    ("console", BackEnd::Console),
    ("file", BackEnd::File),
    ("django.core.mail.backends.smtp.EmailBackend", BackEnd::Smtp),
    ("django.core.mail.backends.console.EmailBackend", BackEnd::Console),
    ("django.core.mail.backends.filebased.EmailBackend", BackEnd::File),
];

impl MailConfig {
    pub(super) fn read(read: &mut Reader<'_>, public_url: &PublicUrl) -> Self {
        let backend = read.one_of("EMAIL_BACKEND", BackEnd::Smtp, &BACK_ENDS);
        let smtp = smtp(read, public_url);
        let folder = read.text("EMAIL_FILE_PATH", "mails");
        let transport = match backend {
            BackEnd::Smtp => TransportKind::Smtp(smtp),
            BackEnd::Console => TransportKind::Console,
            BackEnd::File => TransportKind::File(folder.into()),
        };
        Self { transport, from: from(read, public_url), courier: read.flag("COURIER", true) }
    }
}

fn smtp(read: &mut Reader<'_>, public_url: &PublicUrl) -> Smtp {
    let starttls = read.flag("EMAIL_USE_TLS", true);
    // As in Django the two exclude each other, but the default of the first must not be in the way.
    let tls = read.flag("EMAIL_USE_SSL", false);
    let user = read.text("EMAIL_HOST_USER", "");
    let password = SecretString::from(read.text("EMAIL_HOST_PASSWORD", ""));
    let port = read.number("EMAIL_PORT", 587, 1..=65_535);
    Smtp {
        host: read.text("EMAIL_HOST", "localhost"),
        hello: public_url.host().to_owned(),
        port: u16::try_from(port).unwrap_or(587),
        security: match (tls, starttls) {
            (true, _) => SmtpSecurity::Tls,
            (false, true) => SmtpSecurity::StartTls,
            (false, false) => SmtpSecurity::Plain,
        },
        login: (!user.is_empty()).then_some((user, password)),
    }
}

/// `no-reply@` the host of the site; on this machine, whose name makes no address, a domain that never exists
/// (RFC 2606).
fn from(read: &mut Reader<'_>, public_url: &PublicUrl) -> Email {
    let default =
        format!("no-reply@{}", if public_url.is_local() { "localhost.invalid" } else { public_url.host() });
    let typed = read.text("DEFAULT_FROM_EMAIL", &default);
    Email::parse(&typed).unwrap_or_else(|_| {
        read.mistake("DEFAULT_FROM_EMAIL", "must be an address like no-reply@example.org");
        #[expect(clippy::expect_used, reason = "a literal")]
        Email::parse("no-reply@localhost.invalid").expect("an address")
    })
}
