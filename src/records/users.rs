//! People.

pub mod census;
pub mod directory;

use std::time::Duration;

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{About, Email, FullName, Id, Moment, PasswordHash, Phone, Role, Standing, Username};

/// How long an account may stay unverified.
pub const UNVERIFIED_LIFETIME: Duration = Duration::from_secs(72 * 3600);

/// A person's account.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    /// For ever the same.
    pub id: Id,
    /// Public, as typed.
    pub username: String,
    /// As typed; none while a sign-up wants an address that has an account already.
    pub email: Option<String>,
    /// See [`crate::hasher`].
    pub password_hash: PasswordHash,
    /// What they may do.
    pub role: Role,
    /// When their address was confirmed.
    pub verified_at: Option<Moment>,
    /// Since when they are blocked.
    pub blocked_at: Option<Moment>,
    /// Why; told to the person.
    pub blocked_reason: Option<String>,
    /// May be empty.
    pub full_name: String,
    /// E.164 or empty.
    pub phone: String,
    /// May be empty.
    pub about: String,
    /// The random name of the picture's file.
    pub picture: Option<String>,
    /// When they signed up.
    pub created_at: Moment,
    /// When the password was chosen.
    pub password_changed_at: Moment,
    /// The name as searches compare it.
    pub full_name_canon: String,
}

impl User {
    /// Whether the account may be used.
    pub fn standing(&self) -> Standing {
        match (self.blocked_at, self.verified_at) {
            (Some(_), _) => Standing::Blocked(self.blocked_reason.clone().unwrap_or_default()),
            (None, Some(_)) => Standing::Active,
            (None, None) => Standing::Unverified,
        }
    }

    /// What to call them.
    pub fn display_name(&self) -> &str {
        if self.full_name.is_empty() { &self.username } else { &self.full_name }
    }
}

/// An account to be made.
pub struct NewUser<'a> {
    /// Its identifier.
    pub id: &'a Id,
    /// Must be free.
    pub username: &'a Username,
    /// Must be free; none for a sign-up whose address has an account already.
    pub email: Option<&'a Email>,
    /// See [`crate::hasher`].
    pub password_hash: &'a PasswordHash,
    /// What they may do.
    pub role: Role,
    /// Set only where the address needs no confirmation.
    pub verified_at: Option<Moment>,
}

/// Adds a person.
///
/// # Errors
/// A violation of `users.username_canon` or `users.email_canon` when one of them is taken.
pub fn insert(conn: &mut Connection, new: &NewUser<'_>, now: Moment) -> QueryResult<()> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(new.id),
            users::username.eq(new.username.as_str()),
            users::username_canon.eq(new.username.canonical()),
            users::email.eq(new.email.map(Email::as_str)),
            users::email_canon.eq(new.email.map(Email::canonical)),
            users::password_hash.eq(new.password_hash),
            users::role.eq(new.role),
            users::verified_at.eq(new.verified_at),
            (users::full_name.eq(""), users::full_name_canon.eq("")),
            (users::phone.eq(""), users::about.eq("")),
            users::created_at.eq(now),
            users::password_changed_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
}

/// The person of that identifier.
pub fn by_id(conn: &mut Connection, id: &Id) -> QueryResult<Option<User>> {
    users::table.find(id).select(User::as_select()).get_result(conn).optional()
}

/// The person of that username, in any spelling of case.
pub fn by_username(conn: &mut Connection, canonical: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::username_canon.eq(canonical))
        .select(User::as_select())
        .get_result(conn)
        .optional()
}

/// The person of that address, in any spelling of case, verified or not.
pub fn by_email(conn: &mut Connection, canonical: &str) -> QueryResult<Option<User>> {
    users::table
        .filter(users::email_canon.eq(canonical))
        .select(User::as_select())
        .get_result(conn)
        .optional()
}

/// The person of that identifier, whom nobody else changes until the end of this transaction.
pub fn lock(conn: &mut Connection, id: &Id) -> QueryResult<Option<User>> {
    // An update that changes nothing takes the row's lock on every back end.
    diesel::update(users::table.find(id)).set(users::id.eq(id)).execute(conn)?;
    by_id(conn, id)
}

/// Whether the account is still as it was read, as far as it says who may sign in: same password, role and standing.
/// Asked inside a transaction, for what was checked before it; from here to its end nobody else changes that account.
pub fn is_unchanged(conn: &mut Connection, user: &User) -> QueryResult<bool> {
    let now = lock(conn, &user.id)?;
    Ok(now.is_some_and(|now| {
        now.password_changed_at == user.password_changed_at
            && now.role == user.role
            && now.standing() == user.standing()
    }))
}

/// Removes an account that was never verified, with all that hangs on it; tells whether there was one. A blocked
/// account stays, so that nobody gets around a block by signing up anew.
pub fn remove_unverified(conn: &mut Connection, id: &Id) -> QueryResult<bool> {
    let rows = diesel::delete(users::table.find(id).filter(waits())).execute(conn)?;
    Ok(rows == 1)
}

