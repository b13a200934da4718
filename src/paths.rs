//! Every path of the site, in a file for each audience: patterns for the router, and links made of the same constants.
//! No other file spells one out.

pub mod account;
pub mod admin;
pub mod auth;
pub mod service;

use std::borrow::Borrow;
use std::fmt;

use crate::config::PublicUrl;

/// The welcome page.
pub const HOME: Route<0> = Route::new("/");

/// A path with `N` holes: `{name}`, or `{name:one|other}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<const N: usize>(&'static str);

impl<const N: usize> Route<N> {
    /// Takes a pattern as the router understands it.
    ///
    /// # Panics
    /// For a pattern with another number of holes: as a constant, it does not compile.
    pub const fn new(pattern: &'static str) -> Self {
        let bytes = pattern.as_bytes();
        let mut holes = 0;
        let mut place = 0;
        while place < bytes.len() {
            #[expect(clippy::indexing_slicing, reason = "a constant, looked at by the compiler")]
            if bytes[place] == b'{' {
                holes += 1;
            }
            place += 1;
        }
        assert!(holes == N, "the pattern has another number of holes");
        Self(pattern)
    }

    /// The pattern for the router.
    pub const fn pattern(self) -> &'static str {
        self.0
    }

    /// Lists the paths of the pattern, where they can be counted: without holes, or with one whose words are known.
    pub fn all(self) -> Option<Vec<String>> {
        let Some((before, hole)) = self.0.split_once('{') else { return Some(vec![self.0.to_owned()]) };
        let (hole, after) = hole.split_once('}')?;
        let (_, words) = hole.split_once(':').filter(|(_, words)| words.contains('|') && N == 1)?;
        Some(words.split('|').map(|word| format!("{before}{word}{after}")).collect())
    }

    /// Splits the pattern at the last slash before its first hole.
    pub fn split(self) -> (&'static str, &'static str) {
        let hole = self.0.find('{').unwrap_or_default();
        let (before, _) = self.0.split_at(hole);
        self.0.split_at(before.rfind('/').unwrap_or_default())
    }

    /// Fills the holes in their order.
    pub fn to<'a>(self, values: impl Borrow<[&'a str; N]>) -> String {
        let mut values = values.borrow().iter().copied();
        self.write(|_, path| path.push_str(values.next().unwrap_or_default()))
    }

    /// Fills each hole with the value of its name.
    pub fn fill(self, mut value: impl FnMut(&str) -> String) -> String {
        self.write(|name, path| path.push_str(&value(name)))
    }

    fn write(self, mut write_value: impl FnMut(&str, &mut String)) -> String {
        let mut path = String::with_capacity(self.0.len() + 64);
        let mut rest = self.0;
        while let Some((before, hole)) = rest.split_once('{') {
            path.push_str(before);
            let (hole, after) = hole.split_once('}').unwrap_or((hole, ""));
            write_value(hole.split(':').next().unwrap_or_default(), &mut path);
            rest = after;
        }
        path + rest
    }

    /// Reads what fills the holes of a path of this pattern.
    pub fn parse(self, path: &str) -> Option<[&str; N]> {
        let mut values = [""; N];
        let mut filled = values.iter_mut();
        let (mut pattern, mut asked) = (self.0.split('/'), path.split('/'));
        loop {
            match (pattern.next(), asked.next()) {
                (None, None) => return Some(values),
                (Some(hole), Some(word)) if hole.starts_with('{') && !word.is_empty() => {
                    *filled.next()? = word;
                }
                (Some(known), Some(word)) if known == word => {}
                _ => return None,
            }
        }
    }
}

impl Route<0> {
    /// The path.
    pub const fn path(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Route<0> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A constant of plain characters: templates write it as it is.
impl askama::filters::HtmlSafe for Route<0> {}

impl askama::FastWritable for Route<0> {
    fn write_into(&self, to: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(to.write_str(self.0)?)
    }
}

/// Appends a query of these fields; empty ones are left out.
pub fn with_query(path: &str, fields: &[(&str, &str)]) -> String {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Makes the URL of a page for a mail. Never of anything that a request says about itself.
pub fn absolute(public_url: &PublicUrl, path: &str) -> String {
    format!("{}{path}", public_url.origin())
}

/// The longest way on, in bytes: it may hold the percent-encoded address of a page of an application.
const MAX_NEXT: usize = 4096;

/// Where to go afterwards: a page of ours or nothing, whatever was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next(String);

impl Next {
    /// Reads the path and query that somebody asked to go to, if it is a page for people who are signed in.
    ///
    /// An allow-list and no list of tricks: our own prefixes, plain characters, no empty or dot segment.
    pub fn parse(asked: &str) -> Self {
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        let is_way_in = path == auth::ENTER.path();
        let ours = is_way_in
            || [account::PROFILE, admin::ADMIN].iter().any(|prefix| path.starts_with(prefix.path()));
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~/".contains(&c);
        let steps = path.split('/').skip(1).collect::<Vec<_>>();
        let straight = steps.iter().rev().skip(1).all(|step| !step.is_empty() && !step.starts_with('.'))
            && steps.last().is_some_and(|step| !step.starts_with('.'));
        let query_is_plain = query.bytes().all(|c| plain(c) || b"=&%+@:".contains(&c));
        if asked.len() <= MAX_NEXT && ours && path.bytes().all(plain) && straight && query_is_plain {
            Self(asked.to_owned())
        } else {
            Self::default()
        }
    }

    /// Reads `?next=` of a query; anything else in it counts for nothing.
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

    /// The path, or the usual one.
    pub fn or(&self, usual: &str) -> String {
        if self.0.is_empty() { usual.to_owned() } else { self.0.clone() }
    }

    /// Appends `?next=…` to a path, where there is something next.
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
            "/user-profile/?a=b",
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
    fn a_route_is_a_pattern_and_a_link() {
        assert_eq!(auth::SIGN_IN.to(["staff"]), "/auth/sign-in/staff/");
        assert_eq!(auth::RESET.to(["1", "2"]), "/auth/reset-password/1/2/");
        assert_eq!(account::PROFILE.to([]), account::PROFILE.path());
        assert_eq!(auth::RESET.parse("/auth/reset-password/1/2/"), Some(["1", "2"]));
        for other in ["/auth/reset-password/1/", "/auth/reset-password//2/", "/auth/verify-otp/1/2/"] {
            assert_eq!(auth::RESET.parse(other), None, "{other}");
        }
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
