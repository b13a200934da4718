//! The courier: takes mails out of the outbox, one at a time, and sends them.
//!
//! - Several couriers, in one process or many, share one outbox: a claim is one conditional UPDATE.
//! - A server that cannot be reached counts against no mail; it is probed again
//!   after one second, then two, at most every thirty.
//! - A mail that the server puts off (4xx) waits longer and longer, for a day; one it refuses (5xx) is given up
//!   at once. Neither holds up another.
//! - A mail that a server got whole and did not acknowledge is sent once more, and not again.
//! - A code that has expired is dropped, not sent. The secret of a mail ends with it; that of one that was refused, when it expires.

mod mailbox;
mod refusals;
mod smtp;
mod transport;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

pub use mailbox::{SentMail, SentMails};
use refusals::{Refusal, Refusals};
pub use transport::{SendError, Transport, build};

use crate::accounts::codes::CodeRules;
use crate::accounts::passwords::LinkRules;
use crate::accounts::recovery::{self, RecoveryRules};
use crate::accounts::sign_in_codes;
use crate::clock::Clock;
use crate::config::{Config, Sender};
use crate::db::{self, Db};
use crate::identity::{Id, Moment};
use crate::keys::Keys;
use crate::language::Language;
use crate::mail::{Mail, MailWriter};
use crate::records::events::{self, Kind, Source};
use crate::records::outbox::{self, OutboxMail, PutOff, State};
use crate::records::users;

/// Mails under way at once, so that one slow recipient does not hold up the next.
pub const WORKERS: usize = 3;
/// How often the outbox is read when nobody in this process wrote to it: another instance may have.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long a mail is kept back at most, by chance.
const MAX_LATENESS: Duration = Duration::from_millis(200);
/// The longest time between two tries to reach a server that is away.
const MAX_PROBE_DELAY: Duration = Duration::from_secs(30);
/// How often a mail is put off before it is given up; with [`delay`], after about a day.
const MAX_TRIES: i32 = 30;
/// When a mail that was perhaps taken is sent again: once.
const AFTER_SILENCE: Duration = Duration::from_secs(120);

/// Wakes the couriers of this process when there is something to send.
#[derive(Clone, Default)]
pub struct Wakeup(Arc<Notify>);

impl Wakeup {
    /// There is a mail.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Knows whether the process is to end.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<AtomicBool>);

impl Shutdown {
    /// The process ends: couriers finish what is under way.
    pub fn begin(&self, wakeup: &Wakeup) {
        self.0.store(true, Ordering::SeqCst);
        wakeup.0.notify_waiters();
        (0..WORKERS).for_each(|_| wakeup.wake());
    }

    /// Whether the process is to end.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a courier works with.
pub struct CourierParts {
    pub db: Db,
    pub clock: Clock,
    /// When there is something to send.
    pub wakeup: Wakeup,
    pub shutdown: Shutdown,
    /// Gets a copy of each mail.
    pub sent: Option<SentMails>,
}

/// The courier of this process.
pub struct Courier {
    parts: CourierParts,
    transport: Transport,
    writer: MailWriter,
    from: Sender,
    reply_to: Option<Sender>,
    rules: RecoveryRules,
    /// Until when, and how often already, the server could not be reached.
    away: Mutex<Option<(Moment, u32)>>,
    refusals: Refusals,
}

enum Next {
    /// One mail is done; claim the next.
    Claim,
    /// Nothing to do for so long, unless somebody wakes us.
    Rest(Duration),
}

impl Courier {
    /// Prepares a courier with the transport of the settings.
    ///
    /// # Errors
    /// When the settings make no transport.
    pub fn new(config: &Config, keys: &Keys, parts: CourierParts) -> Result<Self, SendError> {
        Ok(Self {
            parts,
            transport: Transport::open(&config.mail)?,
            writer: MailWriter::new(config, keys, Language::of_site()),
            from: config.mail.from.clone(),
            reply_to: config.mail.reply_to.clone(),
            rules: RecoveryRules {
                codes: CodeRules::new(config, keys),
                links: LinkRules { lifetime: config.reset_lifetime, seal: keys.outbox },
            },
            away: Mutex::default(),
            refusals: Refusals::default(),
        })
    }

    /// Works until the process is to end. Run by [`WORKERS`] tasks at once.
    pub async fn work(&self) {
        while !self.parts.shutdown.has_begun() {
            match AssertUnwindSafe(self.step()).catch_unwind().await {
                Ok(Ok(Next::Claim)) => {}
                Ok(Ok(Next::Rest(wait))) => self.rest(wait).await,
                Ok(Err(error)) => {
                    if !error.is_of_outage() {
                        log::warn!("the outbox can't be read: {error}");
                    }
                    self.rest(POLL_INTERVAL).await;
                }
                // Logged already; the mail comes up again when its lease is over.
                Err(_) => self.rest(POLL_INTERVAL).await,
            }
        }
    }

