//! Pages: what stands around each of them, and how they are sent.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use askama::Template;

use super::assets;
use super::language::Language;
use super::viewer::Viewer;
use crate::identity::Message;
use crate::paths;

/// What stands around a page.
pub struct Chrome {
    /// Who is signed in.
    pub person: Option<Person>,
    /// What just happened.
    pub notice: Option<Message>,
}

/// Who is signed in, as far as the header shows it.
pub struct Person {
    /// What to call them.
    pub name: String,
    /// The address of their picture.
    pub picture: Option<String>,
    /// What stands in its place.
    pub initials: String,
    /// Whether there is a way to the admin pages.
    pub sees_admin: bool,
}

impl Chrome {
    /// Nobody is signed in, or it does not matter who.
    pub fn plain() -> Self {
        Self { person: None, notice: None }
    }

    /// For whoever is looking.
    pub fn of(viewer: Option<&Viewer>) -> Self {
        Self { person: viewer.map(Person::of), notice: None }
    }

    /// The same with the notice that the address asks for.
    #[must_use]
    pub fn with_notice(self, query: &str) -> Self {
        Self { notice: notice(query), ..self }
    }

    /// The address of the style sheet.
    pub fn stylesheet(&self) -> &'static str {
        assets::stylesheet()
    }

    /// The address of the icon.
    pub fn icon(&self) -> &'static str {
        assets::icon()
    }
}

impl Person {
    fn of(viewer: &Viewer) -> Self {
        let user = &viewer.user;
        Self {
            name: user.display_name().to_owned(),
            picture: user.picture.as_deref().map(paths::picture),
            initials: initials(user.display_name()),
            sees_admin: user.role.sees_admin(),
        }
    }
}

/// One or two letters for somebody without a picture.
pub fn initials(name: &str) -> String {
    let mut words =
        name.split([' ', '.', '_', '-']).filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = words.next();
    let last = words.next_back();
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

/// The closed list of notices: an address can choose one of them and never say anything else.
fn notice(query: &str) -> Option<Message> {
    let word = query.split('&').find_map(|pair| pair.strip_prefix("said="))?;
    let sentence = match word {
        "signed-out" => "You are signed out.",
        "password-reset" => "Your password is changed. Sign in with the new one.",
        "password-changed" => "Your password is changed. Every other browser was signed out.",
        "code-sent" => "A new code is on its way.",
        "saved" => "Your details are saved.",
        "picture-saved" => "Your new picture is in place.",
        "picture-removed" => "Your picture is removed.",
        "email-code-sent" => "We sent a code to the new address.",
        "email-changed" => "Your e-mail address is changed. We told the old address.",
        "email-cancelled" => "The change is cancelled. Your address stays as it is.",
        "email-restored" => {
            "The old address is back, and every browser was signed out. Choose a new password now."
        }
        "blocked" => "The account is blocked, and every browser of it was signed out.",
        "unblocked" => "The account is open again.",
        "taken-as-verified" => "The address is marked as confirmed.",
        "code-mailed" => "Another code is on its way.",
        "reset-mailed" => "A link to choose a new password is on its way.",
        "role-changed" => "The account has another role now. Every browser of it was signed out.",
        "sessions-ended" => "Signed out.",
        "picture-taken" => "The picture is removed.",
        "edited" => "The details are saved.",
        "deleted" => "The account is deleted.",
        "added" => "The account is made, and a link to choose a password is on its way.",
        "bulk-done" => "Done. What was done stands in the events.",
        "code-cancelled" => "The code no longer works.",
        "reset-cancelled" => "The link does not work any more.",
        "mail-retried" => "The mail is tried again within half a minute.",
        "mail-cancelled" => "The mail will not be sent, unless it was on its way already.",
        "too-late" => "That was too late: meanwhile it had come to an end.",
        "verified" => "Your address is confirmed. Welcome!",
        "refreshed" => "Your session is renewed.",
        "confirmed" => "Thank you, that was the right password.",
        _ => return None,
    };
    Some(sentence.into())
}

/// A page with that status.
pub fn respond(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render_with_values(&Language::default()) {
        Ok(html) => {
            HttpResponse::build(status).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(html)
        }
        Err(error) => {
            log::error!("a page could not be rendered: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// A page as asked for.
pub fn ok(page: &impl Template) -> HttpResponse {
    respond(StatusCode::OK, page)
}

/// A form again, with what is wrong in it.
pub fn refused(page: &impl Template) -> HttpResponse {
    respond(StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// On to another page, after something was done.
pub fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
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

    #[test]
    fn an_address_cannot_make_the_page_say_anything() {
        assert!(notice("said=saved").is_some());
        assert!(notice("said=<b>You won</b>").is_none());
        assert!(notice("").is_none());
    }
}
