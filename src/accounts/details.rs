//! What the audit log says of changed details.

use crate::identity::Details;
use crate::records::users::User;

/// What changed, before and after: a line for each thing, in the same order, so that pages can pair them. `None` when nothing
/// did. The audit log outlives the account: of what is not public it holds the names alone.
pub fn changed(user: &User, new: &Details) -> Option<(String, String)> {
    let fields = [
        ("username", user.username.as_str(), new.username.as_str()),
        ("name", user.full_name.as_str(), new.full_name.as_str()),
        ("phone", user.phone.as_str(), new.phone.as_str()),
        ("about", user.about.as_str(), new.about.as_str()),
    ];
    let told = |(name, was, became): (&str, &str, &str)| match name {
        "username" => (format!("{name} “{was}”"), format!("{name} “{became}”")),
        _ => (name.to_owned(), name.to_owned()),
    };
    let changed = fields.into_iter().filter(|(_, was, became)| was != became);
    let (was, became): (Vec<_>, Vec<_>) = changed.map(told).unzip();
    (!was.is_empty()).then(|| (was.join("\n"), became.join("\n")))
}