/// Removes the accounts that nobody verified in time; tells how many.
pub fn remove_stale(conn: &mut Connection, now: Moment) -> QueryResult<usize> {
    let stale = users::created_at.lt(now.minus(UNVERIFIED_LIFETIME));
    diesel::delete(users::table.filter(waits()).filter(stale)).execute(conn)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn waits() -> _ {
    users::verified_at.is_null().and(users::blocked_at.is_null())
}

/// A sign-up corrected in the same browser before it was verified.
///
/// # Errors
/// A violation of `users.username_canon` when the name is taken.
pub fn correct_sign_up(
    conn: &mut Connection,
    id: &Id,
    username: &Username,
    hash: &PasswordHash,
    role: Role,
) -> QueryResult<()> {
    diesel::update(users::table.find(id).filter(waits()))
        .set((
            users::username.eq(username.as_str()),
            users::username_canon.eq(username.canonical()),
            users::password_hash.eq(hash),
            users::role.eq(role),
        ))
        .execute(conn)
        .map(drop)
}

/// The address was confirmed.
pub fn set_verified(conn: &mut Connection, id: &Id, now: Moment) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::verified_at.eq(now)).execute(conn).map(drop)
}

/// A new password.
pub fn set_password(conn: &mut Connection, id: &Id, hash: &PasswordHash, now: Moment) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::password_hash.eq(hash), users::password_changed_at.eq(now)))
        .execute(conn)
        .map(drop)
}

/// The same password hashed anew, unless it was changed meanwhile.
pub fn rehash(conn: &mut Connection, id: &Id, old: &PasswordHash, new: &PasswordHash) -> QueryResult<()> {
    diesel::update(users::table.find(id).filter(users::password_hash.eq(old)))
        .set(users::password_hash.eq(new))
        .execute(conn)
        .map(drop)
}

/// Another address.
///
/// # Errors
/// A violation of `users.email_canon` when it is taken.
pub fn set_email(conn: &mut Connection, id: &Id, email: &Email) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::email.eq(email.as_str()), users::email_canon.eq(email.canonical())))
        .execute(conn)
        .map(drop)
}

/// Other details.
///
/// # Errors
/// A violation of `users.username_canon` when the name is taken.
pub fn set_details(
    conn: &mut Connection,
    id: &Id,
    username: &Username,
    (full_name, phone, about): (&FullName, &Phone, &About),
) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((
            users::username.eq(username.as_str()),
            users::username_canon.eq(username.canonical()),
            users::full_name.eq(full_name.as_str()),
            users::full_name_canon.eq(full_name.canonical()),
            users::phone.eq(phone.as_str()),
            users::about.eq(about.as_str()),
        ))
        .execute(conn)
        .map(drop)
}

/// Shuts an account, or opens it again.
pub fn set_blocked(conn: &mut Connection, id: &Id, block: Option<(Moment, &str)>) -> QueryResult<()> {
    let (at, reason) = block.unzip();
    diesel::update(users::table.find(id))
        .set((users::blocked_at.eq(at), users::blocked_reason.eq(reason)))
        .execute(conn)
        .map(drop)
}

/// Another role.
pub fn set_role(conn: &mut Connection, id: &Id, role: Role) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::role.eq(role)).execute(conn).map(drop)
}

/// Removes a person, with all that hangs on them but the trail of events.
pub fn remove(conn: &mut Connection, id: &Id) -> QueryResult<()> {
    diesel::delete(users::table.find(id)).execute(conn).map(drop)
}

/// Whether there is another superuser who can sign in. Until the end of this transaction nobody else changes one,
/// so that of two who remove each other at once, one remains.
pub fn another_superuser_can_act(conn: &mut Connection, than: &Id) -> QueryResult<bool> {
    let superusers = users::table.filter(users::role.eq(Role::Superuser));
    diesel::update(superusers).set(users::role.eq(Role::Superuser)).execute(conn)?;
    let others: i64 = superusers
        .filter(users::id.ne(than))
        .filter(users::verified_at.is_not_null())
        .filter(users::blocked_at.is_null())
        .count()
        .get_result(conn)?;
    Ok(others > 0)
}

/// Another picture, or none; gives back the name of the old one, whose file is no longer needed.
pub fn set_picture(conn: &mut Connection, id: &Id, picture: Option<&str>) -> QueryResult<Option<String>> {
    let old = users::table.find(id).select(users::picture).get_result(conn)?;
    diesel::update(users::table.find(id)).set(users::picture.eq(picture)).execute(conn)?;
    Ok(old)
}

/// Whose picture that is.
pub fn picture_owner(conn: &mut Connection, picture: &str) -> QueryResult<Option<Id>> {
    users::table.filter(users::picture.eq(picture)).select(users::id).get_result(conn).optional()
}

/// Which of these pictures are somebody's.
pub fn pictures_among(conn: &mut Connection, names: &[String]) -> QueryResult<Vec<String>> {
    let used: Vec<Option<String>> =
        users::table.filter(users::picture.eq_any(names)).select(users::picture).load(conn)?;
    Ok(used.into_iter().flatten().collect())
}
