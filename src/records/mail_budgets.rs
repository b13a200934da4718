//! How much mail of a kind one address may be sent: a defence of mailboxes, not of us.
//!
//! Exact sliding windows: the last ten times stand in one row, replaced by one conditional UPDATE. Two
//! that race for it ask within the same minute, so that "no" is right for the one that loses.

use std::time::Duration;

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::mail_budgets;
use crate::identity::{Email, Moment};

/// The kinds that are counted; notices of something done are never held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    Code,
    /// Links to choose a new password.
    Reset,
    /// "You already have an account."
    AccountExists,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Budget {
    fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Reset => "reset",
            Self::AccountExists => "account-exists",
        }
    }

    /// So many in such a span.
    fn rules(self) -> &'static [(usize, Duration)] {
        match self {
            Self::Code | Self::Reset => &[(1, MINUTE), (5, HOUR), (10, DAY)],
            Self::AccountExists => &[(1, HOUR), (10, DAY)],
        }
    }

    /// How long to wait until one more is allowed; nothing when it is now. `recent` is in order of time.
    fn wait(self, recent: &[Moment], now: Moment) -> Duration {
        let waits = self.rules().iter().filter_map(|(most, span)| {
            let nth_last = recent.iter().rev().nth(most - 1)?;
            Some(nth_last.plus(*span).since(now))
        });
        waits.max().unwrap_or_default()
    }
}

/// What was recently mailed to an address: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = mail_budgets)]
pub(super) struct MailBudget {
    /// The address, in lower case.
    pub(super) email: String,
    pub(super) kind: String,
    recent: String,
    touched_at: Moment,
}

/// Takes one mail from the budget of an address, or returns how long to wait for the next.
pub fn take(
    conn: &mut Connection,
    email: &Email,
    budget: Budget,
    now: Moment,
) -> QueryResult<Result<(), Duration>> {
    let stored = find(conn, email, budget)?;
    let mut recent = stored.as_ref().map(|row| parse(&row.recent)).unwrap_or_default();
    let wait = budget.wait(&recent, now);
    if !wait.is_zero() {
        return Ok(Err(wait));
    }
    recent.push(now);
    let forgotten = recent.len().saturating_sub(10);
    let new = MailBudget {
        email: email.canonical(),
        kind: budget.as_str().to_owned(),
        recent: print(recent.iter().skip(forgotten)),
        touched_at: now,
    };
    let rows = match stored {
        Some(old) => {
            let unchanged =
                mail_budgets::table.find((old.email, old.kind)).filter(mail_budgets::recent.eq(old.recent));
            diesel::update(unchanged)
                .set((mail_budgets::recent.eq(new.recent), mail_budgets::touched_at.eq(now)))
                .execute(conn)?
        }
        None => diesel::insert_into(mail_budgets::table).values(&new).execute(conn)?,
    };
    Ok(if rows == 1 { Ok(()) } else { Err(MINUTE) })
}

/// Returns how long to wait until one more is allowed; nothing when it is now.
pub fn wait(conn: &mut Connection, email: &Email, budget: Budget, now: Moment) -> QueryResult<Duration> {
    let recent = find(conn, email, budget)?.map(|row| parse(&row.recent)).unwrap_or_default();
    Ok(budget.wait(&recent, now))
}

fn find(conn: &mut Connection, email: &Email, budget: Budget) -> QueryResult<Option<MailBudget>> {
    let row = mail_budgets::table.find((email.canonical(), budget.as_str()));
    row.select(MailBudget::as_select()).get_result(conn).optional()
}

/// Forgets what no rule asks about any more.
pub fn sweep(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    diesel::delete(mail_budgets::table.filter(mail_budgets::touched_at.lt(now.minus(DAY)))).execute(conn)
}

fn parse(text: &str) -> Vec<Moment> {
    text.split(' ').filter_map(|micros| Moment::from_micros(micros.parse().ok()?)).collect()
}

fn print<'a>(moments: impl Iterator<Item = &'a Moment>) -> String {
    moments.map(|moment| moment.micros().to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn one_a_minute_five_an_hour_ten_a_day() {
        let start = Moment::new(datetime!(2026-11-23 08:00 UTC));
        let mut sent: Vec<Moment> = Vec::new();
        for minute in 0..2 * 24 * 60 {
            for second in [0, 30] {
                let now = start.plus(Duration::from_secs(minute * 60 + second));
                if Budget::Code.wait(&sent, now).is_zero() {
                    sent.push(now);
                }
            }
        }
        let most_within = |span: Duration| {
            sent.iter()
                .map(|from| sent.iter().filter(|at| **at >= *from && **at < from.plus(span)).count())
                .max()
        };
        assert_eq!(most_within(MINUTE), Some(1));
        assert_eq!(most_within(HOUR), Some(5));
        assert_eq!(most_within(DAY), Some(10));
        assert_eq!(sent.len(), 20, "all that two days allow");
    }
}
