//! How long a session lasts: judged at every request, from this part of its row alone where nothing else is asked.

use std::time::Duration;

use diesel::prelude::*;

use super::{MINUTE, Rotation, SessionKind, SignedInBy};
use crate::config::SessionConfig;
use crate::db::schema::sessions;
use crate::identity::{Id, Moment};

/// What decides whether a session is live.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub struct Life {
    /// What the session pointer names; a pointer cannot be made of it.
    pub id: Id,
    /// Raised at every rotation; a pointer of another generation is dead.
    pub generation: i32,
    pub kind: SessionKind,
    pub created_at: Moment,
    /// When it was last seen, give or take a minute.
    pub last_seen_at: Moment,
    /// When the password was last given here; none: not yet.
    pub confirmed_at: Option<Moment>,
    /// When the second step of signing in was last taken here; none: the password was enough.
    pub factor_at: Option<Moment>,
    pub(super) idle_ends_at: Moment,
    absolute_ends_at: Moment,
    ended_at: Option<Moment>,
}

impl Life {
    /// One that begins now, with a new identifier.
    pub(super) fn begin(
        kind: SessionKind,
        signed_in_by: SignedInBy,
        config: SessionConfig,
        now: Moment,
    ) -> Self {
        let absolute_ends_at = now.plus(kind.absolute(config));
        Self {
            id: Id::new(),
            generation: 1,
            kind,
            created_at: now,
            last_seen_at: now,
            confirmed_at: signed_in_by.has_password().then_some(now),
            factor_at: signed_in_by.has_second_step().then_some(now),
            idle_ends_at: now.plus(kind.idle(config)).min(absolute_ends_at),
            absolute_ends_at,
            ended_at: None,
        }
    }

    /// The same when it is rotated now.
    pub(super) fn renewed(&self, why: Rotation, config: SessionConfig, now: Moment) -> Self {
        Self {
            generation: self.generation.wrapping_add(1),
            confirmed_at: match why {
                Rotation::Renewed | Rotation::FactorGiven => self.confirmed_at,
                Rotation::PasswordGiven | Rotation::BothGiven => Some(now),
            },
            factor_at: match why {
                Rotation::Renewed | Rotation::PasswordGiven => self.factor_at,
                Rotation::FactorGiven | Rotation::BothGiven => Some(now),
            },
            last_seen_at: now,
            idle_ends_at: self.idle_end(config, now),
            ..self.clone()
        }
    }

    /// Names the session at its generation.
    pub fn mark(&self) -> String {
        format!("{} {}", self.id.as_str(), self.generation)
    }

    /// When it ends if it is used now and not any more.
    pub(super) fn idle_end(&self, config: SessionConfig, now: Moment) -> Moment {
        now.plus(self.kind.idle(config)).min(self.absolute_ends_at)
    }

    /// Whether it is live. One that a clock dated ahead is not: it would be for too long.
    pub fn is_live(&self, now: Moment) -> bool {
        self.ended_at.is_none()
            && now < self.idle_ends_at
            && now < self.absolute_ends_at
            && !self.created_at.is_ahead_of(now)
    }

    /// How long ago the password was given; `None` where it was not, or only a clock that was ahead says so.
    fn since_password(&self, now: Moment) -> Option<Duration> {
        self.confirmed_at.filter(|at| !at.is_ahead_of(now)).map(|at| now.since(at))
    }

    /// Whether its person proved who they are within that span, by all that signing in takes.
    pub fn is_proven_within(&self, span: Duration, takes_code: bool, now: Moment) -> bool {
        let is_recent = |since: Option<Duration>| since.is_some_and(|since| since < span);
        is_recent(self.since_password(now)) && (!takes_code || is_recent(self.since_factor(now)))
    }

    /// How long ago the second step was taken; `None` where it never was, or only a clock that was ahead says so.
    pub fn since_factor(&self, now: Moment) -> Option<Duration> {
        self.factor_at.filter(|at| !at.is_ahead_of(now)).map(|at| now.since(at))
    }

    /// Whether it is time to store that it was seen: not at every request, yet often enough that its idle life ends
    /// when it should.
    pub fn is_due(&self, config: SessionConfig, now: Moment) -> bool {
        now.since(self.last_seen_at) >= MINUTE.min(self.kind.idle(config) / 10)
            || self.last_seen_at.is_ahead_of(now)
    }

    /// When it ends if it is not used any more.
    pub fn ends_at(&self) -> Moment {
        self.idle_ends_at
    }

    /// Whether its cookies outlive the browser's window.
    pub fn outlives_window(&self) -> bool {
        self.kind == SessionKind::Remembered
    }

    /// How long it can last at most, for a cookie that is to outlive the browser's window.
    pub fn remaining(&self, now: Moment) -> Duration {
        self.absolute_ends_at.since(now)
    }
}
