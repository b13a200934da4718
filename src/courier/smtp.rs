//! A conversation with a mail server (RFC 5321).
//!
//! lettre's own speaks only with servers that answer as it expects (a text behind each code, UTF-8, EHLO), with one time limit for
//! every step, and does not tell how far it came. But that is what decides: a refusal before the recipient is named is about
//! us, one after it is about the mail, and silence after the last dot means that the mail may have been taken.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::SendError;
use crate::config::{Smtp, SmtpSecurity};

/// How long to wait for a connection, and for its certificate.
const CONNECTING: Duration = Duration::from_secs(30);
/// How long to wait for the answer to a command. RFC 5321, 4.5.3.2 asks for five minutes; a code is worth nothing by then.
const ANSWERING: Duration = Duration::from_secs(60);
/// How long to wait for the answer to the last dot, while the server looks through the mail (RFC 5321, 4.5.3.2.6).
const TAKING: Duration = Duration::from_secs(600);
/// The longest line and the most lines of an answer.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 100;

/// A mail server, and how to speak with it.
pub struct SmtpClient {
    config: Smtp,
    tls: TlsConnector,
}

impl SmtpClient {
    /// Prepares to speak with the server of the settings.
    ///
    /// # Errors
    /// When the authorities of its certificate cannot be read.
    pub fn new(config: Smtp) -> Result<Self, SendError> {
        let mut roots = rustls::RootCertStore::empty();
        // Some of a system's store may be too odd to be read; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = &config.authority {
            let bad = || SendError::Unreachable("EMAIL_TLS_CA_FILE holds no certificate".to_owned());
            let own: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let own = own.map_err(|_| bad())?;
            if own.is_empty() || roots.add_parsable_certificates(own).0 == 0 {
                return Err(bad());
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SendError::Unreachable(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config, tls: TlsConnector::from(Arc::new(tls)) })
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
        let connecting = TcpStream::connect((host.as_str(), *port));
        let stream = within(CONNECTING, connecting).await.map_err(|error| unreachable(&error))?;
        let wants_tls = *security == SmtpSecurity::Tls;
        let stream: Box<dyn Stream> = if wants_tls { self.encrypt(stream).await? } else { Box::new(stream) };
        let mut session = Session { stream: BufReader::new(stream) };
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
            if !session.stream.buffer().is_empty() {
                return Err(SendError::Unreachable("the server spoke before TLS began".to_owned()));
            }
            session = Session { stream: BufReader::new(self.encrypt(session.stream.into_inner()).await?) };
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
        let shaking = self.tls.connect(name, stream);
        match within(CONNECTING, shaking).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(SendError::Unreachable(format!("TLS: {}", told(&error)))),
        }
    }
}

/// What bytes go through.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
}

impl Session {
    /// Introduces us: EHLO, and HELO to who does not know it (RFC 5321, 3.2).
    async fn hello(&mut self, name: &str) -> Result<Extensions, SendError> {
        let answer = self.command(&format!("EHLO {name}"), ANSWERING).await?;
        if answer.is_never() {
            let old = self.command(&format!("HELO {name}"), ANSWERING).await?;
            old.unless_refuses_us("our name")?;
            return Ok(Extensions(Vec::new()));
        }
        let extensions = answer.text.lines().skip(1).map(str::to_ascii_uppercase).collect();
        answer.unless_refuses_us("our name")?;
        Ok(Extensions(extensions))
    }

    async fn sign_in(
        &mut self,
        extensions: &Extensions,
        user: &str,
        password: &str,
    ) -> Result<(), SendError> {
        let ways = extensions.ways_to_sign_in();
        let offers = |way: &str| ways.iter().any(|offered| offered == way);
        let answer = if offers("PLAIN") {
            let both = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command(&format!("AUTH PLAIN {both}"), ANSWERING).await?
        } else if offers("LOGIN") {
            self.command("AUTH LOGIN", ANSWERING).await?;
            self.command(&STANDARD.encode(user), ANSWERING).await?;
            self.command(&STANDARD.encode(password), ANSWERING).await?
        } else {
            let why = "the server offers neither PLAIN nor LOGIN to sign in with EMAIL_HOST_USER";
            return Err(SendError::Unreachable(why.to_owned()));
        };
        answer.unless_refuses_us("EMAIL_HOST_USER and its password")
    }

