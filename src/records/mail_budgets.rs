//! How much mail of a kind one mailbox may be sent: a defence of mailboxes, not of us, and no weapon against their owners:
//! each asker has a share.
//!
//! Exact sliding windows: the last times stand in one row a share, replaced by one conditional UPDATE. Two
//! that race for it ask within the same minute, so that "no" is right for the one that loses.

use std::time::Duration;

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::mail_budgets;
use crate::identity::{Email, Id, Moment};

/// The kinds that are counted; notices of something done are never held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    Code,
    /// Links to choose a new password.
    Reset,
    /// "You already have an account."
    AccountExists,
    /// "Somebody signed in."
    NewSignIn,
    /// "Somebody has your password and guesses at the code."
    WrongCodes,
}

/// Who asks for a mail. Each has a share, so that a stranger cannot use up what its owner needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Somebody in that network.
    Network(String),
    /// A device on which the account signed in before: strangers' mails do not count for it.
    KnownDevice(String),
    /// Whoever it is: all have one share.
    Anybody,
    /// A superuser or the operator: outside of all budgets.
    Staff,
}

const MINUTE: Duration = Duration::from_secs(60);
/// How long a link to choose a password works, unless the settings say otherwise.
const LINK_LIFE: Duration = Duration::from_secs(20 * 60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// The most times that a row remembers.
const MAX_RECENT: usize = 50;
/// The share in which the mails of all askers are counted.
const EVERYBODY: &str = "";

/// So many in such a span.
type Rules = &'static [(usize, Duration)];

impl Budget {
    fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Reset => "reset",
            Self::AccountExists => "account-exists",
            Self::NewSignIn => "new-sign-in",
            Self::WrongCodes => "wrong-codes",
        }
    }

    /// What one asker may have.
    fn share(self) -> Rules {
        match self {
            Self::Code => &[(1, MINUTE), (5, HOUR), (10, DAY)],
            Self::Reset => &[(1, MINUTE), (3, HOUR), (5, DAY)],
            Self::AccountExists => &[(1, HOUR), (10, DAY)],
            Self::NewSignIn | Self::WrongCodes => &[(1, HOUR), (3, DAY)],
        }
    }

    /// What all askers may have together.
    fn total(self) -> Rules {
        match self {
            Self::Code => &[(10, HOUR), (20, DAY)],
            Self::Reset => &[(5, HOUR), (10, DAY)],
            Self::AccountExists => &[(1, HOUR), (10, DAY)],
            Self::NewSignIn | Self::WrongCodes => self.share(),
        }
    }

    /// What all may have together when this asker has had nothing within the day: a first request is not refused because of
    /// what others asked for, up to what a mailbox bears. While strangers use that up, the mailbox holds what still works: the
    /// span is the life of a link.
    fn total_for_first(self) -> Rules {
        match self {
            Self::Code => &[(7, LINK_LIFE), (MAX_RECENT, DAY)],
            Self::Reset => &[(5, LINK_LIFE), (MAX_RECENT, DAY)],
            Self::AccountExists | Self::NewSignIn | Self::WrongCodes => self.total(),
        }
    }
}

/// How long to wait until one more is allowed; nothing when it is now. `recent` is in order of time; what a clock wrote that was
/// ahead does not count.
fn wait_by(rules: Rules, recent: &[Moment], now: Moment) -> Duration {
    let waits = rules.iter().filter_map(|(most, span)| {
        let past = recent.iter().rev().filter(|at| !at.is_ahead_of(now));
        Some(past.clone().nth(most - 1)?.plus(*span).since(now).min(*span))
    });
    waits.max().unwrap_or_default()
}

/// What was recently mailed to an address at the wish of one asker, or of all: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = mail_budgets)]
pub(super) struct MailBudget {
    /// The mailbox, see [`Email::mailbox`].
    pub(super) email: String,
    pub(super) kind: String,
    pub(super) asker: String,
    recent: String,
    touched_at: Moment,
}

/// The shares that a mail counts in, as they are.
struct Shares {
    own: Option<Share>,
    total: Share,
}

struct Share {
    row: MailBudget,
    is_stored: bool,
    recent: Vec<Moment>,
}

/// Takes one mail from the budget of an address, or returns how long to wait for the next.
pub fn take(
    conn: &mut Connection,
    email: &Email,
    budget: Budget,
    asker: &Asker,
    now: Moment,
) -> QueryResult<Result<(), Duration>> {
    let Some(shares) = Shares::find(conn, email, budget, asker, now)? else { return Ok(Ok(())) };
    let wait = shares.wait(budget, now);
    if !wait.is_zero() {
        return Ok(Err(wait));
    }
    for share in shares.own.into_iter().chain([shares.total]) {
        if !share.add(conn, now)? {
            return Ok(Err(MINUTE));
        }
    }
    Ok(Ok(()))
}

/// Returns how long to wait until one more is allowed; nothing when it is now.
pub fn wait(
    conn: &mut Connection,
    email: &Email,
    budget: Budget,
    asker: &Asker,
    now: Moment,
) -> QueryResult<Duration> {
    let shares = Shares::find(conn, email, budget, asker, now)?;
    Ok(shares.map_or(Duration::ZERO, |shares| shares.wait(budget, now)))
}

