//! Look after the outbox from the shell.

use clap::Subcommand;
use serde::Serialize;

use super::{Outcome, Stop, json, open, say, shell, stop};
use crate::acts::Refused;
use crate::acts::mails::MailAct;
use crate::db;
use crate::identity::Id;
use crate::records::Point;
use crate::records::outbox::{self, Filter, Listed, State};

/// So many mails are read at once.
const BATCH: i64 = 500;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Mails, the newest first
    List {
        /// waiting, sent, failed, expired or cancelled
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Try a mail again at once
    Retry {
        /// Its identifier
        id: String,
        /// A JSON object
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
struct Told {
    id: String,
    mail: String,
    to: String,
    state: String,
    tries: i32,
    written: String,
    trouble: Option<String>,
}

impl Told {
    fn of(mail: &Listed) -> Self {
        Self {
            id: mail.id.as_str().to_owned(),
            mail: mail.kind.clone(),
            to: mail.recipient.clone(),
            state: mail.state.as_str().to_owned(),
            tries: mail.tries,
            written: mail.created_at.iso(),
            trouble: mail.trouble.clone(),
        }
    }

    fn line(&self) -> String {
        // A mail server's words, which must not steer the terminal.
        let trouble = self.trouble.as_deref().unwrap_or_default().replace(char::is_control, " ");
        format!("{}  {}  {:<9}  {:<20}  {}  {trouble}", self.id, self.written, self.state, self.mail, self.to)
    }
}

pub(super) async fn run(command: Command) -> Outcome {
    match command {
        Command::List { state, json } => list(state, json).await,
        Command::Retry { id, json } => retry(&id, json).await,
    }
}

async fn list(state: Option<State>, as_json: bool) -> Outcome {
    let app = open()?;
    let mut after: Option<Point> = None;
    loop {
        let (filter, from) = (Filter { user: None, state }, after.clone());
        let page = move |conn: &mut db::Connection| {
            Ok::<_, db::Error>(outbox::list(conn, &filter, from.as_ref(), BATCH)?)
        };
        let found = app.db.read(page).await?;
        for told in found.iter().map(Told::of) {
            say(if as_json { json(&told)? } else { told.line() });
        }
        match found.last() {
            Some(last) => after = Some(Point { at: last.created_at, id: last.id.clone() }),
            None => return Ok(()),
        }
    }
}

async fn retry(id: &str, as_json: bool) -> Outcome {
    let app = open()?;
    let unknown = || Stop::NotFound(format!("there is no mail {id}"));
    let (mail, actor, now) = (Id::parse(id).ok_or_else(unknown)?, shell(String::new()), app.clock.now());
    let retry = move |conn: &mut db::Connection| {
        MailAct::Retry.perform(conn, &mail, &actor, now)?;
        outbox::by_id(conn, &mail)?.ok_or(Refused::Gone)
    };
    match app.db.write(retry).await {
        Ok(mail) => {
            let told = Told::of(&mail);
            say(if as_json { json(&told)? } else { told.line() });
            Ok(())
        }
        Err(Refused::Gone) => Err(unknown().into()),
        Err(refused) => Err(stop(refused)),
    }
}