    async fn command(&mut self, line: &str, wait: Duration) -> Result<Answer, SendError> {
        let written = self.write(format!("{line}\r\n").as_bytes(), wait).await;
        written.map_err(|error| unreachable(&error))?;
        self.answer(wait).await.map_err(|error| unreachable(&error))
    }

    async fn write(&mut self, bytes: &[u8], wait: Duration) -> std::io::Result<()> {
        within(wait, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Reads an answer of one or more lines: a code, and perhaps a text in whatever charset.
    async fn answer(&mut self, wait: Duration) -> std::io::Result<Answer> {
        within(wait, async {
            let mut text = String::new();
            for _ in 0..MAX_LINES {
                let mut line = Vec::new();
                (&mut self.stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
                if line.last() != Some(&b'\n') {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end();
                let no_answer = || Error::new(ErrorKind::InvalidData, "the server does not speak SMTP");
                let code = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(no_answer)?;
                let (mark, rest) = (line.get(3..4).unwrap_or(" "), line.get(4..).unwrap_or_default());
                if !text.is_empty() || mark == "-" {
                    text.push_str(if text.is_empty() { "" } else { "\n" });
                }
                text.push_str(rest);
                if mark != "-" {
                    return Ok(Answer { code, text });
                }
            }
            Err(Error::new(ErrorKind::InvalidData, "an answer without end"))
        })
        .await
    }

    /// Says good-bye. The mail has gone; what the server says to that does not matter.
    async fn leave(mut self) {
        drop(self.command("QUIT", Duration::from_secs(2)).await);
    }
}

/// What a server can do besides.
struct Extensions(Vec<String>);

impl Extensions {
    fn offers(&self, keyword: &str) -> bool {
        self.0.iter().any(|line| line.split([' ', '=']).next() == Some(keyword))
    }

    /// Also of servers that write `AUTH=`, as was usual before RFC 2554.
    fn ways_to_sign_in(&self) -> Vec<String> {
        let lines = self.0.iter().filter_map(|line| line.strip_prefix("AUTH"));
        lines
            .flat_map(|ways| ways.split([' ', '=']))
            .filter(|way| !way.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// An answer: its code, and its text without the codes.
struct Answer {
    code: u16,
    text: String,
}

impl Answer {
    fn is_never(&self) -> bool {
        self.code >= 500
    }

    fn said(&self) -> String {
        format!("{} {}", self.code, self.text.replace('\n', " ")).trim_end().to_owned()
    }

    /// A refusal that came before a recipient was named says nothing about any mail.
    fn unless_refuses_us(self, what: &str) -> Result<(), SendError> {
        if self.code < 400 {
            return Ok(());
        }
        Err(SendError::Unreachable(format!("the server refuses {what}: {}", self.said())))
    }

    fn unless_refuses_mail(self) -> Result<(), SendError> {
        match self.code {
            // It is about to stop (RFC 5321, 3.8), whatever it was asked.
            421 => Err(SendError::Unreachable(self.said())),
            500.. => Err(SendError::Never(self.said())),
            400.. => Err(SendError::Later(self.said())),
            _ => Ok(()),
        }
    }
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

    #[test]
    fn extensions_are_found_in_old_and_new_spelling() {
        let extensions = Extensions(vec!["AUTH=LOGIN PLAIN".to_owned(), "STARTTLS".to_owned()]);
        assert!(extensions.offers("STARTTLS") && !extensions.offers("START"));
        assert_eq!(extensions.ways_to_sign_in(), ["LOGIN", "PLAIN"]);
    }
}
