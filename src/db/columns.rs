//! How the values of `identity` are stored.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Timestamp;
use time::PrimitiveDateTime;

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

impl<DB: Backend> FromSql<Timestamp, DB> for Moment
where
    PrimitiveDateTime: FromSql<Timestamp, DB>,
{
    fn from_sql(stored: DB::RawValue<'_>) -> deserialize::Result<Self> {
        PrimitiveDateTime::from_sql(stored).map(Self::from_stored)
    }
}

impl<DB: Backend> ToSql<Timestamp, DB> for Moment
where
    PrimitiveDateTime: ToSql<Timestamp, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.stored().to_sql(out)
    }
}
