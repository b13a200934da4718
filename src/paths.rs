//! Every address of the site: patterns for routes, functions for links. No other file spells one out.

use crate::config::PublicUrl;
use crate::identity::{Id, LinkToken, Role};

/// Patterns, as they are routed. [`route::ALL`] lists those that end in a slash.
pub mod route {
    #![expect(missing_docs, reason = "the names say it")]
    pub const HOME: &str = "/";
    pub const SIGN_UP_ANY: &str = "/auth/sign-up/";
    pub const SIGN_UP: &str = "/auth/sign-up/{role:user|merchant}/";
    pub const VERIFY: &str = "/auth/verify-otp/{uid}/{token}/";
    pub const RESEND: &str = "/auth/resend-otp/{uid}/{token}/";
    pub const SIGN_IN_ANY: &str = "/auth/sign-in/";
    pub const SIGN_IN: &str = "/auth/sign-in/{role:user|merchant|staff|superuser}/";
    pub const SIGN_OUT: &str = "/auth/sign-out/";
    pub const FORGOT: &str = "/auth/forgot-password/";
    pub const RESET: &str = "/auth/reset-password/{uid}/{token}/";
    pub const UNDO_EMAIL: &str = "/auth/undo-email/{uid}/{token}/";
    pub const REFRESH: &str = "/auth/refresh/";
    pub const CONFIRM: &str = "/auth/confirm-password/";
    pub const PROFILE: &str = "/user-profile/";
    pub const DETAILS: &str = "/user-profile/update/";
    pub const CHANGE_EMAIL: &str = "/user-profile/change-email/";
    pub const CHANGE_EMAIL_VERIFY: &str = "/user-profile/change-email/verify/";
    pub const CHANGE_EMAIL_RESEND: &str = "/user-profile/change-email/resend/";
    pub const CHANGE_EMAIL_CANCEL: &str = "/user-profile/change-email/cancel/";
    pub const CHANGE_PICTURE: &str = "/user-profile/change-picture/";
    pub const PASSWORD: &str = "/user-profile/update-password/";
    pub const PICTURE: &str = "/user-profile/picture/{random}/";
    pub const ADMIN: &str = "/admin/";
    pub const PEOPLE: &str = "/admin/users/";
    pub const PEOPLE_CSV: &str = "/admin/users.csv";
    pub const NEW_PERSON: &str = "/admin/users/new/";
    pub const BULK: &str = "/admin/users/bulk/";
    pub const PERSON: &str = "/admin/users/{id}/";
    pub const DELETE_PERSON: &str = "/admin/users/{id}/delete/";
    pub const PERSON_ACT: &str = "/admin/users/{id}/{act:edit|role|block|unblock|verify|send-code|send-reset|end-sessions|remove-picture}/";
    pub const CODES: &str = "/admin/otp-verifications/";
    pub const CANCEL_CODE: &str = "/admin/otp-verifications/{id}/cancel/";
    pub const RESETS: &str = "/admin/password-resets/";
    pub const CANCEL_RESET: &str = "/admin/password-resets/{id}/cancel/";
    pub const MAILS: &str = "/admin/mails/";
    pub const MAIL: &str = "/admin/mails/{id}/";
    pub const MAIL_ACT: &str = "/admin/mails/{id}/{act:retry|cancel}/";
    pub const EVENTS: &str = "/admin/events/";
    pub const DEV_MAILS: &str = "/dev/mail/";
    pub const DEV_MAIL: &str = "/dev/mail/{number}/";
    pub const DEV_MAIL_HTML: &str = "/dev/mail/{number}/html/";
    pub const HEALTHZ: &str = "/healthz";
    pub const READYZ: &str = "/readyz";
    pub const STATIC: &str = "/static/{name}";

