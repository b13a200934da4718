//! What proxies are answered: as the table of each wants it, never cached, with at most one cookie.

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::forwarded::{COOKIE_NAME, ForwardedRequest, Method, Proxy, REMOTE};
use crate::app::App;
use crate::db;
use crate::identity::{LinkToken, Message, Sentence, Username, t};
use crate::limits::TooMany;
use crate::paths::account::APPLICATIONS;
use crate::paths::auth::SIGN_OUT;
use crate::paths::{absolute, with_query};
use crate::records::app_sessions::TicketState;
use crate::records::users::{Person, UNVERIFIED_LIFETIME};
use crate::web::errors::{AWAY, seconds_after};
use crate::web::journal::OncePerMinute;
use crate::web::view::{Bare, filters};
use crate::web::{cookies, page};

/// How long a cookie names a browser that has not signed in yet: as long as a sign-up may take.
const NONCE_LIFETIME: Duration = UNVERIFIED_LIFETIME;
/// The longest value of a header that tells who somebody is, in bytes.
const MAX_VALUE: usize = 255;

fn with_status(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((VARY, HeaderValue::from_static("Cookie")));
    answer
}

/// Lets a request go on, and tells the application whose it is. All five headers are there and none is empty: one that was missing
/// would let a proxy pass the visitor's own through.
pub fn go_on(person: &Person) -> HttpResponse {
    let username = person.username.as_str();
    let email = person.email.as_ref().map_or(username, |email| email.as_str());
    let values = [username, person.id.as_str(), email, person.display_name(), person.role.as_str()];
    let mut answer = with_status(StatusCode::OK);
    for (name, value) in REMOTE.into_iter().zip(values) {
        answer.insert_header((name, header_value(value).unwrap_or_else(|| HeaderValue::from_static("-"))));
    }
    answer.finish()
}

/// In UTF-8, without what a header cannot hold.
fn header_value(text: &str) -> Option<HeaderValue> {
    if text.len() > MAX_VALUE || text.chars().any(char::is_control) {
        return header_value(&shortened(text));
    }
    HeaderValue::from_bytes(text.trim().as_bytes()).ok().filter(|value| !value.is_empty())
}

fn shortened(text: &str) -> String {
    let mut clean = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if clean.len() + character.len_utf8() > MAX_VALUE {
            break;
        }
        clean.push(character);
    }
    clean
}

/// Nobody is signed in, and there is nowhere to be led.
pub fn unknown() -> HttpResponse {
    with_status(StatusCode::UNAUTHORIZED).finish()
}

/// Leads a navigation somewhere.
pub fn lead(asked: &ForwardedRequest<'_>, location: &str, cookie: Option<Cookie<'static>>) -> HttpResponse {
    let status = match (asked.proxy, asked.method) {
        (Proxy::Nginx, _) => StatusCode::UNAUTHORIZED,
        (Proxy::Usual | Proxy::Envoy, Method::Get) => StatusCode::FOUND,
        (Proxy::Usual | Proxy::Envoy, Method::Other) => StatusCode::SEE_OTHER,
    };
    let mut answer = with_status(status);
    // nginx would send the browser there by 302, and the browser would send its form again.
    if asked.proxy != Proxy::Nginx || asked.method == Method::Get {
        answer.insert_header((LOCATION, location));
    }
    let mut answer = answer.finish();
    if let Some(cookie) = cookie {
        cookies::set(answer.headers_mut(), &cookie);
        cookies::put_path_first(answer.headers_mut());
    }
    answer
}

/// Builds the application's cookie. Lax, not Strict: people come from our own pages, which are another site.
pub fn cookie(token: &LinkToken, life: Option<Duration>) -> Cookie<'static> {
    let mut cookie = Cookie::build(COOKIE_NAME, token.expose())
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .finish();
    if let Some(life) = life {
        cookies::keep_for(&mut cookie, life);
    }
    cookie
}

/// The cookie of a browser that has not signed in yet.
pub fn nonce_cookie(nonce: &LinkToken) -> Cookie<'static> {
    cookie(nonce, Some(NONCE_LIFETIME))
}

/// Why a request does not go on.
pub enum Denied {
    /// The application is not for their role.
    OtherRole { application: String, host: String, username: Username },
    /// A ticket does not work: at which application, for which page, and why.
    Ticket { name: String, host: String, url: String, state: TicketState },
    /// Its proxy, or our settings, are not as they must be; the log says how.
    Unusable,
    /// Too many requests of one browser.
    TooMany(Duration),
    /// The database is away.
    Away,
}

impl From<db::Error> for Denied {
    fn from(error: db::Error) -> Self {
        static SAID: OncePerMinute = OncePerMinute::new();
        SAID.warn(|| format!("requests to applications can't be decided: {error}"));
        Self::Away
    }
}

