//! What pages show of an account: a name, and a picture or initials.

use crate::identity::{Id, Moment, Role, Theme, Zone};
use crate::paths::account::PICTURE;
use crate::records::users::{Head, Listed, User};

/// Who is signed in, as far as the header shows it.
#[derive(Clone)]
pub struct SignedInAs {
    pub name: String,
    pub face: Face,
    /// Whether the account is about to be deleted: then there is nothing else to do.
    pub is_leaving: bool,
    /// Whether there is a way to the admin pages.
    pub sees_admin: bool,
    pub role: Role,
    pub has_two_factor: bool,
    /// When signing in takes no second step any more, because somebody said that it is lost.
    pub two_factor_ends_at: Option<Moment>,
    pub theme: Theme,
    pub zone: Zone,
    pub id: Id,
    pub username: String,
}

impl SignedInAs {
    /// What the header shows of an account.
    pub fn of(head: Head<'_>) -> Self {
        Self {
            name: head.display_name().to_owned(),
            face: Face::of(head.id, head.display_name(), head.picture),
            is_leaving: head.is_leaving(),
            sees_admin: head.role.sees_admin(),
            role: head.role,
            has_two_factor: head.has_two_factor,
            two_factor_ends_at: head.two_factor_ends_at,
            theme: Theme::parse(head.theme).unwrap_or_default(),
            zone: Zone::parse(head.time_zone).unwrap_or_else(Zone::utc),
            id: head.id.clone(),
            username: head.username.as_str().to_owned(),
        }
    }
}

/// How somebody looks on pages.
#[derive(Clone)]
pub struct Face {
    /// The path of their picture.
    pub picture: Option<String>,
    /// What stands in its place.
    pub initials: String,
    /// One of twelve colours behind the initials: always the same one.
    pub hue: usize,
}

impl Face {
    /// That of an account, by its identifier, the name that it shows and its picture.
    fn of(id: &Id, name: &str, picture: Option<&str>) -> Self {
        Self {
            picture: picture.map(|name| PICTURE.to([name])),
            initials: initials(name),
            hue: hue(id.as_str()),
        }
    }

    /// That of an account in a list.
    pub fn of_listed(user: &Listed) -> Self {
        Self::of(&user.id, user.display_name(), user.picture.as_deref())
    }

    /// That of an account of which everything is known.
    pub fn of_user(user: &User) -> Self {
        Self::of(&user.id, user.display_name(), user.picture.as_deref())
    }

    /// That of something that has a name and no picture.
    pub fn of_name(name: &str) -> Self {
        Self { picture: None, initials: initials(name), hue: hue(name) }
    }
}

fn hue(of: &str) -> usize {
    of.bytes().map(usize::from).sum::<usize>() % 12
}

/// One or two letters for somebody without a picture.
fn initials(name: &str) -> String {
    let mut words =
        name.split([' ', '.', '_', '-']).filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = words.next();
    let last = words.next_back();
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_the_first_and_the_last_word() {
        for (name, expected) in
            [("Ann Mary Lee", "AL"), ("ann", "A"), ("ann_lee", "AL"), ("", ""), ("éva", "É")]
        {
            assert_eq!(initials(name), expected);
        }
    }
}
