//! How mail leaves: by SMTP, to standard output, to a folder.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncFileTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use crate::config::{MailConfig, Smtp, SmtpSecurity, TransportKind};
use crate::identity::Email;
use crate::language::Language;
use crate::mail::Content;

/// How long a mail server may take for one mail. (Each mail has a connection of its own: mail is rare, and a server may
/// close one that is idle just when it is needed.)
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a mail did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server cannot be reached; that says nothing about the mail.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The server will perhaps take this mail later (4xx).
    #[error("not now: {0}")]
    Later(String),
    /// The server will never take this mail (5xx), or it cannot be built.
    #[error("never: {0}")]
    Never(String),
}

/// How mail leaves.
pub enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Console,
    File(AsyncFileTransport<Tokio1Executor>),
}

impl Transport {
    /// Opens the transport that the settings name.
    ///
    /// # Errors
    /// When the settings do not make one.
    pub fn open(config: &MailConfig) -> Result<Self, SendError> {
        match &config.transport {
            TransportKind::Smtp(smtp) => open_smtp(smtp).map(Self::Smtp),
            TransportKind::Console => Ok(Self::Console),
            TransportKind::File(folder) => open_folder(folder).map(Self::File),
        }
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// Why it did not leave.
    pub async fn send(&self, mail: Message) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => match tokio::time::timeout(TIMEOUT, smtp.send(mail)).await {
                Ok(sent) => sent.map(drop).map_err(|error| trouble(&error)),
                Err(_) => Err(SendError::Later("no answer within ten seconds".to_owned())),
            },
            Self::Console => print(&mail),
            Self::File(folder) => {
                folder.send(mail).await.map(drop).map_err(|error| SendError::Unreachable(error.to_string()))
            }
        }
    }

    /// Checks that the mail server answers; the other transports always do.
    ///
    /// # Errors
    /// What the server said.
    pub async fn probe(&self) -> Result<(), SendError> {
        let Self::Smtp(smtp) = self else { return Ok(()) };
        match tokio::time::timeout(TIMEOUT, smtp.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SendError::Unreachable("the server hung up".to_owned())),
            Ok(Err(error)) => Err(trouble(&error)),
            Err(_) => Err(SendError::Unreachable("no answer within ten seconds".to_owned())),
        }
    }
}

fn open_smtp(config: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>, SendError> {
    let parameters = || TlsParameters::new(config.host.clone()).map_err(|error| trouble(&error));
    let tls = match config.security {
        SmtpSecurity::Plain => Tls::None,
        SmtpSecurity::StartTls => Tls::Required(parameters()?),
        SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
        .port(config.port)
        // RFC 5321, 4.1.4: the client's own name, which a bare container does not know.
        .hello_name(ClientId::Domain(config.hello.clone()))
        .tls(tls)
        .timeout(Some(TIMEOUT));
    let builder = match &config.login {
        Some((user, password)) => {
            builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()))
        }
        None => builder,
    };
    Ok(builder.build())
}

fn open_folder(folder: &Path) -> Result<AsyncFileTransport<Tokio1Executor>, SendError> {
    std::fs::create_dir_all(folder).map_err(|error| SendError::Unreachable(error.to_string()))?;
    Ok(AsyncFileTransport::new(folder))
}

fn print(mail: &Message) -> Result<(), SendError> {
    let text = mail.formatted();
    writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&text))
        .map_err(|error| SendError::Unreachable(error.to_string()))
}

/// What the server said is about the mail; everything else is about the way there.
fn trouble(error: &lettre::transport::smtp::Error) -> SendError {
    let said = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if error.is_permanent() {
        SendError::Never(said)
    } else if error.is_transient() || error.is_timeout() {
        SendError::Later(said)
    } else {
        SendError::Unreachable(said)
    }
}

/// Builds the mail as it goes over the wire. The Message-ID is made of `id`, so that a repeat is known as one.
///
/// # Errors
/// `Never`, when it cannot be built.
pub fn build(
    content: &Content,
    from: &Email,
    to: &str,
    id: &str,
    language: Language,
) -> Result<Message, SendError> {
    let never = |why: String| SendError::Never(why);
    let address = |text: &str| text.parse::<Address>().map_err(|error| never(error.to_string()));
    let domain = from.as_str().rsplit('@').next().unwrap_or_default();
    let text = content.text(language).map_err(|error| never(error.to_string()))?;
    let html = content.html(language).map_err(|error| never(error.to_string()))?;
    let header = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    Message::builder()
        .from(Mailbox::new(Some("Latchkey".to_owned()), address(from.as_str())?))
        .to(Mailbox::new(None, address(to)?))
        .subject(content.subject(language))
        .message_id(Some(format!("<{id}@{domain}>")))
        // No out-of-office answers, please (RFC 3834).
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .multipart(
            MultiPart::alternative()
                .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text))
                .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html)),
        )
        .map_err(|error| never(error.to_string()))
}
