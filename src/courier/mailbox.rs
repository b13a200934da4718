//! With `DEBUG`: the mails that this process sent, to be read at `/dev/mail/`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::identity::Moment;

/// The most mails kept.
const MAX_SENT_MAILS: usize = 200;

/// A mail that was sent.
#[derive(Clone)]
pub struct SentMail {
    /// Its number, for its path.
    pub number: usize,
    pub at: Moment,
    pub to: String,
    pub subject: String,
    pub headers: String,
    pub text: String,
    pub html: String,
}

/// The newest mails that this process sent.
#[derive(Clone, Default)]
pub struct SentMails(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    mails: VecDeque<SentMail>,
    count: usize,
}

impl SentMails {
    /// Keeps a mail; its number is given here.
    pub fn keep(&self, mail: SentMail) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.count += 1;
        let number = kept.count;
        kept.mails.push_front(SentMail { number, ..mail });
        kept.mails.truncate(MAX_SENT_MAILS);
    }

    /// Lists all of them, the newest first.
    pub fn all(&self) -> Vec<SentMail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).mails.iter().cloned().collect()
    }

    /// Finds one by its number.
    pub fn get(&self, number: usize) -> Option<SentMail> {
        self.all().into_iter().find(|mail| mail.number == number)
    }
}
