//! A point in time, in UTC, to the microsecond: the finest that all three databases keep.

use std::time::Duration;

use diesel::sql_types::Timestamp;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// A UTC time cut to whole microseconds.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Timestamp)]
pub struct Moment(PrimitiveDateTime);

impl Moment {
    /// `at`, cut to microseconds.
    pub fn new(at: OffsetDateTime) -> Self {
        let utc = at.to_offset(time::UtcOffset::UTC);
        Self::from_stored(PrimitiveDateTime::new(utc.date(), utc.time()))
    }

    /// A time as a database gave it back.
    pub fn from_stored(at: PrimitiveDateTime) -> Self {
        let micros = at.microsecond();
        Self(at.replace_microsecond(micros).unwrap_or(at))
    }

    /// The value to store.
    pub fn stored(&self) -> &PrimitiveDateTime {
        &self.0
    }

    /// This moment and `span` later, or the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let span = time::Duration::try_from(span).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_add(span))
    }

    /// This moment less `span`, or the beginning of time.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let span = time::Duration::try_from(span).unwrap_or(time::Duration::MAX);
        Self(self.0.saturating_sub(span))
    }

    /// How long ago `earlier` was; nothing when it is still to come.
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or(Duration::ZERO)
    }

    /// Whether it can only have been written by a clock that was ahead: by over a minute, as clocks of several machines differ.
    pub fn is_ahead_of(self, now: Self) -> bool {
        self > now.plus(Duration::from_secs(60))
    }

    /// The beginning of its day, in UTC.
    #[must_use]
    pub fn start_of_day(self) -> Self {
        Self(self.0.replace_time(time::Time::MIDNIGHT))
    }

    /// The beginning of the next day, in UTC.
    #[must_use]
    pub fn next_day(self) -> Self {
        self.start_of_day().plus(Duration::from_secs(86_400))
    }

    /// The beginning of a day like `2026-11-24`.
    pub fn parse_day(text: &str) -> Option<Self> {
        let date = time::Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
        is_storable(date).then(|| Self(date.midnight()))
    }

    /// `2026-11-24`.
    pub fn iso_day(self) -> String {
        let mut day = String::with_capacity(10);
        push_day(&mut day, self.0.date());
        day
    }

    /// `2026-11-24T08:45:01Z` (RFC 3339), for machines.
    pub fn iso(self) -> String {
        let time = self.0.time();
        let mut iso = String::with_capacity(20);
        push_day(&mut iso, self.0.date());
        for (before, number) in [('T', time.hour()), (':', time.minute()), (':', time.second())] {
            iso.push(before);
            push_two(&mut iso, number);
        }
        iso.push('Z');
        iso
    }

    /// Microseconds since 1970, for compact storage.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.assume_utc().unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
    }

    /// The other way from [`Moment::micros`]; `None` when out of range.
    pub fn from_micros(micros: i64) -> Option<Self> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok()?;
        is_storable(at.date()).then(|| Self::new(at))
    }
}

/// Whether every database takes that date, and those around it.
fn is_storable(date: time::Date) -> bool {
    (1900..9000).contains(&date.year())
}

/// Writes `2026-11-24`.
fn push_day(to: &mut String, date: time::Date) {
    let year = u16::try_from(date.year()).unwrap_or_default();
    for two in [year / 100, year % 100] {
        push_two(to, u8::try_from(two).unwrap_or_default());
    }
    for number in [date.month().into(), date.day()] {
        to.push('-');
        push_two(to, number);
    }
}

fn push_two(to: &mut String, number: u8) {
    to.extend([b'0' + number / 10, b'0' + number % 10].map(char::from));
}

/// `2026-11-24T08:45:01.123456Z`, in downloads and in the fields of a queued mail.
impl serde::Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.format(EXACT).map_err(serde::ser::Error::custom)?)
    }
}

const EXACT: &[time::format_description::BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

impl<'de> serde::Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        PrimitiveDateTime::parse(&text, EXACT).map(Self::from_stored).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_moment_keeps_microseconds_and_no_more() {
        let fine = Moment::new(datetime!(2026-11-23 08:45:01.123_456_789 UTC));
        assert_eq!(fine, Moment::new(datetime!(2026-11-23 08:45:01.123_456 UTC)));
        assert_eq!(Moment::from_micros(fine.micros()), Some(fine));
        let written = serde_json::to_string(&fine).unwrap();
        assert_eq!(written, "\"2026-11-23T08:45:01.123456Z\"");
        assert_eq!(serde_json::from_str::<Moment>(&written).unwrap(), fine);
    }

    #[test]
    fn a_moment_is_written_for_machines() {
        let moment = Moment::new(datetime!(2026-01-03 08:05:09.5 UTC));
        assert_eq!(moment.iso(), "2026-01-03T08:05:09Z");
        assert_eq!(moment.iso_day(), "2026-01-03");
    }
}