impl From<TooMany> for Denied {
    fn from(TooMany(wait): TooMany) -> Self {
        Self::TooMany(wait)
    }
}

/// It stands on the host of the application, so it brings all it needs.
#[derive(Template)]
#[template(path = "service/refused.html")]
struct RefusedPage {
    title: Message,
    text: Message,
    /// Labels and addresses.
    ways: Vec<(Message, String)>,
    style: &'static str,
}

const STYLE: &str = include_str!("../../../../static/refused.css");

/// Nothing but the style that stands in the page itself.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

impl Denied {
    /// Draws the page that says why.
    pub fn page(self, proxy: Proxy, app: &App, req: &HttpRequest) -> HttpResponse {
        let status = match &self {
            // It would make 500 of any other; for the page it asks once more.
            Self::TooMany(_) if proxy == Proxy::Nginx => StatusCode::FORBIDDEN,
            Self::OtherRole { .. } | Self::Ticket { .. } | Self::Unusable => StatusCode::FORBIDDEN,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
        };
        let wait = match &self {
            Self::TooMany(wait) => Some(seconds_after(*wait)),
            Self::Away => Some(AWAY.as_secs()),
            Self::OtherRole { .. } | Self::Ticket { .. } | Self::Unusable => None,
        };
        let Ok(view) = Bare::of(req).map(Bare::view) else { return with_status(status).finish() };
        let mut answer = page::render(status, &self.explain(app), &view);
        let headers = answer.headers_mut();
        let mut set = |name: HeaderName, value: HeaderValue| drop(headers.insert(name, value));
        set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        set(VARY, HeaderValue::from_static("Cookie"));
        set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        set(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if let Ok(policy) = HeaderValue::from_str(&POLICY) {
            set(CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(wait) = wait {
            set(RETRY_AFTER, wait.into());
        }
        answer
    }

    fn explain(self, app: &App) -> RefusedPage {
        let page = |title: Message, text: Message, ways| RefusedPage { title, text, ways, style: STYLE };
        let ours = |path: &str| absolute(&app.config.public_url, path);
        match self {
            Self::OtherRole { application, host, username } => {
                let sign_out = with_query(SIGN_OUT.path(), &[("to", &format!("https://{host}/"))]);
                let (title, text) = not_for(&application, &username);
                let ways = vec![
                    (t("Go to your applications").into(), ours(APPLICATIONS.path())),
                    (t("Sign out").into(), ours(&sign_out)),
                ];
                page(title, text, ways)
            }
            Self::Ticket { name, host, url, state } => {
                let (title, text) = explain_ticket(&name, &host, state);
                let again = t("Open {application}").with("application", &name);
                page(title, text, vec![(again, url)])
            }
            Self::Unusable => page(
                t("This page isn't set up correctly").into(),
                t("There's nothing wrong with your account. Tell the people who run this site that the reason is in the Latchkey log.").into(),
                app.config.brand.support.iter().map(|support| (t("Get help").into(), support.url.clone())).collect(),
            ),
            Self::TooMany(wait) => page(
                t("Too many requests").into(),
                t("Try again in {wait}.").with("wait", wait),
                Vec::new(),
            ),
            Self::Away => page(
                t("We'll be right back").into(),
                t("Part of this site isn't responding. Try again in {wait}.").with("wait", AWAY),
                Vec::new(),
            ),
        }
    }
}

/// Says that an application is not for somebody's role: a title, and what to do.
pub fn not_for(application: &str, username: &Username) -> (Message, Message) {
    let title = t("You can't open {application}").with("application", application);
    let text = t(
        "You're signed in as {name}. This account doesn't have access. Ask an administrator for access, or sign out and use another account.",
    );
    (title, text.with("name", username.as_str()))
}

fn explain_ticket(name: &str, host: &str, state: TicketState) -> (Message, Message) {
    let (title, text) = match state {
        TicketState::OtherBrowser => (
            t("We couldn't sign you in to {application}"),
            t(
                "Your browser didn't keep our cookie, or the link was for another browser. Allow cookies for {host}, then open {application} again.",
            ),
        ),
        TicketState::Expired => (
            t("That took too long"),
            t(
                "Opening {application} took more than 1 minute, so the link expired. Open {application} again.",
            ),
        ),
        TicketState::Elsewhere => (
            t("This link is for another application"),
            t("It doesn't open {application}. Use the link below instead."),
        ),
        TicketState::Over => (t("You've been signed out"), t("Open {application} again to sign in.")),
        TicketState::Used | TicketState::Open => {
            (t("This link no longer works"), t("Each link works once. Open {application} again."))
        }
    };
    let named = |sentence: Sentence| sentence.with("application", name).with("host", host);
    (named(title), named(text))
}
