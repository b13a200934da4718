//! Devices on which the password is enough for a while, since a code was given there.

use std::time::Duration;

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::trusted_devices;
use crate::identity::{Id, KnownDevice, Moment, TokenDigest};

/// How long a device is trusted.
pub const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// A trusted device: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = trusted_devices, treat_none_as_default_value = false)]
pub struct TrustedDevice {
    pub id: Id,
    user_id: Id,
    #[serde(skip)]
    lane_digest: TokenDigest,
    /// The browser's name for itself, cut.
    pub device: String,
    pub created_at: Moment,
    pub expires_at: Moment,
}

/// Trusts a device of an account from now on.
pub fn trust(
    conn: &mut Connection,
    user: &Id,
    known: &KnownDevice,
    device: &str,
    now: Moment,
) -> QueryResult<()> {
    let lane_digest = known.digest();
    let same = trusted_devices::table
        .filter(trusted_devices::user_id.eq(user))
        .filter(trusted_devices::lane_digest.eq(&lane_digest));
    diesel::delete(same).execute(conn)?;
    let row = TrustedDevice {
        id: Id::new(),
        user_id: user.clone(),
        lane_digest,
        device: device.to_owned(),
        created_at: now,
        expires_at: now.plus(LIFETIME),
    };
    diesel::insert_into(trusted_devices::table).values(&row).execute(conn).map(drop)
}

/// Whether a device is trusted. One that a clock dated ahead is not: it would be for too long.
pub fn is_trusted(conn: &mut Connection, user: &Id, known: &KnownDevice, now: Moment) -> QueryResult<bool> {
    let found: Option<TrustedDevice> = trusted_devices::table
        .filter(trusted_devices::user_id.eq(user))
        .filter(trusted_devices::lane_digest.eq(known.digest()))
        .select(TrustedDevice::as_select())
        .first(conn)
        .optional()?;
    Ok(found.is_some_and(|device| device.is_live(now)))
}

impl TrustedDevice {
    /// Whether it is that device.
    pub fn is(&self, known: &KnownDevice) -> bool {
        self.lane_digest == known.digest()
    }

    fn is_live(&self, now: Moment) -> bool {
        now < self.expires_at && !self.created_at.is_ahead_of(now)
    }
}

/// Lists those of an account that are trusted now, the newest first.
pub fn live_of(conn: &mut Connection, user: &Id, now: Moment) -> QueryResult<Vec<TrustedDevice>> {
    let mut all = all_of(conn, user)?;
    all.retain(|device| device.is_live(now));
    all.reverse();
    Ok(all)
}

/// Lists those of an account, the oldest first.
pub fn all_of(conn: &mut Connection, user: &Id) -> QueryResult<Vec<TrustedDevice>> {
    trusted_devices::table
        .filter(trusted_devices::user_id.eq(user))
        .order((trusted_devices::created_at, trusted_devices::id))
        .select(TrustedDevice::as_select())
        .load(conn)
}

/// Trusts one of an account no more; returns whether it was.
pub fn remove(conn: &mut Connection, user: &Id, id: &Id) -> QueryResult<bool> {
    let one = trusted_devices::table.find(id).filter(trusted_devices::user_id.eq(user));
    Ok(diesel::delete(one).execute(conn)? == 1)
}

/// Trusts none of an account any more but one.
pub fn remove_others(conn: &mut Connection, user: &Id, keep: Option<&KnownDevice>) -> QueryResult<()> {
    let Some(keep) = keep else { return remove_all(conn, user) };
    let others = trusted_devices::table
        .filter(trusted_devices::user_id.eq(user))
        .filter(trusted_devices::lane_digest.ne(keep.digest()));
    diesel::delete(others).execute(conn).map(drop)
}

/// Trusts none of an account any more.
pub fn remove_all(conn: &mut Connection, user: &Id) -> QueryResult<()> {
    diesel::delete(trusted_devices::table.filter(trusted_devices::user_id.eq(user))).execute(conn).map(drop)
}

/// Forgets those whose time was over by then.
pub(in crate::records) fn sweep(conn: &mut Connection, before: Moment) -> QueryResult<usize> {
    diesel::delete(trusted_devices::table.filter(trusted_devices::expires_at.lt(before))).execute(conn)
}