    pub const ALL: &[&str] = &[
        HOME,
        SIGN_UP_ANY,
        SIGN_UP,
        VERIFY,
        RESEND,
        SIGN_IN_ANY,
        SIGN_IN,
        SIGN_OUT,
        FORGOT,
        RESET,
        UNDO_EMAIL,
        REFRESH,
        CONFIRM,
        PROFILE,
        DETAILS,
        CHANGE_EMAIL,
        CHANGE_EMAIL_VERIFY,
        CHANGE_EMAIL_RESEND,
        CHANGE_EMAIL_CANCEL,
        CHANGE_PICTURE,
        PASSWORD,
        PICTURE,
        ADMIN,
        PEOPLE,
        NEW_PERSON,
        BULK,
        PERSON,
        DELETE_PERSON,
        PERSON_ACT,
        CODES,
        CANCEL_CODE,
        RESETS,
        CANCEL_RESET,
        MAILS,
        MAIL,
        MAIL_ACT,
        EVENTS,
        DEV_MAILS,
        DEV_MAIL,
        DEV_MAIL_HTML,
    ];
}

/// The sign-up page of a role.
pub fn sign_up(role: Role) -> String {
    format!("/auth/sign-up/{}/", role.as_str())
}

/// The sign-in page of a role.
pub fn sign_in(role: Role) -> String {
    format!("/auth/sign-in/{}/", role.as_str())
}

/// The page where a code is entered.
pub fn verify(flow: &Id, token: &LinkToken) -> String {
    format!("/auth/verify-otp/{}/{}/", flow.as_str(), token.expose())
}

/// Where another code is asked for.
pub fn resend(flow: &Id, token: &LinkToken) -> String {
    format!("/auth/resend-otp/{}/{}/", flow.as_str(), token.expose())
}

/// The page where a forgotten password is replaced.
pub fn reset(link: &Id, token: &str) -> String {
    format!("/auth/reset-password/{}/{token}/", link.as_str())
}

/// The page where a change of address is undone.
pub fn undo_email(link: &Id, token: &str) -> String {
    format!("/auth/undo-email/{}/{token}/", link.as_str())
}

/// A person's picture.
pub fn picture(name: &str) -> String {
    format!("/user-profile/picture/{name}/")
}

/// The admin page of a person.
pub fn person(id: &Id) -> String {
    format!("/admin/users/{}/", id.as_str())
}

/// Where an act on a person is sent.
pub fn person_act(id: &Id, act: &str) -> String {
    format!("/admin/users/{}/{act}/", id.as_str())
}

/// Where a code is made worthless.
pub fn cancel_code(flow: &Id) -> String {
    format!("/admin/otp-verifications/{}/cancel/", flow.as_str())
}

/// Where a reset link is made worthless.
pub fn cancel_reset(link: &Id) -> String {
    format!("/admin/password-resets/{}/cancel/", link.as_str())
}

/// The admin page of a mail.
pub fn mail(id: &Id) -> String {
    format!("/admin/mails/{}/", id.as_str())
}

/// Where an act on a mail is sent.
pub fn mail_act(id: &Id, act: &str) -> String {
    format!("/admin/mails/{}/{act}/", id.as_str())
}

/// A path with a query of these fields; empty ones are left out.
pub fn with_query(path: &str, fields: &[(&str, &str)]) -> String {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// One mail of the mailbox.
pub fn dev_mail(number: usize) -> String {
    format!("/dev/mail/{number}/")
}

/// A page with a notice, by its word in [`crate::web::page`]'s closed list.
pub fn with_notice(path: &str, word: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}said={word}")
}

/// The address of a page for a mail. Never made of anything that a request says about itself.
pub fn absolute(public_url: &PublicUrl, path: &str) -> String {
    format!("{}{path}", public_url.origin())
}

/// Where to go afterwards: a page of ours or nothing, whatever was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next(String);

