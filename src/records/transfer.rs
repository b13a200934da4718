//! A whole database, copied to another one of any kind: row by row, in batches, in one transaction of the target.
//!
//! Each table is copied through the row type that its own file reads and writes, so that no column can be forgotten.

use diesel::prelude::*;

use super::app_sessions::AppSessionRow;
use super::events::Event;
use super::links::Link;
use super::mail_budgets::MailBudget;
use super::outbox::OutboxMail;
use super::sessions::Session;
use super::two_factor::authenticators::Authenticator;
use super::two_factor::passkeys::Passkey;
use super::two_factor::recovery_codes::RecoveryCodeRow;
use super::two_factor::second_steps::SecondStep;
use super::two_factor::trusted_devices::TrustedDevice;
use super::users::User;
use super::verifications::Verification;
use crate::db::schema::{
    app_sessions, authenticators, events, links, mail_budgets, outbox, passkeys, recovery_codes,
    second_steps, sessions, trusted_devices, users, verifications,
};
use crate::db::{Connection, Error};

const BATCH: i64 = 500;

/// How many rows of a table were copied.
pub type Copied = (&'static str, i64);

/// Each table: its row type, its order, and the rows that come after a given one. Referenced tables come first.
macro_rules! tables {
    ($($table:ident: $row:ty, by $order:expr, after |$last:ident| $after:expr;)+) => {
        fn copy_rows(from: &mut Connection, to: &mut Connection) -> QueryResult<Vec<Copied>> {
            $(let $table = {
                let mut count = 0;
                let mut last: Option<$row> = None;
                loop {
                    let mut next = $table::table.order($order).limit(BATCH).select(<$row>::as_select()).into_boxed();
                    if let Some($last) = &last {
                        next = next.filter($after);
                    }
                    let rows: Vec<$row> = next.load(from)?;
                    for row in &rows {
                        diesel::insert_into($table::table).values(row).execute(to)?;
                        count += 1;
                    }
                    match rows.into_iter().next_back() {
                        Some(row) => last = Some(row),
                        None => break count,
                    }
                }
            };)+
            Ok(vec![$((stringify!($table), $table)),+])
        }

        fn count_rows(conn: &mut Connection) -> QueryResult<Vec<Copied>> {
            Ok(vec![$((stringify!($table), $table::table.count().get_result(conn)?)),+])
        }
    };
}

tables! {
    users: User, by users::id, after |last| users::id.gt(last.id.clone());
    verifications: Verification, by verifications::id, after |last| verifications::id.gt(last.id.clone());
    links: Link, by links::id, after |last| links::id.gt(last.id.clone());
    sessions: Session, by sessions::id, after |last| sessions::id.gt(last.life.id.clone());
    app_sessions: AppSessionRow, by app_sessions::id, after |last| app_sessions::id.gt(last.at.id.clone());
    authenticators: Authenticator, by authenticators::id, after |last| authenticators::id.gt(last.id.clone());
    passkeys: Passkey, by passkeys::id, after |last| passkeys::id.gt(last.id.clone());
    recovery_codes: RecoveryCodeRow, by recovery_codes::id, after |last| recovery_codes::id.gt(last.id().clone());
    second_steps: SecondStep, by second_steps::id, after |last| second_steps::id.gt(last.id.clone());
    trusted_devices: TrustedDevice, by trusted_devices::id, after |last| trusted_devices::id.gt(last.id.clone());
    events: Event, by events::id, after |last| events::id.gt(last.id.clone());
    outbox: OutboxMail, by outbox::id, after |last| outbox::id.gt(last.id.clone());
    mail_budgets: MailBudget, by (mail_budgets::email, mail_budgets::kind, mail_budgets::asker), after |last| {
        let same_email = mail_budgets::email.eq(last.email.clone());
        let same_kind = same_email.clone().and(mail_budgets::kind.eq(last.kind.clone()));
        mail_budgets::email
            .gt(last.email.clone())
            .or(same_email.and(mail_budgets::kind.gt(last.kind.clone())))
            .or(same_kind.and(mail_budgets::asker.gt(last.asker.clone())))
    };
}

/// Copies every table into an empty database; returns how many rows each has.
///
/// # Errors
/// `NotCopied` when the target is not empty, or does not hold afterwards what the source holds.
pub fn copy(from: &mut Connection, to: &mut Connection) -> Result<Vec<Copied>, Error> {
    if count_rows(to)?.iter().any(|(_, count)| *count > 0) {
        return Err(Error::NotCopied("the target is not empty"));
    }
    let copied = copy_rows(from, to)?;
    if count_rows(to)? == copied && count_rows(from)? == copied {
        Ok(copied)
    } else {
        Err(Error::NotCopied("the source has changed in the meantime; stop all instances first"))
    }
}
