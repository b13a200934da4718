//! What people tell about themselves, and how they want to see pages.

use diesel::prelude::*;

use crate::db::Connection;
use crate::db::schema::users;
use crate::identity::{Details, Email, Id, Moment, Role, Theme, Username, Zone};

use super::Head;

/// The part of an account that its profile page shows: read each time that somebody opens it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Profile {
    pub id: Id,
    pub username: Username,
    pub email: Option<Email>,
    pub full_name: String,
    pub phone: String,
    pub about: String,
    pub role: Role,
    pub password_changed_at: Moment,
    picture: Option<String>,
    theme: String,
    time_zone: String,
    verified_at: Option<Moment>,
    blocked_at: Option<Moment>,
    leaves_at: Option<Moment>,
    two_factor_since: Option<Moment>,
    two_factor_ends_at: Option<Moment>,
}

impl Profile {
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
}

/// Sets username, name, phone and the text about oneself.
///
/// # Errors
/// A violation of `users.username_canon` when the name is taken.
pub fn set_details(conn: &mut Connection, id: &Id, details: &Details) -> QueryResult<()> {
    let Details { username, full_name, phone, about } = details;
    diesel::update(users::table.find(id))
        .set((
            users::username.eq(username),
            users::username_canon.eq(username.canonical()),
            users::full_name.eq(full_name.as_str()),
            users::full_name_canon.eq(full_name.canonical()),
            users::phone.eq(phone.as_str()),
            users::about.eq(about.as_str()),
        ))
        .execute(conn)
        .map(drop)
}

/// Stores how somebody wants to see pages.
pub fn set_preferences(conn: &mut Connection, id: &Id, theme: Theme, zone: &Zone) -> QueryResult<()> {
    let preferences = (users::theme.eq(theme.as_str()), users::time_zone.eq(zone.name()));
    diesel::update(users::table.find(id)).set(preferences).execute(conn).map(drop)
}

/// Sets the picture, or removes it; returns the name of the old one, whose file is no longer needed.
pub fn set_picture(conn: &mut Connection, id: &Id, picture: Option<&str>) -> QueryResult<Option<String>> {
    let old = users::table.find(id).select(users::picture).get_result(conn)?;
    diesel::update(users::table.find(id)).set(users::picture.eq(picture)).execute(conn)?;
    Ok(old)
}

/// Returns those of these pictures that are in use.
pub fn pictures_among(conn: &mut Connection, names: &[String]) -> QueryResult<Vec<String>> {
    let used: Vec<Option<String>> =
        users::table.filter(users::picture.eq_any(names)).select(users::picture).load(conn)?;
    Ok(used.into_iter().flatten().collect())
}
