//! The courier: takes mails out of the outbox, one at a time, and sends them.
//!
//! - Several couriers, in one process or many, share one outbox: a claim is one conditional UPDATE.
//! - A server that cannot be reached is the courier's trouble and counts against no mail; it is probed again
//!   after one second, then two, at most every thirty.
//! - A mail that the server puts off (4xx) waits longer and longer, for a day; one it refuses (5xx) is given up
//!   at once. Neither holds up another.
//! - A code that ran out is dropped, not sent. Secrets are erased at the end of each mail, whatever end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::Mail;
use super::letter::Stationery;
use super::mailbox::{SentMail, SentMails};
use super::recovery::{self, Lifetimes};
use super::transport::{Transport, Trouble, build};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{self, Db};
use crate::identity::{Email, Moment};
use crate::keys::Keys;
use crate::records::events::{self, Kind, Origin};
use crate::records::outbox::{self, Outgoing, State};
use crate::web::language::Language;

/// Mails under way at once, so that one slow recipient does not hold up the next.
pub const HANDS: usize = 3;
/// How often the outbox is looked at when nobody in this process wrote to it: another instance may have.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const PROBE_AT_MOST: Duration = Duration::from_secs(30);
/// How often a mail is put off before it is given up; with [`delay`], after about a day.
const TRIES: i32 = 30;

/// How pages tell couriers that there is something to do, and the process that there is nothing more.
#[derive(Clone, Default)]
pub struct Bell {
    work: Arc<Notify>,
    stopping: Arc<AtomicBool>,
}

impl Bell {
    /// There is a mail.
    pub fn ring(&self) {
        self.work.notify_one();
    }

    /// The process ends: finish what is under way.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.work.notify_waiters();
        (0..HANDS).for_each(|_| self.work.notify_one());
    }

    /// Whether the process ends.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// A courier of this process.
pub struct Courier {
    db: Db,
    clock: Clock,
    bell: Bell,
    transport: Transport,
    stationery: Stationery,
    from: Email,
    lifetimes: Lifetimes,
    sent: Option<SentMails>,
    /// Until when, and how often already, the server could not be reached.
    away: Mutex<Option<(Moment, u32)>>,
}

enum Step {
    /// One mail is done; look for the next.
    Done,
    /// Nothing to do for so long, unless the bell rings.
    Idle(Duration),
}

impl Courier {
    /// A courier with the settings' way out. `sent` gets a copy of each mail.
    ///
    /// # Errors
    /// When there is no such way out.
    pub fn new(
        config: &Config,
        keys: &Keys,
        (db, clock, bell): (Db, Clock, Bell),
        sent: Option<SentMails>,
    ) -> Result<Self, Trouble> {
        let (public_url, keys) = (config.public_url.clone(), keys.clone());
        Ok(Self {
            db,
            clock,
            bell,
            transport: Transport::open(&config.mail)?,
            stationery: Stationery { public_url, keys, language: Language::default() },
            from: config.mail.from.clone(),
            lifetimes: Lifetimes { otp: config.otp_lifetime, reset: config.reset_lifetime },
            sent,
            away: Mutex::default(),
        })
    }

    /// Works until the bell says that the process ends. Run by [`HANDS`] tasks at once.
    pub async fn work(&self) {
        while !self.bell.is_stopping() {
            match AssertUnwindSafe(self.step()).catch_unwind().await {
                Ok(Ok(Step::Done)) => {}
                Ok(Ok(Step::Idle(wait))) => self.rest(wait).await,
                Ok(Err(error)) => {
                    log::warn!("the outbox cannot be read: {error}");
                    self.rest(LOOK_AGAIN).await;
                }
                // Logged already; the mail comes up again when its lease is over.
                Err(_) => self.rest(LOOK_AGAIN).await,
            }
        }
    }

    async fn rest(&self, wait: Duration) {
        // Either way it is time to look again.
        drop(tokio::time::timeout(wait, self.bell.work.notified()).await);
    }

    async fn step(&self) -> Result<Step, db::Error> {
        let now = self.clock.now();
        if let Some((until, _)) = self.away().filter(|(until, _)| now < *until) {
            return Ok(Step::Idle(until.since(now)));
        }
        let claimed = self.db.write(move |conn| Ok::<_, db::Error>(outbox::claim(conn, now)?)).await?;
        let Some(mail) = claimed else {
            let next = self.db.read(|conn| Ok::<_, db::Error>(outbox::next_due(conn)?)).await?;
            let wait =
                next.map_or(LOOK_AGAIN, |due| due.since(now).clamp(Duration::from_millis(20), LOOK_AGAIN));
            return Ok(Step::Idle(wait));
        };
        // There may be another one for the next hand.
        self.bell.ring();
        self.deliver(mail).await?;
        Ok(Step::Done)
    }