    async fn rest(&self, wait: Duration) {
        // Either way it is time to look again; but not at once, or who asks for one page after the other feels by the second one
        // whether the first has given us work, and so whether an address has an account.
        if tokio::time::timeout(wait, self.parts.wakeup.0.notified()).await.is_ok() {
            tokio::time::sleep(rand::random_range(Duration::ZERO..MAX_LATENESS)).await;
        }
    }

    async fn step(&self) -> Result<Next, db::Error> {
        let now = self.parts.clock.now();
        if let Some((until, _)) =
            self.away().filter(|(until, _)| now < *until && until.since(now) <= MAX_PROBE_DELAY)
        {
            return Ok(Next::Rest(until.since(now)));
        }
        let claimed = self.parts.db.write(move |conn| Ok::<_, db::Error>(outbox::claim(conn, now)?)).await?;
        let Some(mail) = claimed else {
            let next = self.parts.db.read(outbox::next_due).await?;
            let until = |due: Moment| due.since(now).clamp(Duration::from_millis(20), POLL_INTERVAL);
            return Ok(Next::Rest(next.map_or(POLL_INTERVAL, until)));
        };
        // There may be another one for the next worker.
        self.parts.wakeup.wake();
        self.deliver(mail).await?;
        Ok(Next::Claim)
    }

    async fn deliver(&self, outgoing: OutboxMail) -> Result<(), db::Error> {
        let now = self.parts.clock.now();
        if outgoing.expires_at.is_some_and(|expires| expires <= now) {
            let why = "its code or link expired before it could be sent";
            return self.give_up(outgoing, State::Expired, why).await;
        }
        let Some(mail) = Mail::read(&outgoing.kind, &outgoing.fields) else {
            return self.give_up(outgoing, State::Failed, "it cannot be read").await;
        };
        if matches!(mail, Mail::RecoveryRequest(_) | Mail::SignInCodeRequest(_)) {
            return self.answer(outgoing, mail).await;
        }
        match self.send_under_lease(&outgoing, &mail, now).await? {
            Ok(said) => {
                self.reached();
                self.refusals.clear();
                log::info!("email {} was accepted: {said}", outgoing.id.as_str());
                self.finish(&outgoing, State::Sent, Some(said)).await
            }
            Err(SendError::Unreachable(why)) => {
                let due = self.not_reached(now, &why);
                self.put_off(outgoing, due, PutOff::ServerAway, why).await
            }
            Err(SendError::Uncertain(why)) if outgoing.is_perhaps_sent() => {
                log::warn!("email {} may have been delivered twice: {why}", outgoing.id.as_str());
                self.finish(&outgoing, State::Sent, Some(why)).await
            }
            Err(SendError::Uncertain(why)) => {
                log::warn!(
                    "email {} may have been delivered; it will be sent once more: {why}",
                    outgoing.id.as_str()
                );
                self.put_off(outgoing, now.plus(AFTER_SILENCE), PutOff::Perhaps, why).await
            }
            Err(SendError::Later(why)) => self.try_later(outgoing, now, why).await,
            Err(SendError::Never(why)) => match self.refusals.note(&outgoing.recipient, &why) {
                Refusal::OfMail => self.give_up(outgoing, State::Failed, &why).await,
                Refusal::OfUs => self.try_later(outgoing, now, why).await,
            },
        }
    }

    /// Sends a mail, and keeps it ours for as long as that takes. When the process ends meanwhile, it is left after a while.
    async fn send_under_lease(
        &self,
        outgoing: &OutboxMail,
        mail: &Mail,
        now: Moment,
    ) -> Result<Result<String, SendError>, db::Error> {
        let sending = self.send(outgoing, mail, now);
        let mut sending = std::pin::pin!(sending);
        let mut ticks_since_end = 0;
        loop {
            match tokio::time::timeout(outbox::LEASE / 3, &mut sending).await {
                Ok(done) => return Ok(done),
                Err(_) if ticks_since_end > 1 => {
                    return Ok(Err(SendError::Uncertain("Latchkey was stopped while sending".to_owned())));
                }
                Err(_) => {
                    ticks_since_end += u32::from(self.parts.shutdown.has_begun());
                    let (id, now) = (outgoing.id.clone(), self.parts.clock.now());
                    self.parts
                        .db
                        .write(move |conn| Ok::<_, db::Error>(outbox::extend(conn, &id, now)?))
                        .await?;
                }
            }
        }
    }

    /// Puts a mail off for longer and longer, and gives it up in the end.
    async fn try_later(&self, mail: OutboxMail, now: Moment, why: String) -> Result<(), db::Error> {
        if mail.tries >= MAX_TRIES {
            return self.give_up(mail, State::Failed, &why).await;
        }
        log::info!("email {} was put off: {why}", mail.id.as_str());
        let due = now.plus(delay(mail.tries));
        self.put_off(mail, due, PutOff::ByServer, why).await
    }

