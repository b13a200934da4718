//! What is said in a conversation: commands, and answers of one or more lines.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::{SendError, unreachable, within};

/// How long to wait for the answer to a command. RFC 5321, 4.5.3.2 asks for five minutes; a code is worth nothing by then.
pub const ANSWERING: Duration = Duration::from_secs(60);
/// The longest line and the most lines of an answer.
const MAX_LINE: u64 = 4096;
const MAX_LINES: usize = 100;

/// What bytes go through.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, after its first word.
pub struct Session {
    stream: BufReader<Box<dyn Stream>>,
}

impl Session {
    /// Begins one over a connection.
    pub fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Gives the connection back, for TLS; `None` when the server has said more than it was asked for.
    pub fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.stream.buffer().is_empty().then(|| self.stream.into_inner())
    }

    /// Introduces us: EHLO, and HELO to who does not know it (RFC 5321, 3.2).
    pub async fn hello(&mut self, name: &str) -> Result<Extensions, SendError> {
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

    pub async fn sign_in(
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
            let (user, password) = (STANDARD.encode(user), STANDARD.encode(password));
            let mut answer = self.command("AUTH LOGIN", ANSWERING).await?;
            // Each only where it was asked for: whoever refused is told no password.
            for line in [user, password] {
                if answer.code == 334 {
                    answer = self.command(&line, ANSWERING).await?;
                }
            }
            answer
        } else {
            let why = "the server offers neither PLAIN nor LOGIN to sign in with EMAIL_HOST_USER";
            return Err(SendError::Unreachable(why.to_owned()));
        };
        answer.unless_refuses_us("EMAIL_HOST_USER and its password")
    }

    pub async fn command(&mut self, line: &str, wait: Duration) -> Result<Answer, SendError> {
        let written = self.write(format!("{line}\r\n").as_bytes(), wait).await;
        written.map_err(|error| unreachable(&error))?;
        self.answer(wait).await.map_err(|error| unreachable(&error))
    }

    pub async fn write(&mut self, bytes: &[u8], wait: Duration) -> std::io::Result<()> {
        within(wait, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Reads an answer of one or more lines: a code, and perhaps a text in whatever charset.
    pub async fn answer(&mut self, wait: Duration) -> std::io::Result<Answer> {
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
    pub async fn leave(mut self) {
        drop(self.command("QUIT", Duration::from_secs(2)).await);
    }
}

/// What a server can do besides.
pub struct Extensions(Vec<String>);

impl Extensions {
    pub fn offers(&self, keyword: &str) -> bool {
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
pub struct Answer {
    pub code: u16,
    pub text: String,
}

impl Answer {
    fn is_never(&self) -> bool {
        self.code >= 500
    }

    fn said(&self) -> String {
        format!("{} {}", self.code, self.text.replace('\n', " ")).trim_end().to_owned()
    }

    /// A refusal that came before a recipient was named says nothing about any mail.
    pub fn unless_refuses_us(self, what: &str) -> Result<(), SendError> {
        if self.code < 400 {
            return Ok(());
        }
        Err(SendError::Unreachable(format!("the server refuses {what}: {}", self.said())))
    }

    pub fn unless_refuses_mail(self) -> Result<(), SendError> {
        match self.code {
            // It is about to stop (RFC 5321, 3.8), whatever it was asked.
            421 => Err(SendError::Unreachable(self.said())),
            500.. => Err(SendError::Never(self.said())),
            400.. => Err(SendError::Later(self.said())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client sends that signs in to a server which gives these answers.
    async fn sent_to(answers: &[&str]) -> (Result<(), SendError>, Vec<String>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let mut session = Session::over(Box::new(ours));
        let answers: Vec<String> = answers.iter().map(|answer| format!("{answer}\r\n")).collect();
        let server = tokio::spawn(async move {
            let (reading, mut writing) = tokio::io::split(theirs);
            let mut lines = BufReader::new(reading).lines();
            let mut heard = Vec::new();
            for answer in answers {
                heard.extend(lines.next_line().await.unwrap());
                writing.write_all(answer.as_bytes()).await.unwrap();
            }
            drop(writing);
            while let Ok(Some(line)) = lines.next_line().await {
                heard.push(line);
            }
            heard
        });
        let extensions = Extensions(vec!["AUTH LOGIN".to_owned()]);
        let signed_in = session.sign_in(&extensions, "ann", "secret").await;
        drop(session);
        (signed_in, server.await.unwrap())
    }

    #[tokio::test]
    async fn a_server_that_refuses_the_user_is_not_told_the_password() {
        let (signed_in, heard) = sent_to(&["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 welcome"]).await;
        assert_eq!(
            (signed_in, heard),
            (Ok(()), vec!["AUTH LOGIN".to_owned(), STANDARD.encode("ann"), STANDARD.encode("secret")])
        );
        for (answers, count) in [(&["535 not you"][..], 1), (&["334 VXNlcm5hbWU6", "535 not you"], 2)] {
            let (signed_in, heard) = sent_to(answers).await;
            assert!(matches!(signed_in, Err(SendError::Unreachable(_))), "{signed_in:?}");
            assert_eq!(heard.len(), count, "{heard:?}");
        }
    }

    #[test]
    fn extensions_are_found_in_old_and_new_spelling() {
        let extensions = Extensions(vec!["AUTH=LOGIN PLAIN".to_owned(), "STARTTLS".to_owned()]);
        assert!(extensions.offers("STARTTLS") && !extensions.offers("START"));
        assert_eq!(extensions.ways_to_sign_in(), ["LOGIN", "PLAIN"]);
    }
}
