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

use super::connection::{MultiBackend as AnyBackend, MultiRawValue as AnyValue};
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
        match Self::of_sqlite(stored.read_text()) {
            Some(moment) => Ok(moment),
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
