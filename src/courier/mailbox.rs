//! With `DEBUG`: the mails that were sent, to be read at `/dev/mail/`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::identity::Moment;

/// The most mails kept.
const MAX_SENT_MAILS: usize = 200;
/// Where a folder of mails has those of earlier runs, an object a line.
const JOURNAL: &str = "mailbox.jsonl";

/// A mail that was sent.
#[derive(Clone, Serialize, Deserialize)]
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

/// The newest mails that were sent.
#[derive(Clone, Default)]
pub struct SentMails(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    mails: VecDeque<SentMail>,
    count: usize,
    /// Where they are kept for the next run.
    journal: Option<PathBuf>,
}

impl SentMails {
    /// The mails of earlier runs in a folder, and those to come.
    pub fn in_folder(folder: &Path) -> Self {
        let mails = Self::default();
        let journal = folder.join(JOURNAL);
        if let Ok(file) = File::open(&journal) {
            // A line that cannot be read was cut off, or is of another version.
            let lines = BufReader::new(file).lines().map_while(Result::ok);
            lines.filter_map(|line| serde_json::from_str(&line).ok()).for_each(|mail| mails.keep(mail));
        }
        mails.0.lock().unwrap_or_else(PoisonError::into_inner).journal = Some(journal);
        mails
    }

    /// Keeps a mail; its number is given here.
    pub fn keep(&self, mail: SentMail) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.count += 1;
        let mail = SentMail { number: kept.count, ..mail };
        if let Some(journal) = &kept.journal
            && let Err(error) = append(journal, &mail)
        {
            log::warn!("the mailbox can't be kept for the next run: {error}");
        }
        kept.mails.push_front(mail);
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

fn append(journal: &Path, mail: &SentMail) -> std::io::Result<()> {
    let mut line = serde_json::to_string(mail)?;
    line.push('\n');
    OpenOptions::new().create(true).append(true).open(journal)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_mails_of_yesterday_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mail = |subject: &str| SentMail {
            number: 0,
            at: Moment::new(datetime!(2026-11-23 08:00 UTC)),
            to: "ann@example.org".to_owned(),
            subject: subject.to_owned(),
            headers: String::new(),
            text: "a\nb".to_owned(),
            html: String::new(),
        };
        let today = SentMails::in_folder(folder.path());
        today.keep(mail("one"));
        today.keep(mail("two"));
        let tomorrow = SentMails::in_folder(folder.path());
        tomorrow.keep(mail("three"));
        let subjects: Vec<_> = tomorrow.all().into_iter().map(|mail| (mail.number, mail.subject)).collect();
        assert_eq!(subjects, [(3, "three".to_owned()), (2, "two".to_owned()), (1, "one".to_owned())]);
        assert_eq!(SentMails::in_folder(folder.path()).all().len(), 3);
    }
}