    async fn deliver(&self, mail: Outgoing) -> Result<(), db::Error> {
        let now = self.clock.now();
        if mail.expires_at.is_some_and(|expires| expires <= now) {
            return self
                .give_up(mail, State::Expired, "its code or link ran out before it could be sent")
                .await;
        }
        let Ok(content) = serde_json::from_str::<Mail>(&mail.fields) else {
            return self.give_up(mail, State::Failed, "it cannot be read").await;
        };
        if matches!(content, Mail::RecoveryAsked) {
            return self.answer_recovery(mail).await;
        }
        match self.send(&mail, &content, now).await {
            Ok(()) => {
                self.reached();
                self.finish(&mail, State::Sent, None).await
            }
            Err(Trouble::Unreachable(why)) => {
                let due = self.not_reached(now, &why);
                self.db.write(move |conn| Ok(outbox::postpone(conn, &mail, due, false, &why)?)).await
            }
            Err(Trouble::Later(why)) if mail.tries < TRIES => {
                let due = now.plus(delay(mail.tries));
                log::info!("mail {} was put off: {why}", mail.id.as_str());
                self.db.write(move |conn| Ok(outbox::postpone(conn, &mail, due, true, &why)?)).await
            }
            Err(Trouble::Later(why) | Trouble::Never(why)) => self.give_up(mail, State::Failed, &why).await,
        }
    }

    async fn send(&self, mail: &Outgoing, content: &Mail, now: Moment) -> Result<(), Trouble> {
        let secret = mail.secret.as_deref().unwrap_or_default();
        let left = mail.expires_at.map_or(Duration::ZERO, |expires| expires.since(now));
        let letter = self.stationery.write(content, secret, left);
        let letter = letter.ok_or_else(|| Trouble::Never("it cannot be written".to_owned()))?;
        let language = self.stationery.language;
        let message = build(&letter, &self.from, &mail.recipient, mail.id.as_str(), language)?;
        let headers = message.headers().to_string();
        if let Err(trouble) = self.transport.send(message).await {
            return Err(self.about_whom(trouble).await);
        }
        if let Some(sent) = &self.sent {
            sent.keep(SentMail {
                number: 0,
                at: now,
                to: mail.recipient.clone(),
                subject: letter.subject(language),
                headers,
                text: letter.text(language).unwrap_or_default(),
                html: letter.html(language).unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// A server that turns everybody away (a wrong password, no room) says nothing about this mail.
    async fn about_whom(&self, trouble: Trouble) -> Trouble {
        match (&trouble, self.transport.probe().await) {
            (Trouble::Unreachable(_), _) | (_, Ok(())) => trouble,
            (_, Err(of_server)) => Trouble::Unreachable(of_server.to_string()),
        }
    }

    async fn answer_recovery(&self, asked: Outgoing) -> Result<(), db::Error> {
        let (keys, lifetimes, now) = (self.stationery.keys.clone(), self.lifetimes, self.clock.now());
        self.db
            .write(move |conn| {
                recovery::answer(conn, asked.secret.as_deref().unwrap_or_default(), &keys, lifetimes, now)?;
                Ok::<_, db::Error>(outbox::finish(conn, &asked.id, State::Sent, None, now)?)
            })
            .await
    }

    async fn give_up(&self, mail: Outgoing, state: State, why: &str) -> Result<(), db::Error> {
        log::warn!("mail {} is given up: {why}", mail.id.as_str());
        self.finish(&mail, state, Some(why.to_owned())).await
    }

    async fn finish(&self, mail: &Outgoing, state: State, trouble: Option<String>) -> Result<(), db::Error> {
        let (id, user, now) = (mail.id.clone(), mail.user_id.clone(), self.clock.now());
        self.db
            .write(move |conn| {
                outbox::finish(conn, &id, state, trouble.as_deref(), now)?;
                if let Some(why) = &trouble {
                    events::note(conn, Kind::MailGivenUp, user.as_ref(), &Origin("-".to_owned()), why, now)?;
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
            // Another hand has just found out the same.
            Some((until, _)) if now < until => return until,
            Some((_, times)) => times + 1,
            None => {
                log::warn!("the mail server cannot be reached: {why}");
                0
            }
        };
        let until = now.plus(Duration::from_secs(1 << times.min(5)).min(PROBE_AT_MOST));
        *away = Some((until, times));
        until
    }
}

/// 30 seconds, then twice as long each time, at most an hour.
fn delay(tries: i32) -> Duration {
    let doublings = u32::try_from(tries).unwrap_or_default().min(7);
    Duration::from_secs((30 << doublings).min(3600))
}
