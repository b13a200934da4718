//! Accounts.

pub mod census;
pub mod directory;
pub mod dormancy;
mod head;
mod inside;
pub mod leaving;
mod listed;
mod person;
mod profile;
mod sign_up;
pub mod two_factor;

use std::time::Duration;

use diesel::prelude::*;

use super::outbox;
use super::two_factor::trusted_devices;
use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{
    AccountStatus, Email, Id, KnownDevice, Login, Moment, PasswordHash, Role, Theme, Username, Zone,
};
pub use head::Head;
pub use listed::Listed;
pub use person::Person;
pub use profile::{Profile, pictures_among, set_details, set_picture, set_preferences};
pub(super) use sign_up::remove_stale;
pub use sign_up::{confirm, correct_sign_up, remove_unverified};

/// How long an account may stay unverified.
pub const UNVERIFIED_LIFETIME: Duration = Duration::from_secs(72 * 3600);

/// How long the old address can undo a change.
pub const UNDO_LINK_LIFETIME: Duration = Duration::from_secs(72 * 3600);

/// An account: a whole row, as it is read, inserted and copied.
#[derive(Clone, Queryable, Selectable, Insertable, serde::Serialize)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct User {
    /// Never changes.
    pub id: Id,
    /// Public, as typed.
    pub username: Username,
    /// In lower case: unique.
    pub username_canon: String,
    /// As typed; none while a sign-up wants an address that already has an account.
    pub email: Option<Email>,
    /// In lower case: unique.
    pub email_canon: Option<String>,
    /// See [`crate::hasher`].
    #[serde(skip)]
    pub password_hash: PasswordHash,
    pub role: Role,
    /// When the email address was confirmed.
    pub verified_at: Option<Moment>,
    /// Since when the account is blocked.
    pub blocked_at: Option<Moment>,
    /// Why; shown to the person.
    pub blocked_reason: Option<String>,
    /// May be empty.
    pub full_name: String,
    /// The name as searches compare it.
    pub full_name_canon: String,
    /// E.164 or empty.
    pub phone: String,
    /// May be empty.
    pub about: String,
    /// The random name of the picture's file.
    pub picture: Option<String>,
    pub created_at: Moment,
    /// When the password was chosen.
    pub password_changed_at: Moment,
    /// See [`Theme`].
    pub theme: String,
    /// See [`Zone`].
    pub time_zone: String,
    /// When the email address became the account's.
    pub email_since: Moment,
    /// Which devices are known: those of an earlier epoch have been forgotten.
    pub device_epoch: i32,
    /// When it is deleted, unless its person keeps it.
    pub leaves_at: Option<Moment>,
    /// When its person last signed in, or was let in again.
    pub last_used_at: Moment,
    /// See [`dormancy`].
    pub dormant_at: Option<Moment>,
    /// See [`dormancy`].
    pub dormancy_notices: i32,
    /// See [`dormancy`].
    pub dormant_action: Option<String>,
    /// Since when signing in takes a second step.
    pub two_factor_since: Option<Moment>,
    /// When it ends because its person has lost it.
    pub two_factor_ends_at: Option<Moment>,
}

impl User {
    /// Makes an account that waits for its address to be confirmed, with a new identifier.
    pub fn new(
        username: Username,
        email: Option<Email>,
        password_hash: PasswordHash,
        role: Role,
        now: Moment,
    ) -> Self {
        Self {
            id: Id::new(),
            username_canon: username.canonical(),
            username,
            email_canon: email.as_ref().map(Email::canonical),
            email,
            password_hash,
            role,
            verified_at: None,
            blocked_at: None,
            blocked_reason: None,
            full_name: String::new(),
            full_name_canon: String::new(),
            phone: String::new(),
            about: String::new(),
            picture: None,
            created_at: now,
            password_changed_at: now,
            theme: Theme::default().as_str().to_owned(),
            time_zone: Zone::utc().name().to_owned(),
            email_since: now,
            device_epoch: 0,
            leaves_at: None,
            last_used_at: now,
            dormant_at: None,
            dormancy_notices: 0,
            dormant_action: None,
            two_factor_since: None,
            two_factor_ends_at: None,
        }
    }

    /// Says whether the account may be used.
    pub fn status(&self) -> AccountStatus {
        let reason = self.blocked_reason.as_deref();
        AccountStatus::of(self.verified_at, self.blocked_at, reason, self.leaves_at)
    }