impl Shares {
    /// `None` for who is outside of all budgets.
    fn find(
        conn: &mut Connection,
        email: &Email,
        budget: Budget,
        asker: &Asker,
        now: Moment,
    ) -> QueryResult<Option<Self>> {
        let mut share = |asker: &str| Share::find(conn, email, budget, asker, now);
        Ok(match asker {
            Asker::Network(network) => Some(Self { own: Some(share(network)?), total: share(EVERYBODY)? }),
            // Counts for itself alone.
            Asker::KnownDevice(lane) => Some(Self { own: None, total: share(lane)? }),
            Asker::Anybody => Some(Self { own: None, total: share(EVERYBODY)? }),
            Asker::Staff => None,
        })
    }

    fn wait(&self, budget: Budget, now: Moment) -> Duration {
        let Some(own) = &self.own else { return wait_by(budget.share(), &self.total.recent, now) };
        let is_first = own.recent.last().is_none_or(|last| last.plus(DAY) <= now);
        let total = if is_first { budget.total_for_first() } else { budget.total() };
        wait_by(budget.share(), &own.recent, now).max(wait_by(total, &self.total.recent, now))
    }
}

impl Share {
    fn find(
        conn: &mut Connection,
        email: &Email,
        budget: Budget,
        asker: &str,
        now: Moment,
    ) -> QueryResult<Self> {
        let key = (email.mailbox(), budget.as_str(), asker);
        let row = mail_budgets::table.find(key.clone()).select(MailBudget::as_select());
        let stored = row.get_result(conn).optional()?;
        let recent = stored.as_ref().map(|row| parse(&row.recent)).unwrap_or_default();
        let is_stored = stored.is_some();
        let row = stored.unwrap_or_else(|| MailBudget {
            email: key.0,
            kind: key.1.to_owned(),
            asker: key.2.to_owned(),
            recent: String::new(),
            touched_at: now,
        });
        Ok(Self { row, is_stored, recent })
    }

    /// Adds one; returns whether nobody else was first.
    fn add(mut self, conn: &mut Connection, now: Moment) -> QueryResult<bool> {
        self.recent.push(now);
        let forgotten = self.recent.len().saturating_sub(MAX_RECENT);
        let new = print(self.recent.iter().skip(forgotten));
        let rows = if self.is_stored {
            let MailBudget { email, kind, asker, recent, .. } = self.row;
            let unchanged =
                mail_budgets::table.find((email, kind, asker)).filter(mail_budgets::recent.eq(recent));
            diesel::update(unchanged)
                .set((mail_budgets::recent.eq(new), mail_budgets::touched_at.eq(now)))
                .execute(conn)?
        } else {
            let new = MailBudget { recent: new, touched_at: now, ..self.row };
            diesel::insert_into(mail_budgets::table).values(&new).execute(conn)?
        };
        Ok(rows == 1)
    }
}

/// When mails of a kind were last asked for to an address, by whomever.
#[derive(serde::Serialize)]
pub struct Asked {
    kind: String,
    recent: Vec<Moment>,
    touched_at: Moment,
}

/// Lists what was asked for to an address since it became somebody's. Who asked is not its owner's business, nor what was before.
pub fn of(conn: &mut Connection, email: &Email, since: Moment) -> QueryResult<Vec<Asked>> {
    let rows: Vec<MailBudget> = mail_budgets::table
        .filter(mail_budgets::email.eq(email.mailbox()))
        .filter(mail_budgets::touched_at.ge(since))
        .select(MailBudget::as_select())
        .load(conn)?;
    let asked = |row: MailBudget| {
        let recent = parse(&row.recent).into_iter().filter(|at| *at >= since).collect();
        Asked { recent, kind: row.kind, touched_at: row.touched_at }
    };
    Ok(rows.into_iter().map(asked).collect())
}

/// Renews what all askers together may have of a kind.
pub fn renew(conn: &mut Connection, email: &Email, budget: Budget) -> QueryResult<()> {
    let total = mail_budgets::table.find((email.mailbox(), budget.as_str(), EVERYBODY));
    diesel::delete(total).execute(conn).map(drop)
}

/// Forgets what was mailed to the address of an account that goes, and at the wish of its devices.
pub fn forget_account(conn: &mut Connection, user: &Id, email: Option<&Email>) -> QueryResult<()> {
    // A lane begins with the account's identifier.
    let lane = format!("{} %", user.as_str());
    diesel::delete(mail_budgets::table.filter(mail_budgets::asker.like(lane))).execute(conn)?;
    let Some(email) = email else { return Ok(()) };
    diesel::delete(mail_budgets::table.filter(mail_budgets::email.eq(email.mailbox())))
        .execute(conn)
        .map(drop)
}

/// Forgets what no rule asks about any more: nothing was mailed since then.
pub(super) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(mail_budgets::table.filter(mail_budgets::touched_at.lt(before))).execute(conn)
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
                if wait_by(Budget::Code.share(), &sent, now).is_zero() {
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

    #[test]
    fn a_clock_that_was_wrong_for_a_while_blocks_nobody_for_longer_than_the_rule_says() {
        let now = Moment::new(datetime!(2026-11-23 08:00 UTC));
        let future = now.plus(Duration::from_secs(365 * 86_400));
        assert_eq!(wait_by(Budget::Code.share(), &[future], now), Duration::ZERO);
        assert_eq!(wait_by(Budget::Code.share(), &[future, now], now), MINUTE);
        assert_eq!(wait_by(Budget::Code.share(), &[future, now], now.plus(MINUTE)), Duration::ZERO);
    }
}
