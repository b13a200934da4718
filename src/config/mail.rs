//! The mail settings, named and meant as in Django.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use super::PublicUrl;
use super::origin::is_loopback;
use super::reader::Reader;
use crate::identity::Email;

/// How mail leaves, and from whom.
#[derive(Debug, Clone)]
pub struct MailConfig {
    pub transport: TransportKind,
    /// The sender of every mail.
    pub from: Sender,
    /// Where answers go, when not to the sender.
    pub reply_to: Option<Sender>,
    /// Whether this process delivers.
    pub courier: bool,
}

/// An address, and the name in front of it.
#[derive(Debug, Clone)]
pub struct Sender {
    pub name: Option<String>,
    pub address: Email,
}

impl FromStr for Sender {
    type Err = ();

    /// Reads `address` or `Name <address>` (RFC 5322, 3.4).
    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
            None => ("", text),
        };
        let name = (!name.is_empty()).then(|| name.to_owned());
        if name.as_ref().is_some_and(|name| name.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))) {
            return Err(());
        }
        Ok(Self { name, address: Email::parse(address).map_err(|_| ())? })
    }
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
    /// How we name ourselves to it (RFC 5321, 4.1.4): a name, or an address in brackets.
    pub hello: String,
    /// A further authority for its certificate, besides the system's: PEM.
    pub authority: Option<Vec<u8>>,
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
        if matches!(transport, TransportKind::Console) {
            read.warn("EMAIL_BACKEND is console: codes and links can be read in the output");
        }
        let from = from(read, public_url);
        let reply_to = read.text("EMAIL_REPLY_TO", "");
        let reply_to = if reply_to.is_empty() { None } else { sender(read, "EMAIL_REPLY_TO", &reply_to) };
        Self { transport, from, reply_to, courier: read.flag("COURIER", true) }
    }
}

fn smtp(read: &mut Reader<'_>, public_url: &PublicUrl) -> Smtp {
    let starttls = read.flag("EMAIL_USE_TLS", true);
    // As in Django the two exclude each other, but the default of the first must not be in the way.
    let tls = read.flag("EMAIL_USE_SSL", false);
    let user = read.text("EMAIL_HOST_USER", "");
    let password = SecretString::from(read.text("EMAIL_HOST_PASSWORD", ""));
    if user.is_empty() != password.expose_secret().is_empty() {
        read.warn("EMAIL_HOST_USER and EMAIL_HOST_PASSWORD belong together: set both, or neither");
    }
    let host = read.text("EMAIL_HOST", "localhost");
    let host = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(&host).to_owned();
    if !user.is_empty() && !tls && !starttls && !is_loopback(&host) {
        read.warn(
            "EMAIL_HOST_PASSWORD is sent unencrypted to another machine: turn on EMAIL_USE_TLS or EMAIL_USE_SSL",
        );
    }
    let usual_port = if tls { 465 } else { 587 };
    let port = read.number("EMAIL_PORT", usual_port, 1..=65_535);
    Smtp {
        host,
        hello: hello(public_url.host()),
        authority: authority(read),
        port: u16::try_from(port).unwrap_or(587),
        security: match (tls, starttls) {
            (true, _) => SmtpSecurity::Tls,
            (false, true) => SmtpSecurity::StartTls,
            (false, false) => SmtpSecurity::Plain,
        },
        login: (!user.is_empty()).then_some((user, password)),
    }
}

/// Names us as RFC 5321, 4.1.3 has it: an address in brackets.
fn hello(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V4(v4)) => format!("[{v4}]"),
        Ok(IpAddr::V6(v6)) => format!("[IPv6:{v6}]"),
        Err(_) => host.to_owned(),
    }
}

fn authority(read: &mut Reader<'_>) -> Option<Vec<u8>> {
    let path = read.text("EMAIL_TLS_CA_FILE", "");
    if path.is_empty() {
        return None;
    }
    let read_file = std::fs::read(&path);
    if let Err(error) = &read_file {
        read.mistake("EMAIL_TLS_CA_FILE", &format!("cannot be read: {}", error.kind()));
    }
    read_file.ok()
}

fn sender(read: &mut Reader<'_>, name: &str, text: &str) -> Option<Sender> {
    let sender = text.parse().ok();
    if sender.is_none() {
        read.mistake(
            name,
            "must be an email address, like no-reply@example.org or Name <no-reply@example.org>",
        );
    }
    sender
}

/// `no-reply@` the host of the site; on this machine, whose name makes no address, a domain that never exists
/// (RFC 2606).
fn from(read: &mut Reader<'_>, public_url: &PublicUrl) -> Sender {
    #[expect(clippy::expect_used, reason = "a literal")]
    let nobody = || "no-reply@localhost.invalid".parse().expect("an address");
    let typed = read.text("DEFAULT_FROM_EMAIL", "");
    if !typed.is_empty() {
        return sender(read, "DEFAULT_FROM_EMAIL", &typed).unwrap_or_else(nobody);
    }
    if public_url.is_local() {
        return nobody();
    }
    format!("no-reply@{}", public_url.host()).parse().unwrap_or_else(|()| {
        read.mistake("DEFAULT_FROM_EMAIL", "must be given: the host of PUBLIC_URL makes no address");
        nobody()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_may_have_a_name() {
        let read = |text: &str| {
            let sender: Result<Sender, ()> = text.parse();
            sender.map(|sender| (sender.name.unwrap_or_default(), sender.address.to_string())).ok()
        };
        let named = |name: &str| Some((name.to_owned(), "no-reply@example.org".to_owned()));
        assert_eq!(read("no-reply@example.org"), named(""));
        assert_eq!(read("Our Accounts <no-reply@example.org>"), named("Our Accounts"));
        assert_eq!(read("\"Accounts, Inc.\" <no-reply@example.org>"), named("Accounts, Inc."));
        assert_eq!(read("<no-reply@example.org>"), named(""));
        for bad in
            ["", "Accounts", "a <b> <no-reply@example.org>", "a\r\nBcc: x <no-reply@example.org>", "x <y>"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_names_itself_in_brackets() {
        assert_eq!(hello("192.0.2.10"), "[192.0.2.10]");
        assert_eq!(hello("2001:db8::1"), "[IPv6:2001:db8::1]");
        assert_eq!(hello("accounts.example.org"), "accounts.example.org");
    }
}