    /// What the head of every page shows of it.
    pub fn head(&self) -> Head<'_> {
        Head {
            id: &self.id,
            username: &self.username,
            full_name: &self.full_name,
            picture: self.picture.as_deref(),
            role: self.role,
            theme: &self.theme,
            time_zone: &self.time_zone,
            verified_at: self.verified_at,
            blocked_at: self.blocked_at,
            leaves_at: self.leaves_at,
            has_two_factor: self.two_factor_since.is_some(),
            two_factor_ends_at: self.two_factor_ends_at,
        }
    }

    /// The full name, or the username where there is none.
    pub fn display_name(&self) -> &str {
        head::display_name(&self.full_name, &self.username)
    }

    /// Whether the address is this account's by more than a recent change: since its beginning, or for as long as a change
    /// can be undone.
    pub fn has_established_email(&self, now: Moment) -> bool {
        // Dated ahead by a clock that was wrong: nobody knows since when, and an owner must keep a way back.
        self.email_since == self.created_at
            || self.email_since.is_ahead_of(now)
            || now.since(self.email_since) >= UNDO_LINK_LIFETIME
    }

    /// Whether signing in takes a second step.
    pub fn has_two_factor(&self) -> bool {
        self.two_factor_since.is_some()
    }

    /// The same, where people of these roles have to.
    pub fn two_factor(&self, required_of: &[Role]) -> two_factor::TwoFactor {
        two_factor::TwoFactor::of(self.two_factor_since, self.role, required_of)
    }

    /// Whether a code is asked for now: also somebody who has lost the second step, and has waited, gives none.
    pub fn takes_code(&self, now: Moment) -> bool {
        self.has_two_factor() && !self.has_waited_for_two_factor(now)
    }

    /// When the second step ends because its person has lost it. Nobody who waited and did not come back for a week still waits.
    pub fn two_factor_recovery(&self, now: Moment) -> Option<Moment> {
        two_factor::recovery(self.two_factor_ends_at, now)
    }

    /// Whether they have waited for as long as that takes.
    pub fn has_waited_for_two_factor(&self, now: Moment) -> bool {
        two_factor::has_waited(self.two_factor_ends_at, now)
    }

    /// Whether its person was invited and has not chosen a password yet.
    pub fn never_had_password(&self) -> bool {
        self.password_hash.is_unusable() && self.password_changed_at == self.created_at
    }

    /// Whether it signed in on a device before, and has not forgotten it.
    pub fn knows(&self, device: &KnownDevice) -> bool {
        device.is_known_for(&self.id, self.device_epoch)
    }

    /// The email address, if it was ever confirmed: only then may notices go there.
    pub fn confirmed_email(&self) -> Option<&Email> {
        self.email.as_ref().filter(|_| self.verified_at.is_some())
    }
}

/// Adds an account.
///
/// # Errors
/// A violation of `users.username_canon` or `users.email_canon` when one of them is taken.
pub fn insert(conn: &mut Connection, user: &User) -> QueryResult<()> {
    diesel::insert_into(users::table).values(user).execute(conn).map(drop)
}

/// Finds an account by its identifier.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<User>> {
    users::table.find(id).select(User::as_select()).get_result(conn).optional()
}

/// Says whether there is an account of that identifier, in the same time either way.
pub fn exists(conn: &mut Connection, id: &Id) -> QueryResult<bool> {
    let found: i64 = users::table.find(id).count().get_result(conn)?;
    Ok(found == 1)
}

/// Finds an account by its username in lower case.
pub fn by_username(conn: &mut Connection, canonical: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::username_canon.eq(canonical))
        .select(User::as_select())
        .get_result(conn)
        .optional()
}

/// Finds an account by its email address in lower case, confirmed or not.
pub fn by_email(conn: &mut Connection, canonical: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email_canon.eq(canonical))
        .select(User::as_select())
        .get_result(conn)
        .optional()
}

/// Finds the account that has confirmed an email address, in lower case. An account that has not is not even read: the time
/// would tell that there is one.
pub fn by_confirmed_email(conn: &mut Connection, canonical: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email_canon.eq(canonical))
        .filter(users::verified_at.is_not_null())
        .select(User::as_select())
        .get_result(conn)
        .optional()
}

/// Finds an account by what somebody typed.
pub fn by_login(conn: &mut Connection, login: &Login) -> QueryResult<Option<User>> {
    // Nobody's name or address, and more than some databases can compare with one.
    if !login.as_str().is_ascii() {
        return Ok(None);
    }
    match login {
        Login::Username(name) => by_username(conn, name),
        Login::Email(email) => by_email(conn, email),
    }
}

