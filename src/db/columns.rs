//! How the values of `identity` are stored.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
#[cfg(feature = "mysql")]
use diesel::mysql::Mysql;
#[cfg(feature = "postgres")]
use diesel::pg::Pg;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Timestamp;
#[cfg(feature = "sqlite")]
use diesel::sqlite::Sqlite;
use time::PrimitiveDateTime;

use super::AnyBackend;
use super::connection::MultiRawValue as AnyValue;
use crate::identity::{
    CodePurpose, Email, Id, LinkPurpose, Moment, OtpDigest, PasswordHash, Role, TokenDigest, Username,
};

/// A value stored as the text of its `as_str`.
macro_rules! text_column {
    ($type:ty, $read:expr) => {
        impl<DB: diesel::backend::Backend> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $type
        where
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(stored: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let read: fn(String) -> Option<$type> = $read;
                read(String::from_sql(stored)?)
                    .ok_or_else(|| concat!("unknown value of ", stringify!($type)).into())
            }
        }

        impl<DB: diesel::backend::Backend> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $type
        where
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, DB>,
            ) -> diesel::serialize::Result {
                self.as_str().to_sql(out)
            }
        }
    };
}
pub(crate) use text_column;

text_column!(Id, |text| Some(Id::from_stored(text)));
text_column!(Email, |text| Some(Email::from_stored(text)));
text_column!(Username, |text| Some(Username::from_stored(text)));
text_column!(OtpDigest, |text| Some(OtpDigest::from_stored(text)));
text_column!(TokenDigest, |text| Some(TokenDigest::from_stored(text)));
text_column!(PasswordHash, |text| Some(PasswordHash::from_stored(text)));
text_column!(Role, |text| Role::parse(&text));
text_column!(CodePurpose, |text| CodePurpose::parse(&text));
text_column!(LinkPurpose, |text| LinkPurpose::parse(&text));

/// Written as usual it is read at once; whatever else may stand in a file, by diesel's parser of any form.
#[cfg(feature = "sqlite")]
impl FromSql<Timestamp, Sqlite> for Moment {
    fn from_sql(mut stored: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        match as_written(stored.read_text()) {
            Some(at) => Ok(Self::from_stored(at)),
            None => read_moment::<Sqlite>(stored),
        }
    }
}

#[cfg(feature = "postgres")]
impl FromSql<Timestamp, Pg> for Moment {
    fn from_sql(stored: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        read_moment::<Pg>(stored)
    }
}

#[cfg(feature = "mysql")]
impl FromSql<Timestamp, Mysql> for Moment {
    fn from_sql(stored: <Mysql as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        read_moment::<Mysql>(stored)
    }
}

impl FromSql<Timestamp, AnyBackend> for Moment {
    fn from_sql(stored: <AnyBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        match stored {
            #[cfg(feature = "sqlite")]
            AnyValue::Sqlite(stored) => <Self as FromSql<Timestamp, Sqlite>>::from_sql(stored),
            #[cfg(feature = "postgres")]
            AnyValue::Postgres(stored) => <Self as FromSql<Timestamp, Pg>>::from_sql(stored),
            #[cfg(feature = "mysql")]
            AnyValue::Mysql(stored) => <Self as FromSql<Timestamp, Mysql>>::from_sql(stored),
        }
    }
}

fn read_moment<DB: Backend>(stored: DB::RawValue<'_>) -> deserialize::Result<Moment>
where
    PrimitiveDateTime: FromSql<Timestamp, DB>,
{
    <PrimitiveDateTime as FromSql<Timestamp, DB>>::from_sql(stored).map(Moment::from_stored)
}

impl<DB: Backend> ToSql<Timestamp, DB> for Moment
where
    PrimitiveDateTime: ToSql<Timestamp, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.stored().to_sql(out)
    }
}

/// Reads a time as it is written into SQLite, `2026-11-24 08:45:01.123456`; `None` where it is written otherwise. A page reads ten of
/// them, and a parser of any form takes ten times as long.
#[cfg(feature = "sqlite")]
fn as_written(text: &str) -> Option<PrimitiveDateTime> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', rest @ ..] = text.as_bytes() else { return None };
    let [h1, h2, b':', i1, i2, b':', s1, s2, fraction @ ..] = rest else { return None };
    let two = |one: &u8, other: &u8| number(&[*one, *other]).and_then(|number| u8::try_from(number).ok());
    let year = i32::try_from(number(&[*y1, *y2, *y3, *y4])?).ok()?;
    let month = time::Month::try_from(two(m1, m2)?).ok()?;
    let date = time::Date::from_calendar_date(year, month, two(d1, d2)?).ok()?;
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] => {
            let missing = 6_u32.checked_sub(digits.len().try_into().ok()?)?;
            number(digits)? * 10_u32.pow(missing)
        }
        _ => return None,
    };
    let time = time::Time::from_hms_micro(two(h1, h2)?, two(i1, i2)?, two(s1, s2)?, micros).ok()?;
    Some(PrimitiveDateTime::new(date, time))
}

/// The number that some digits are, six at most.
#[cfg(feature = "sqlite")]
fn number(digits: &[u8]) -> Option<u32> {
    let is_number = (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use diesel::prelude::*;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        assert_eq!(as_written("2026-01-03 08:05:09"), Some(datetime!(2026-01-03 08:05:09)));
        for (fraction, micros) in [("5", 500_000), ("000001", 1), ("12", 120_000), ("999999", 999_999)] {
            let expected = datetime!(2024-02-29 23:59:59).replace_microsecond(micros).unwrap();
            assert_eq!(as_written(&format!("2024-02-29 23:59:59.{fraction}")), Some(expected));
        }
        for other in [
            "",
            "2026-01-03",
            "2026-01-03 08:05",
            "2026-01-03T08:05:09",
            "2026-01-03 08:05:09Z",
            "2026-01-03 08:05:09.",
            "2026-02-29 08:05:09",
            "2026-13-03 08:05:09",
            "2026-01-03 24:05:09",
            "2026-01-03 08:60:09",
            "2026-01-03 08:05:60",
            "2026-01-03 08:05:09.1234567",
            "2026-01-03 08:05:09,5",
            "+026-01-03 08:05:09",
            "2026-01-03 08:05:09.+1",
            "2461408.5",
            "2026-01-03 08:05:0\u{0661}",
        ] {
            assert_eq!(as_written(other), None, "{other}");
        }
    }

    #[test]
    fn a_time_that_others_wrote_into_the_file_is_read_too() {
        let mut conn = diesel::SqliteConnection::establish(":memory:").unwrap();
        let mut read = |written: &str| {
            let value = diesel::dsl::sql::<Timestamp>(&format!("'{written}'"));
            diesel::select(value).get_result::<Moment>(&mut conn)
        };
        let expected = Moment::from_stored(datetime!(2026-01-03 08:05:09.123_456));
        for written in
            ["2026-01-03 08:05:09.123456", "2026-01-03T08:05:09.123456Z", "2026-01-03 08:05:09.123456789"]
        {
            assert_eq!(read(written).unwrap(), expected, "{written}");
        }
        assert!(read("yesterday").is_err());
    }
}
