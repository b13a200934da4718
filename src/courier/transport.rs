//! How mail leaves: by SMTP, to standard output, to a folder.

use std::io::Write;
use std::path::Path;

use lettre::message::header::{ContentType, ContentTypeErr, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, AsyncFileTransport, AsyncTransport, Message, Tokio1Executor};

use super::smtp::SmtpClient;
use crate::config::{MailConfig, Sender, TransportKind};
use crate::language::Language;
use crate::mail::{Content, LOGO};

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
    /// The whole mail was given away and nobody said that it was taken.
    #[error("perhaps: {0}")]
    Uncertain(String),
}

/// How mail leaves.
pub enum Transport {
    Smtp(Box<SmtpClient>),
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
            TransportKind::Smtp(smtp) => Ok(Self::Smtp(Box::new(SmtpClient::new(smtp.clone())?))),
            TransportKind::Console => Ok(Self::Console),
            TransportKind::File(folder) => open_folder(folder).map(Self::File),
        }
    }

    /// Sends a mail; returns what the server said when it took it.
    ///
    /// # Errors
    /// Why it did not leave.
    pub async fn send(&self, mail: Message) -> Result<String, SendError> {
        match self {
            Self::Smtp(smtp) => {
                let envelope = mail.envelope();
                let from = envelope.from().map(ToString::to_string).unwrap_or_default();
                let to = envelope.to().first().map(ToString::to_string).unwrap_or_default();
                smtp.send(&from, &to, &mail.formatted()).await
            }
            Self::Console => print(&mail).map(|()| String::new()),
            Self::File(folder) => match folder.send(mail).await {
                Ok(name) => Ok(name),
                Err(error) => Err(SendError::Unreachable(error.to_string())),
            },
        }
    }

    /// Checks that the mail server answers; the other transports always do.
    ///
    /// # Errors
    /// What the server said.
    pub async fn probe(&self) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.probe().await,
            Self::Console | Self::File(_) => Ok(()),
        }
    }
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

/// The same in two forms, the second with the site's face beside it: nothing is fetched from elsewhere.
fn parts(text: String, html: String, logo: Option<&[u8]>) -> Result<MultiPart, ContentTypeErr> {
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text);
    let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html);
    let both = MultiPart::alternative().singlepart(text);
    let Some(logo) = logo else { return Ok(both.singlepart(html)) };
    let logo = Attachment::new_inline(LOGO.to_owned()).body(logo.to_vec(), ContentType::parse("image/png")?);
    Ok(both.multipart(MultiPart::related().singlepart(html).singlepart(logo)))
}

/// Builds the mail as it goes over the wire, from whom and with answers to whom. The Message-ID is made of `id`, so that a repeat is known as one.
///
/// # Errors
/// `Never`, when it cannot be built.
pub fn build(
    content: &Content,
    sender: (&Sender, Option<&Sender>),
    to: &str,
    id: &str,
    language: Language,
) -> Result<Message, SendError> {
    let never = |why: String| SendError::Never(why);
    let address = |text: &str| text.parse::<Address>().map_err(|error| never(error.to_string()));
    let (from, reply_to) = sender;
    let mailbox = |sender: &Sender| Ok(Mailbox::new(sender.name.clone(), address(sender.address.as_str())?));
    let domain = from.address.as_str().rsplit('@').next().unwrap_or_default();
    let text = content.text(language).map_err(|error| never(error.to_string()))?;
    let html = content.html(language).map_err(|error| never(error.to_string()))?;
    let header = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    let mut builder = Message::builder();
    if let Some(reply_to) = reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    let named = |sender: &Sender| sender.name.is_some();
    let usual = Sender { name: Some("Latchkey".to_owned()), address: from.address.clone() };
    builder
        .from(mailbox(if named(from) { from } else { &usual })?)
        .to(Mailbox::new(None, address(to)?))
        .subject(content.subject(language))
        .message_id(Some(format!("<{id}@{domain}>")))
        // No out-of-office answers, please (RFC 3834).
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"))
        .multipart(parts(text, html, content.logo()).map_err(|error| never(error.to_string()))?)
        .map_err(|error| never(error.to_string()))
}