impl Next {
    /// The path and query that somebody asked to go to, if it is a page of a signed-in person.
    ///
    /// An allow-list and no list of tricks: our own prefixes, plain characters, no empty or dot segment.
    pub fn parse(asked: &str) -> Self {
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        let ours = [route::PROFILE, route::ADMIN].iter().any(|prefix| path.starts_with(prefix));
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~/".contains(&c);
        let steps = path.split('/').skip(1).collect::<Vec<_>>();
        let straight = steps.iter().rev().skip(1).all(|step| !step.is_empty() && !step.starts_with('.'))
            && steps.last().is_some_and(|step| !step.starts_with('.'));
        let query_is_plain = query.bytes().all(|c| plain(c) || b"=&%+@:".contains(&c));
        if asked.len() <= 1024 && ours && path.bytes().all(plain) && straight && query_is_plain {
            Self(asked.to_owned())
        } else {
            Self::default()
        }
    }

    /// What `?next=` of a query asks for.
    pub fn of_query(query: &str) -> Self {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        pairs
            .iter()
            .find(|(name, _)| name == "next")
            .map_or_else(Self::default, |(_, asked)| Self::parse(asked))
    }

    /// The path, or nothing.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, or the usual place.
    pub fn or(&self, usual: &str) -> String {
        if self.0.is_empty() { usual.to_owned() } else { self.0.clone() }
    }

    /// `path` with `?next=…`, where there is something next.
    pub fn after(&self, path: &str) -> String {
        if self.0.is_empty() { path.to_owned() } else { format!("{path}?next={}", encode(&self.0)) }
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_is_a_page_of_ours_or_nothing() {
        let good = [
            "/user-profile/",
            "/user-profile/update/",
            "/user-profile/?said=saved",
            "/admin/",
            "/admin/users/",
            "/admin/users/?q=ann&role=user",
            "/admin/users/?after=0192",
            "/admin/users.csv",
            "/admin/events/",
            "/user-profile/change-email/",
        ];
        for good in good {
            assert_eq!(Next::parse(good).as_str(), good);
        }
        // Django's corpus of url_has_allowed_host_and_scheme, and our own.
        let bad = [
            "",
            "/",
            "http://example.com",
            "http:///example.com",
            "https://example.com",
            "ftp://example.com",
            "\\\\example.com",
            "\\\\\\example.com",
            "/\\\\/example.com",
            "\\\\\\example.com",
            "\\\\example.com",
            "\\\\//example.com",
            "/\\/example.com",
            "\\/example.com",
            "/\\example.com",
            "http:///example.com",
            "http:/\\//example.com",
            "http:\\/example.com",
            "http:/\\example.com",
            "javascript:alert(\"XSS\")",
            "\njavascript:alert(x)",
            "java\nscript:alert(x)",
            "\x08//example.com",
            "http://otherserver\\@example.com",
            "http:\\\\testserver\\@example.com",
            "http://testserver\\me:pass@example.com",
            "http://testserver\\@example.com",
            "http:\\\\testserver\\confirm\\me@example.com",
            "http:999999999",
            "ftp:9999999999",
            "\n",
            "http://[2001:cdba:0000:0000:0000:0000:3257:9652/",
            "//example.com",
            "///example.com",
            "//user-profile/",
            "/%2f/evil",
            "/..//evil",
            "/user-profile/..//evil",
            "/user-profile/../auth/",
            "/user-profile//evil",
            "/user-profile/\r\nSet-Cookie: a=b",
            "https:evil",
            "/user-profile/%0d%0a",
            "/user-profile@evil",
            "/static/x",
            "user-profile/",
            "/user-profile/.env",
            "/user-profile/?a=\"><script>",
        ];
        for bad in bad {
            assert_eq!(Next::parse(bad).as_str(), "", "{bad:?}");
        }
        assert_eq!(Next::parse(&format!("/user-profile/{}", "a".repeat(8192))).as_str(), "");
    }

    #[test]
    fn next_travels_in_a_query() {
        let next = Next::parse("/admin/users/?q=a&role=user");
        assert_eq!(
            next.after("/auth/sign-in/staff/"),
            "/auth/sign-in/staff/?next=/admin/users/%3Fq%3Da%26role%3Duser"
        );
    }
}
