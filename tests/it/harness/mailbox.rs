//! A small SMTP server, and the mails that it was given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub message_id: String,
    pub raw: String,
}

impl Mail {
    /// The six digits in it.
    pub fn code(&self) -> String {
        let digits: String = self.subject.chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(digits.len(), 6, "a code in {:?}", self.subject);
        digits
    }

    /// Whether it tells of a sign-in: it may come at any time, and is asked for by itself.
    fn is_alarm(&self) -> bool {
        self.subject.starts_with("New sign-in")
    }

    /// The path of the first link to a page of that kind.
    pub fn link(&self, kind: &str) -> String {
        let start = self.text.find(kind).unwrap_or_else(|| panic!("a link to {kind} in {}", self.text));
        self.text[start..].split_whitespace().next().expect("a link").to_owned()
    }
}

/// How the server takes mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// Puts off mail to this address with 451.
    Later(&'static str),
    /// Refuses mail to this address with 550.
    Never(&'static str),
    /// Turns everybody away with 535, as for a wrong password.
    Closed,
    /// Drops some connections, delays and puts off some mails, and loses some of its own answers.
    Moody,
    /// Hangs up on everybody.
    Away,
    /// Knows HELO alone, and answers with codes alone.
    Terse,
    /// Refuses mail to this address in Latin-1.
    NeverInLatin1(&'static str),
    /// Refuses whoever we say we are, before a recipient is named.
    RefusesUs,
    /// Refuses every recipient with the same words.
    RefusesEverybody,
    /// Takes twelve seconds to greet, and forty to say that it took a mail.
    Slow,
    /// Takes this mail and hangs up before it says so, every time.
    Silent,
}

/// A mail server.
#[derive(Clone)]
pub struct MailServer {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    mails: Vec<Mail>,
    /// How many of the mails a test has looked at.
    read: Vec<bool>,
    attempts: usize,
    lost_answers: usize,
    turns: usize,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = State {
            mood: Mood::Good,
            mails: Vec::new(),
            read: Vec::new(),
            attempts: 0,
            lost_answers: 0,
            turns: 0,
        };
        let server = Self { port, state: Arc::new(Mutex::new(state)) };
        let receiving = server.clone();
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiving = receiving.clone();
                actix_web::rt::spawn(async move { receiving.converse(stream).await.unwrap_or_default() });
            }
        });
        server
    }

    pub fn be(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub fn is_good(&self) -> bool {
        self.state.lock().unwrap().mood == Mood::Good
    }

    /// How many mails it was offered.
    pub fn attempts(&self) -> usize {
        self.state.lock().unwrap().attempts
    }

    /// How often it took a mail and hung up before it said so.
    pub fn lost_answers(&self) -> usize {
        self.state.lock().unwrap().lost_answers
    }

    /// All mails so far.
    pub fn all(&self) -> Vec<Mail> {
        self.state.lock().unwrap().mails.clone()
    }

    /// All mails to that address so far.
    pub fn all_to(&self, address: &str) -> Vec<Mail> {
        self.state.lock().unwrap().mails.iter().filter(|mail| mail.to == address).cloned().collect()
    }

    /// The next mail to that address that was not looked at yet; waits for it, as long as the lease of a courier that
    /// was killed may take.
    pub async fn next_to(&self, address: &str) -> Mail {
        self.next(address, |mail| !mail.is_alarm()).await
    }

    /// The next alarm to that address.
    pub async fn alarm_to(&self, address: &str) -> Mail {
        self.next(address, Mail::is_alarm).await
    }

    /// How many alarms that address has been sent.
    pub fn alarms_to(&self, address: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.mails.iter().filter(|mail| mail.to == address && mail.is_alarm()).count()
    }

    async fn next(&self, address: &str, is_wanted: fn(&Mail) -> bool) -> Mail {
        for _ in 0..6000 {
            if let Some(mail) = self.unread(address, is_wanted) {
                return mail;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let state = self.state.lock().unwrap();
        let others: Vec<_> =
            state.mails.iter().map(|mail| (mail.to.as_str(), mail.subject.as_str())).collect();
        panic!("no mail to {address} within a minute; all mails: {others:?}");
    }

    fn unread(&self, address: &str, is_wanted: fn(&Mail) -> bool) -> Option<Mail> {
        let mut state = self.state.lock().unwrap();
        let mut unread = (0..state.mails.len()).filter(|&index| !state.read[index]);
        let index = unread.find(|&index| {
            let mail = &state.mails[index];
            mail.to == address && is_wanted(mail)
        })?;
        state.read[index] = true;
        Some(state.mails[index].clone())
    }

    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let mood = self.state.lock().unwrap().mood;
        if mood == Mood::Away || (mood == Mood::Moody && self.turn(7)) {
            return Ok(());
        }
        let mut stream = BufReader::new(stream);
        if mood == Mood::Closed {
            self.state.lock().unwrap().attempts += 1;
            stream.write_all(b"535 who are you\r\n").await?;
            return Ok(());
        }
        if mood == Mood::Slow {
            tokio::time::sleep(Duration::from_secs(12)).await;
        }
        stream.write_all(b"220 test\r\n").await?;
        let (mut line, mut to) = (String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let answer: &[u8] = match verb.as_str() {
                "EHLO" if mood == Mood::Terse => b"502\r\n",
                "EHLO" => b"250-test\r\n250 8BITMIME\r\n",
                "MAIL" if mood == Mood::RefusesUs => {
                    self.state.lock().unwrap().attempts += 1;
                    b"550 5.7.1 no mail from you\r\n"
                }
                _ if mood == Mood::Terse && verb != "DATA" && verb != "QUIT" => {
                    if verb == "RCPT" {
                        to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                        self.state.lock().unwrap().attempts += 1;
                    }
                    b"250\r\n"
                }
                "RCPT" if self.state.lock().unwrap().mood == Mood::Moody && self.turn(11) => {
                    b"451 not now\r\n"
                }
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let mut state = self.state.lock().unwrap();
                    state.attempts += 1;
                    match state.mood {
                        Mood::Later(address) if address == to => b"451 later\r\n",
                        Mood::Never(address) if address == to => b"550 never\r\n",
                        Mood::RefusesEverybody => b"554 5.7.1 Relay access denied\r\n",
                        Mood::NeverInLatin1(address) if address == to => {
                            b"550 5.1.1 Empf\xe4nger unbekannt\r\n"
                        }
                        Mood::Away => return Ok(()),
                        _ => b"250 ok\r\n",
                    }
                }
                "DATA" => {
                    stream.write_all(if mood == Mood::Terse { b"354\r\n" } else { b"354 go on\r\n" }).await?;
                    let raw = read_data(&mut stream).await?;
                    self.keep(&to, &raw);
                    if mood == Mood::Slow {
                        tokio::time::sleep(Duration::from_secs(40)).await;
                    }
                    if mood == Mood::Silent || (mood == Mood::Moody && self.turn(23)) {
                        self.state.lock().unwrap().lost_answers += 1;
                        return Ok(());
                    }
                    if mood == Mood::Terse { b"250\r\n" } else { b"250 ok queued as A1B2\r\n" }
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => b"250 ok\r\n",
            };
            stream.write_all(answer).await?;
        }
    }

    /// Every so-many-th time.
    fn turn(&self, every: usize) -> bool {
        let mut state = self.state.lock().unwrap();
        state.turns += 1;
        state.turns.is_multiple_of(every)
    }

    fn keep(&self, to: &str, raw: &str) {
        let parsed = MessageParser::default().parse(raw.as_bytes()).expect("a mail that can be read");
        let body = |body: Option<std::borrow::Cow<'_, str>>| {
            body.map(|text| text.replace("\r\n", "\n")).unwrap_or_default()
        };
        let mail = Mail {
            to: to.to_owned(),
            subject: parsed.subject().unwrap_or_default().to_owned(),
            text: body(parsed.body_text(0)),
            html: body(parsed.body_html(0)),
            message_id: parsed.message_id().unwrap_or_default().to_owned(),
            raw: raw.to_owned(),
        };
        let mut state = self.state.lock().unwrap();
        state.mails.push(mail);
        state.read.push(false);
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut raw = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line == ".\r\n" || line.is_empty() {
            return Ok(raw);
        }
        raw.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