/// Finds an account by its identifier, its username or its email address.
pub fn by_any_name(conn: &mut Connection, typed: &str) -> QueryResult<Option<User>> {
    if let Some(id) = Id::parse(typed.trim()) {
        return by_id(conn, &id);
    }
    match Login::parse(typed) {
        Ok(login) => by_login(conn, &login),
        Err(_) => Ok(None),
    }
}

/// Finds an account and locks it: nobody else changes it until the end of this transaction.
pub fn lock(conn: &mut Connection, id: &Id) -> QueryResult<Option<User>> {
    // An update that changes nothing takes the row's lock on every back end.
    diesel::update(users::table.find(id)).set(users::id.eq(id)).execute(conn)?;
    by_id(conn, id)
}

/// Locks an account until the end of this transaction; returns it as it is now, if that is still as it was read, as far as it
/// says who may sign in: same password, second step, role and status. For what was checked before the transaction.
pub fn lock_if_unchanged(conn: &mut Connection, user: &User) -> QueryResult<Option<User>> {
    let now = lock(conn, &user.id)?;
    Ok(now.filter(|now| {
        now.password_changed_at == user.password_changed_at
            && now.role == user.role
            && now.two_factor_since == user.two_factor_since
            && now.status() == user.status()
    }))
}

/// Sets a new password.
pub fn set_password(conn: &mut Connection, id: &Id, hash: &PasswordHash, now: Moment) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::password_hash.eq(hash), users::password_changed_at.eq(now)))
        .execute(conn)
        .map(drop)
}

/// Stores the same password hashed again, unless it has been changed in the meantime.
pub fn rehash(conn: &mut Connection, id: &Id, old: &PasswordHash, new: &PasswordHash) -> QueryResult<()> {
    diesel::update(users::table.find(id).filter(users::password_hash.eq(old)))
        .set(users::password_hash.eq(new))
        .execute(conn)
        .map(drop)
}

/// Sets the email address, and since when it counts as the account's.
///
/// # Errors
/// A violation of `users.email_canon` when it is taken.
pub fn set_email(conn: &mut Connection, id: &Id, email: &Email, since: Moment) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::email.eq(email), users::email_canon.eq(email.canonical()), users::email_since.eq(since)))
        .execute(conn)
        .map(drop)
}

/// Blocks an account, with the reason, or unblocks it.
pub fn set_blocked(conn: &mut Connection, id: &Id, block: Option<(Moment, &str)>) -> QueryResult<()> {
    let (at, reason) = block.unzip();
    diesel::update(users::table.find(id))
        .set((users::blocked_at.eq(at), users::blocked_reason.eq(reason)))
        .execute(conn)
        .map(drop)
}

/// Takes the email address of an account away.
pub fn release_email(conn: &mut Connection, id: &Id) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::email.eq(None::<Email>), users::email_canon.eq(None::<String>)))
        .execute(conn)
        .map(drop)
}

/// Forgets every device that an account is known on, those that it trusts too; returns the epoch that begins.
pub fn forget_devices(conn: &mut Connection, id: &Id) -> QueryResult<i32> {
    trusted_devices::remove_all(conn, id)?;
    let raised = users::device_epoch.eq(users::device_epoch + 1);
    diesel::update(users::table.find(id)).set(raised).execute(conn)?;
    users::table.find(id).select(users::device_epoch).get_result(conn)
}

/// Sets the role.
pub fn set_role(conn: &mut Connection, id: &Id, role: Role) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::role.eq(role)).execute(conn).map(drop)
}

/// Removes an account, with everything that belongs to it but the audit log.
pub fn remove(conn: &mut Connection, id: &Id) -> QueryResult<()> {
    diesel::delete(users::table.find(id)).execute(conn)?;
    outbox::forget_all_of(conn, id)
}

/// Locks every superuser until the end of this transaction, so that of two who remove each other at once one remains;
/// returns how many others can sign in.
pub fn lock_superusers_and_count_others(conn: &mut Connection, than: &Id) -> QueryResult<i64> {
    let superusers = users::table.filter(users::role.eq(Role::Superuser));
    diesel::update(superusers).set(users::role.eq(Role::Superuser)).execute(conn)?;
    superusers
        .filter(users::id.ne(than))
        .filter(users::verified_at.is_not_null())
        .filter(users::blocked_at.is_null())
        .filter(users::leaves_at.is_null())
        .count()
        .get_result(conn)
}
