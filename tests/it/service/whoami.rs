//! Who is signed in, as front ends of other origins ask.

use std::collections::HashMap;
use std::time::Instant;

use latchkey::identity::Role;
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::browsers::{is_possible, sign_in};
use crate::harness::{
    Browser, OTHER_PASSWORD, PASSWORD, Site, Visitor, minutes, run_alone, seconds, stories,
};

stories! {
    whoever_is_signed_in_is_told_and_nobody_else,
    what_ends_a_session_counts_at_the_next_question,
}

async fn who(visitor: &Visitor) -> Value {
    let answer = visitor.request(Method::GET, "/auth/whoami/").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["vary"], "Origin, Cookie");
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

fn nobody() -> Value {
    serde_json::json!({ "signed_in": false })
}

async fn whoever_is_signed_in_is_told_and_nobody_else(site: &Site) {
    assert_eq!(who(&site.visitor()).await, nobody());
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").press("Save").await;
    let said = who(&ann).await;
    let id = site.texts("SELECT id AS text FROM users").await.remove(0);
    for (field, value) in [
        ("id", id.as_str()),
        ("username", "annalee"),
        ("email", "annalee@example.org"),
        ("name", "Ann Lee"),
        ("role", "user"),
    ] {
        assert_eq!(said[field], value, "{said}");
    }
    assert_eq!((&said["signed_in"], &said["picture"]), (&Value::Bool(true), &Value::Null), "{said}");
    assert_eq!(said["second_factor"], Value::Bool(false), "{said}");
    let until = said["until"].as_str().expect("a time");
    assert!(until.ends_with('Z') && until > site.app.clock.now().iso().as_str(), "{until}");
    assert_eq!(said.as_object().unwrap().len(), 9, "{said}");
}

async fn what_ends_a_session_counts_at_the_next_question(site: &Site) {
    site.appoint(Role::Superuser, "keeper").await;
    let mut keeper = site.visitor();
    keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
    let mut ann = site.member("annalee").await;
    let other_tab = ann.twin();
    ann.press("Sign out").await;
    assert_eq!(who(&other_tab).await, nobody());
    ann.sign_in("annalee", PASSWORD).await;
    assert_eq!(who(&ann).await["signed_in"], true);
    let leave = [("username", "annalee"), ("current_password", PASSWORD)];
    ann.post("/user-profile/delete/", &leave).await;
    ann.sign_in("annalee", PASSWORD).await;
    assert_eq!(who(&ann).await, nobody(), "about to be deleted");
    ann.press("Keep my account").await;
    assert_eq!(who(&ann).await["signed_in"], true);
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    keeper.post(&format!("/admin/users/{id}/block/"), &[("reason", "spam")]).await;
    assert_eq!(who(&ann).await, nobody(), "blocked");
}

#[test]
fn exactly_the_origins_of_the_settings_may_read_it() {
    run_alone(async || {
        let origins = "https://app.example.org, http://localhost:3000/";
        let site = Site::start(HashMap::from([("CORS_ALLOWED_ORIGINS", origins.to_owned())])).await;
        let ann = site.member("annalee").await;
        let ask = async |method: Method, origin: &str| {
            let request = ann.request(method, "/auth/whoami/").header("Sec-Fetch-Site", "same-site");
            let request = if origin.is_empty() { request } else { request.header("Origin", origin) };
            request.send().await.unwrap()
        };
        for origin in ["https://app.example.org", "http://localhost:3000"] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                let answer = ask(method.clone(), origin).await;
                assert_eq!(answer.headers()["access-control-allow-origin"], origin);
                assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
                assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-site");
                assert_eq!(answer.headers()["vary"], "Origin, Cookie");
            }
        }
        let preflight = ask(Method::OPTIONS, "https://app.example.org").await;
        assert_eq!(preflight.status(), 204);
        assert_eq!(preflight.headers()["access-control-allow-methods"], "GET");
        assert_eq!(preflight.headers()["access-control-max-age"], "600");
        for origin in [
            "",
            "null",
            "*",
            "http://app.example.org",
            "https://app.example.org:8443",
            "https://app.example.org/",
            "https://app.example.org.evil.example",
            "https://evil-app.example.org",
            "https://a@app.example.org",
            "https://app.example.org, https://evil.example",
            "https://evil.example",
            "HTTPS://APP.EXAMPLE.ORG",
            "https://app.example.org\u{e9}",
        ] {
            for method in [Method::GET, Method::OPTIONS] {
                let answer = ask(method, origin).await;
                let told = answer.headers().get("access-control-allow-origin");
                assert_eq!(told, None, "{origin}");
                assert!(!answer.headers().contains_key("access-control-allow-credentials"), "{origin}");
            }
        }
        let twice = ann.request(Method::GET, "/auth/whoami/").header("Origin", "https://app.example.org");
        let twice = twice.header("Origin", "https://app.example.org").send().await.unwrap();
        assert!(!twice.headers().contains_key("access-control-allow-origin"));
        site.stop().await;
    });
}

/// A front end at a port of its own, which asks who is signed in and says so in its title.
async fn front_end(site: String, listener: tokio::net::TcpListener) {
    let script = format!(
        "fetch('{site}/auth/whoami/', {{ credentials: 'include' }}).then(answer => answer.json()).then(\
           who => document.title = who.signed_in ? 'hello ' + who.username : 'hello stranger', \
           () => document.title = 'refused')"
    );
    let page = format!("<!DOCTYPE html><title>waits</title><script>{script}</script>");
    let length = page.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    );
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

#[test]
fn a_front_end_of_the_settings_learns_in_a_browser_who_is_signed_in_and_another_does_not() {
    if !is_possible() {
        return;
    }
    run_alone(async || {
        let listen = async || tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (ours, other) = (listen().await, listen().await);
        let origin = |listener: &tokio::net::TcpListener| {
            format!("http://localhost:{}", listener.local_addr().unwrap().port())
        };
        let (our_origin, other_origin) = (origin(&ours), origin(&other));
        let site = Site::start(HashMap::from([("CORS_ALLOWED_ORIGINS", our_origin.clone())])).await;
        for listener in [ours, other] {
            actix_web::rt::spawn(front_end(site.url.clone(), listener));
        }
        site.member("annalee").await;
        let page = Browser::start(&site.url).await;
        let says = async |origin: &str, expected: &str| {
            page.goto(origin).await;
            let patience = Instant::now() + minutes(1);
            while page.title().await == "waits" && Instant::now() < patience {
                tokio::time::sleep(seconds(1) / 50).await;
            }
            assert_eq!(page.title().await, expected, "{origin}");
        };
        page.allow_scripts(true).await;
        says(&our_origin, "hello stranger").await;
        sign_in(&page, "user", "annalee", PASSWORD).await;
        says(&our_origin, "hello annalee").await;
        says(&other_origin, "refused").await;
        drop(page);
        site.stop().await;
    });
}