    async fn put_off(
        &self,
        mail: OutboxMail,
        due: Moment,
        why: PutOff,
        trouble: String,
    ) -> Result<(), db::Error> {
        self.parts.db.write(move |conn| Ok(outbox::postpone(conn, &mail, due, why, &trouble)?)).await
    }

    async fn send(&self, outgoing: &OutboxMail, mail: &Mail, now: Moment) -> Result<String, SendError> {
        let secret = self.secret_of(outgoing)?;
        let left = outgoing.expires_at.map_or(Duration::ZERO, |expires| expires.since(now));
        let content = self.writer.write(mail, &secret, left);
        let content = content.ok_or_else(|| SendError::Never("it cannot be written".to_owned()))?;
        let language = self.writer.language;
        let sender = (&self.from, self.reply_to.as_ref());
        let message = build(&content, sender, &outgoing.recipient, outgoing.id.as_str(), language)?;
        let headers = message.headers().to_string();
        let said = self.transport.send(message).await?;
        if let Some(sent) = &self.parts.sent {
            sent.keep(SentMail {
                number: 0,
                at: now,
                to: outgoing.recipient.clone(),
                subject: content.subject(language),
                headers,
                text: content.text(language).unwrap_or_default(),
                html: content.html(language).unwrap_or_default(),
            });
        }
        Ok(said)
    }

    /// What a mail carries, opened.
    fn secret_of(&self, outgoing: &OutboxMail) -> Result<String, SendError> {
        let Some(sealed) = &outgoing.secret else { return Ok(String::new()) };
        let gone = || SendError::Never("what it carries was sealed with another SECRET_KEY".to_owned());
        self.writer.keys.open_sealed(sealed).ok_or_else(gone)
    }

    /// Does what somebody asked for at a page that says the same to everybody.
    async fn answer(&self, asked: OutboxMail, request: Mail) -> Result<(), db::Error> {
        let rules = self.rules;
        let now = self.parts.clock.now();
        let typed = match self.secret_of(&asked) {
            Ok(typed) => typed,
            Err(error) => return self.give_up(asked, State::Failed, &error.to_string()).await,
        };
        self.parts
            .db
            .write(move |conn| {
                match (&request, Id::parse(&typed)) {
                    (Mail::RecoveryRequest(request), _) => {
                        recovery::answer(conn, request, &typed, &rules, now)?;
                    }
                    (Mail::SignInCodeRequest(request), Some(flow)) => {
                        sign_in_codes::answer(conn, request, &flow, &rules.codes, now)?;
                    }
                    _ => log::error!("a request to the courier can't be read, and is dropped"),
                }
                // Who asked for what is nobody's business once it is answered.
                outbox::remove(conn, &asked.id)?;
                Ok(())
            })
            .await
    }

    async fn give_up(&self, mail: OutboxMail, state: State, why: &str) -> Result<(), db::Error> {
        log::warn!("mail {} is given up: {why}", mail.id.as_str());
        self.finish(&mail, state, Some(why.to_owned())).await
    }

    async fn finish(
        &self,
        mail: &OutboxMail,
        state: State,
        trouble: Option<String>,
    ) -> Result<(), db::Error> {
        let id = mail.id.clone();
        let user = mail.user_id.clone();
        let now = self.parts.clock.now();
        self.parts
            .db
            .write(move |conn| {
                // Another worker may have ended it, where a lease ran out too early.
                let has_ended = outbox::finish(conn, &id, state, trouble.as_deref(), now)?;
                if let Some(why) = trouble.as_ref().filter(|_| has_ended && state != State::Sent) {
                    let user = match &user {
                        Some(user) => users::exists(conn, user)?.then_some(user),
                        None => None,
                    };
                    // What a server says names its recipient, who may be gone.
                    let why = if user.is_some() { why.as_str() } else { "" };
                    events::note(conn, Kind::MailGivenUp, user, &Source::Program, why, now)?;
                }
                Ok(())
            })
            .await
    }

    fn away(&self) -> Option<(Moment, u32)> {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) {
        if self.away.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            log::info!("the mail server is back");
        }
    }

    /// Remembers that the server is away; when to try again.
    fn not_reached(&self, now: Moment, why: &str) -> Moment {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let times = match *away {
            // Another worker has just found out the same.
            Some((until, _)) if now < until && until.since(now) <= MAX_PROBE_DELAY => return until,
            Some((_, times)) => times + 1,
            None => {
                log::warn!("the mail server cannot be reached: {why}");
                0
            }
        };
        let until = now.plus(Duration::from_secs(1 << times.min(5)).min(MAX_PROBE_DELAY));
        *away = Some((until, times));
        until
    }
}

/// 30 seconds, then twice as long each time, up to [`outbox::MAX_DELAY`].
fn delay(tries: i32) -> Duration {
    let doublings = u32::try_from(tries).unwrap_or_default().min(7);
    Duration::from_secs(30 << doublings).min(outbox::MAX_DELAY)
}
