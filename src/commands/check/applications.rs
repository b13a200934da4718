//! Whether each application is behind its proxy as it must be: asked over https as a stranger asks, from where this command runs.
//!
//! Its proxy must lead a stranger to us, whatever else they claim about themselves. What it hands on to the application cannot be seen from
//! here.

use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use super::Finding;
use crate::config::{Application, Config};
use crate::paths::{absolute, auth::ENTER};

/// The longest that somebody waits for an application.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// What a visitor may claim, and what is wrong with a proxy that hands it on.
const CLAIMS: [(&[(&str, &str)], &str); 2] = [
    (
        &[
            ("X-Forwarded-Host", "visitor.invalid"),
            ("X-Forwarded-Proto", "http"),
            ("X-Original-URL", "http://visitor.invalid/"),
            ("X-Forwarded-Method", "POST"),
        ],
        "its proxy seems to trust X-Forwarded-… or X-Original-… headers from visitors; it must replace them (see docs/applications.md)",
    ),
    (
        &[("Remote_User", "visitor"), ("Remote.Id", "visitor")],
        "its proxy seems to let headers like Remote_User through, which many applications read as Remote-User; it must delete them (see docs/applications.md)",
    ),
];

/// Checks every application; names it by its host.
pub(super) async fn findings(config: &Config) -> Vec<(String, Finding)> {
    // Somebody else may have been first, with the same.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    let client = Client::builder().redirect(Policy::none()).timeout(CHECK_TIMEOUT).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![("applications".to_owned(), Finding::Failed(error.to_string()))],
    };
    let all = config.applications.iter().map(|application| finding(&client, config, application));
    futures_util::future::join_all(all).await
}

/// What a proxy did with a stranger.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It led them to our page.
    LedToUs,
    Elsewhere(StatusCode),
    Unreachable(String),
}

async fn finding(client: &Client, config: &Config, application: &Application) -> (String, Finding) {
    let name = format!("application {}", application.host);
    let found = match probe(client, config, application, &[]).await {
        Seen::LedToUs => believed(client, config, application).await.map_or(Finding::Fine, Finding::Careful),
        Seen::Unreachable(why) => Finding::Careful(format!("isn't reachable over https from here: {why}")),
        Seen::Elsewhere(status) => Finding::Careful(explain(status)),
    };
    (name, found)
}

/// What its proxy wrongly believes, if anything.
async fn believed(client: &Client, config: &Config, application: &Application) -> Option<String> {
    for (claims, what) in CLAIMS {
        if probe(client, config, application, claims).await != Seen::LedToUs {
            return Some(what.to_owned());
        }
    }
    None
}

fn explain(status: StatusCode) -> String {
    match status {
        StatusCode::FORBIDDEN => format!(
            "answers {status} instead of sending people to the sign-in page: add its proxy to TRUSTED_PROXIES, and check that the proxy passes on this host and https"
        ),
        status if status.is_server_error() => {
            format!(
                "answers {status}: its proxy may not be reaching Latchkey. Check that latchkey serve is running"
            )
        }
        StatusCode::UNAUTHORIZED => {
            format!("answers {status} without sending people to the sign-in page (see docs/applications.md)")
        }
        status => format!(
            "answers {status} without asking Latchkey, so anyone may be able to open it; check its proxy's configuration (see docs/applications.md)"
        ),
    }
}

async fn probe(client: &Client, config: &Config, application: &Application, claims: &[(&str, &str)]) -> Seen {
    let mut request =
        client.get(application.url()).header("Accept", "text/html").header("Sec-Fetch-Mode", "navigate");
    for (name, value) in claims {
        request = request.header(*name, *value);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Seen::Unreachable(innermost(&error)),
    };
    let ours = absolute(&config.public_url, ENTER.path());
    let leads_to_us = answer
        .headers()
        .get(LOCATION)
        .and_then(|to| to.to_str().ok())
        .is_some_and(|to| to.starts_with(&ours) && to.contains(&encoded(&application.host)));
    if answer.status().is_redirection() && leads_to_us {
        Seen::LedToUs
    } else {
        Seen::Elsewhere(answer.status())
    }
}

/// The host as it stands in the query of our page.
fn encoded(host: &str) -> String {
    host.replace(':', "%3A")
}

/// The cause behind the causes, which says the most.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
