//! Manage the outbox from the command line.

use clap::Subcommand;
use serde::Serialize;

use super::{Exit, Outcome, explained, json, open, operator, say};
use crate::accounts::administration::ActError;
use crate::accounts::administration::mails::MailAct;
use crate::db::Connection;
use crate::identity::Id;
use crate::records::Cursor;
use crate::records::outbox::{self, Filter, ListedMail, State};

/// So many mails are read at once.
const BATCH: i64 = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List emails, the newest first
    List {
        /// waiting, sent, failed, expired or cancelled
        #[arg(long, value_parser = state)]
        status: Option<State>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Try to send an email again now
    Retry {
        /// ID of the email
        id: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

fn state(word: &str) -> Result<State, String> {
    let known = State::parse(word).filter(|state| *state != State::Withheld);
    known.ok_or_else(|| "choose waiting, sent, failed, expired or cancelled".to_owned())
}

/// A mail as a line or an object; never what it says.
#[derive(Serialize)]
struct MailLine {
    id: String,
    mail: String,
    to: String,
    status: &'static str,
    failed_attempts: i32,
    queued: String,
    reply: Option<String>,
}

impl MailLine {
    fn of(mail: &ListedMail) -> Self {
        Self {
            id: mail.id.as_str().to_owned(),
            mail: mail.kind.clone(),
            to: mail.recipient.clone(),
            status: mail.state.as_str(),
            failed_attempts: mail.tries,
            queued: mail.created_at.iso(),
            reply: mail.trouble.clone(),
        }
    }

    fn line(&self) -> String {
        // A mail server's words, which must not steer the terminal.
        let reply = self.reply.as_deref().unwrap_or_default().replace(char::is_control, " ");
        format!("{}  {}  {:<9}  {:<20}  {}  {reply}", self.id, self.queued, self.status, self.mail, self.to)
    }
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::List { status, json } => list(status, json).await,
        Command::Retry { id, json } => retry(&id, json).await,
    }
}

async fn list(state: Option<State>, as_json: bool) -> Outcome {
    let app = open()?;
    let filter = Filter { state, ..Filter::default() };
    let mut after: Option<Cursor> = None;
    loop {
        let filter = filter.clone();
        let from = after.clone();
        let found = app.db.read(move |conn| outbox::list(conn, &filter, from.as_ref(), BATCH)).await?;
        for line in found.iter().map(MailLine::of) {
            say(if as_json { json(&line)? } else { line.line() })?;
        }
        match found.last() {
            Some(last) => after = Some(Cursor { at: last.created_at, id: last.id.clone() }),
            None => return Ok(()),
        }
    }
}

async fn retry(id: &str, as_json: bool) -> Outcome {
    let app = open()?;
    let unknown = || Exit::NotFound(format!("there is no email {id}"));
    let mail = Id::parse(id).ok_or_else(unknown)?;
    let actor = operator(String::new());
    let now = app.clock.now();
    let retry = move |conn: &mut Connection| {
        MailAct::Retry.perform(conn, &mail, &actor, now)?;
        outbox::by_id(conn, &mail)?.ok_or(ActError::Gone)
    };
    match app.db.write(retry).await {
        Ok(mail) => {
            let line = MailLine::of(&mail);
            say(if as_json { json(&line)? } else { line.line() })?;
            Ok(())
        }
        Err(ActError::Gone) => Err(unknown().into()),
        Err(error) => Err(explained(error)),
    }
}
