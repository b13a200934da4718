//! A conversation with a mail server (RFC 5321).
//!
//! lettre's own speaks only with servers that answer as it expects (a text behind each code, UTF-8, EHLO), with one time limit for
//! every step, and does not tell how far it came. But that is what decides: a refusal before the recipient is named is about
//! us, one after it is about the mail, and silence after the last dot means that the mail may have been taken.

mod session;

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::SendError;
use crate::config::{Smtp, SmtpSecurity};
use session::{ANSWERING, Session, Stream};

/// How long to wait for a connection, and for its certificate.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long to wait for the answer to the last dot, while the server looks through the mail (RFC 5321, 4.5.3.2.6).
const TAKING: Duration = Duration::from_secs(600);
/// The most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;

/// A mail server, and how to speak with it.
pub struct SmtpClient {
    config: Smtp,
    /// The operator's own authorities.
    authorities: Vec<CertificateDer<'static>>,
    /// Made when it is first needed: the system's authorities are a hundred files, or one of a hundred certificates.
    tls: OnceCell<TlsConnector>,
}

impl SmtpClient {
    /// Prepares to speak with the server of the settings.
    ///
    /// # Errors
    /// When `EMAIL_TLS_CA_FILE` holds no certificate that can be used.
    pub fn new(config: Smtp) -> Result<Self, SendError> {
        let authorities = config.authority.as_deref().map(read_authorities).transpose()?.unwrap_or_default();
        Ok(Self { config, authorities, tls: OnceCell::new() })
    }

    /// Sends a mail, whose lines end with CR and LF; returns what the server said when it took it.
    ///
    /// # Errors
    /// Why it did not leave, or is not known to have left.
    pub async fn send(&self, from: &str, to: &str, mail: &[u8]) -> Result<String, SendError> {
        let mut session = self.open().await?;
        session.command(&format!("MAIL FROM:<{from}>"), ANSWERING).await?.unless_refuses_us("the sender")?;
        session.command(&format!("RCPT TO:<{to}>"), ANSWERING).await?.unless_refuses_mail()?;
        let go_on = session.command("DATA", ANSWERING).await?;
        if go_on.code != 354 {
            go_on.unless_refuses_mail()?;
            return Err(SendError::Later("the server did not ask for the mail".to_owned()));
        }
        let uncertain =
            |trouble: &Error| SendError::Uncertain(format!("no answer to the whole mail: {}", told(trouble)));
        session.write(&stuffed(mail), ANSWERING).await.map_err(|error| uncertain(&error))?;
        let answer = session.answer(TAKING).await.map_err(|error| uncertain(&error))?;
        let said = answer.text.clone();
        answer.unless_refuses_mail()?;
        session.leave().await;
        Ok(said)
    }

    /// Says hello and good-bye.
    ///
    /// # Errors
    /// Why the server cannot be used.
    pub async fn probe(&self) -> Result<(), SendError> {
        self.open().await?.leave().await;
        Ok(())
    }

    /// Connects, with TLS and signed in as the settings say.
    async fn open(&self) -> Result<Session, SendError> {
        let Smtp { host, port, hello, security, login, .. } = &self.config;
        let stream = connect(host, *port).await.map_err(|error| unreachable(&error))?;
        let wants_tls = *security == SmtpSecurity::Tls;
        let stream: Box<dyn Stream> = if wants_tls { self.encrypt(stream).await? } else { Box::new(stream) };
        let mut session = Session::over(stream);
        let greeting = session.answer(ANSWERING).await.map_err(|error| {
            let hint = if wants_tls {
                ""
            } else {
                "; if this port speaks TLS from the first byte, set EMAIL_USE_SSL=on"
            };
            SendError::Unreachable(format!("no greeting: {}{hint}", told(&error)))
        })?;
        greeting.unless_refuses_us("the connection")?;
        let mut extensions = session.hello(hello).await?;
        if *security == SmtpSecurity::StartTls {
            if !extensions.offers("STARTTLS") {
                return Err(SendError::Unreachable(
                    "the server offers no STARTTLS (EMAIL_USE_TLS)".to_owned(),
                ));
            }
            session.command("STARTTLS", ANSWERING).await?.unless_refuses_us("STARTTLS")?;
            let Some(stream) = session.into_stream() else {
                return Err(SendError::Unreachable("the server spoke before TLS began".to_owned()));
            };
            session = Session::over(self.encrypt(stream).await?);
            extensions = session.hello(hello).await?;
        }
        if let Some((user, password)) = login {
            session.sign_in(&extensions, user, password.expose_secret()).await?;
        }
        Ok(session)
    }

    async fn encrypt(&self, stream: impl Stream + 'static) -> Result<Box<dyn Stream>, SendError> {
        let name = ServerName::try_from(self.config.host.clone())
            .map_err(|_| SendError::Unreachable("EMAIL_HOST is no name for a certificate".to_owned()))?;
        let tls = self.tls.get_or_try_init(async || self.trust()).await?;
        let shaking = tls.connect(name, stream);
        match within(CONNECTING, shaking).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(SendError::Unreachable(format!("TLS: {}", told(&error)))),
        }
    }

    /// Trusts the authorities of the system, and the operator's.
    fn trust(&self) -> Result<TlsConnector, SendError> {
        let mut roots = rustls::RootCertStore::empty();
        // Some of a system's store may be too odd to be read; the others count.
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        roots.add_parsable_certificates(self.authorities.iter().cloned());
        if roots.is_empty() {
            // Asked again for the next mail: perhaps they are just being replaced.
            return Err(SendError::Unreachable(match system.errors.first() {
                Some(error) => format!("this system's certificate authorities can't be read: {error}"),
                None => "this system has no certificate authorities; install ca-certificates or set EMAIL_TLS_CA_FILE".to_owned(),
            }));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SendError::Unreachable(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(tls)))
    }
}

/// Reads the certificates of a file, one at least that can be used.
fn read_authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SendError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let are_usable = |read: &Vec<CertificateDer<'_>>| {
        rustls::RootCertStore::empty().add_parsable_certificates(read.iter().cloned()).0 > 0
    };
    let bad = || SendError::Unreachable("EMAIL_TLS_CA_FILE holds no certificate".to_owned());
    read.ok().filter(are_usable).ok_or_else(bad)
}

/// Connects to the first address of a host that answers. Each has its share of the time: one that keeps quiet, as IPv6 does
/// behind some routers, does not use up that of the next.
async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> =
        within(CONNECTING, tokio::net::lookup_host((host, port))).await?.take(MAX_ADDRESSES).collect();
    let share = CONNECTING / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut failed = Error::other("it has no address");
    for address in addresses {
        match within(share, TcpStream::connect(address)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Doubles the dots that begin a line, and adds the one that ends the mail (RFC 5321, 4.5.2).
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(mail.len() + 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

async fn within<T>(wait: Duration, work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::time::timeout(wait, work).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn unreachable(error: &Error) -> SendError {
    SendError::Unreachable(told(error))
}

fn told(error: &Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut => "no answer in time".to_owned(),
        ErrorKind::UnexpectedEof => "the server hung up".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_that_begins_a_line_does_not_end_the_mail() {
        assert_eq!(stuffed(b".a\r\nb.\r\n..\r\n"), b"..a\r\nb.\r\n...\r\n.\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
    }
}
