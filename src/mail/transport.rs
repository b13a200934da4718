//! The ways in which a mail leaves: SMTP, standard output, a folder.

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

use super::letter::Letter;
use crate::config::{MailConfig, Smtp, SmtpSecurity, TransportKind};
use crate::identity::Email;
use crate::web::language::Language;

/// How long a mail server may take for one mail.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a mail did not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
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

/// A way out.
pub enum Transport {
    /// To a mail server.
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    /// To standard output.
    Console,
    /// To a folder.
    File(AsyncFileTransport<Tokio1Executor>),
}

impl Transport {
    /// The way out that the settings name.
    ///
    /// # Errors
    /// When the settings do not make one.
    pub fn open(config: &MailConfig) -> Result<Self, Trouble> {
        match &config.transport {
            TransportKind::Smtp(smtp) => open_smtp(smtp).map(Self::Smtp),
            TransportKind::Console => Ok(Self::Console),
            TransportKind::File(folder) => open_folder(folder).map(Self::File),
        }
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// What kept it from leaving.
    pub async fn send(&self, mail: Message) -> Result<(), Trouble> {
        match self {
            Self::Smtp(smtp) => match tokio::time::timeout(TIMEOUT, smtp.send(mail)).await {
                Ok(sent) => sent.map(drop).map_err(|error| trouble(&error)),
                Err(_) => Err(Trouble::Later("no answer within ten seconds".to_owned())),
            },
            Self::Console => print(&mail),
            Self::File(folder) => {
                folder.send(mail).await.map(drop).map_err(|error| Trouble::Unreachable(error.to_string()))
            }
        }
    }

    /// Whether the mail server answers; the other ways out always do.
    ///
    /// # Errors
    /// What the server said.
    pub async fn probe(&self) -> Result<(), Trouble> {
        let Self::Smtp(smtp) = self else { return Ok(()) };
        match tokio::time::timeout(TIMEOUT, smtp.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Trouble::Unreachable("the server hung up".to_owned())),
            Ok(Err(error)) => Err(trouble(&error)),
            Err(_) => Err(Trouble::Unreachable("no answer within ten seconds".to_owned())),
        }
    }
}

fn open_smtp(config: &Smtp) -> Result<AsyncSmtpTransport<Tokio1Executor>, Trouble> {
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

fn open_folder(folder: &Path) -> Result<AsyncFileTransport<Tokio1Executor>, Trouble> {
    std::fs::create_dir_all(folder).map_err(|error| Trouble::Unreachable(error.to_string()))?;
    Ok(AsyncFileTransport::new(folder))
}

fn print(mail: &Message) -> Result<(), Trouble> {
    let text = mail.formatted();
    writeln!(std::io::stdout(), "{}", String::from_utf8_lossy(&text))
        .map_err(|error| Trouble::Unreachable(error.to_string()))
}

/// What the server said is about the mail; everything else is about the way there.
fn trouble(error: &lettre::transport::smtp::Error) -> Trouble {
    let said = std::error::Error::source(error)
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    match error.status().map(|code| code.severity) {
        _ if error.is_transient() => Trouble::Later(said),
        _ if error.is_permanent() => Trouble::Never(said),
        _ if error.is_timeout() => Trouble::Later(said),
        _ => Trouble::Unreachable(said),
    }
}

/// The mail as it goes over the wire. The Message-ID is made of `id`, so that a repeat is known as one.
///
/// # Errors
/// When it cannot be built, which is for ever.
pub fn build(
    letter: &Letter,
    from: &Email,
    to: &str,
    id: &str,
    language: Language,
) -> Result<Message, Trouble> {
    let never = |why: String| Trouble::Never(why);
    let address = |text: &str| text.parse::<Address>().map_err(|error| never(error.to_string()));
    let domain = from.as_str().rsplit('@').next().unwrap_or_default();
    let text = letter.text(language).map_err(|error| never(error.to_string()))?;
    let html = letter.html(language).map_err(|error| never(error.to_string()))?;
    let header = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    Message::builder()
        .from(Mailbox::new(Some("Latchkey".to_owned()), address(from.as_str())?))
        .to(Mailbox::new(None, address(to)?))
        .subject(letter.subject(language))
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
