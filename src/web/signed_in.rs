//! What pages show of an account: a name, and a picture or initials.

use crate::paths::account::PICTURE;
use crate::records::users::User;

/// Who is signed in, as far as the header shows it.
#[derive(Clone)]
pub struct SignedInAs {
    pub name: String,
    /// The path of their picture.
    pub picture: Option<String>,
    /// What stands in its place.
    pub initials: String,
    /// Whether there is a way to the admin pages.
    pub sees_admin: bool,
}

impl SignedInAs {
    /// What the header shows of an account.
    pub fn of(user: &User) -> Self {
        Self {
            name: user.display_name().to_owned(),
            picture: picture_path(user),
            initials: initials(user.display_name()),
            sees_admin: user.role.sees_admin(),
        }
    }
}

/// The path of somebody's picture.
pub fn picture_path(user: &User) -> Option<String> {
    user.picture.as_deref().map(|name| PICTURE.to([name]))
}

/// One or two letters for somebody without a picture.
pub fn initials(name: &str) -> String {
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
