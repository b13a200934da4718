//! One application behind each proxy that we ship a configuration for: what a person and a program meet there, and what arrives at the
//! application, whatever a visitor claims.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::browsers::is_possible;
use latchkey::identity::Role;

use crate::harness::{
    AtApplication, Browser, HOST, OTHER_PASSWORD, PASSWORD, Proxy, ProxyKind, Site, TinyApplication, Visitor,
    WEBSOCKET_KEY, minutes, program, run_alone, seconds,
};

macro_rules! behind_each_proxy {
    ($($name:ident: $kind:ident;)+) => {
        $(mod $name {
            use super::*;

            #[test]
            fn a_program_is_answered_as_it_understands() {
                behind(ProxyKind::$kind, async |door: &Door| program_s_journey(door).await);
            }

            #[test]
            fn nothing_that_a_visitor_claims_arrives() {
                behind(ProxyKind::$kind, async |door: &Door| spoofing(door).await);
            }

            #[test]
            fn a_person_signs_up_signs_in_and_comes_back_in_a_browser() {
                if is_possible() {
                    behind(ProxyKind::$kind, async |door: &Door| person_s_journey(door).await);
                }
            }
        })+
    };
}

behind_each_proxy! {
    nginx: Nginx;
    caddy: Caddy;
    caddy_of_debian: OldCaddy;
    haproxy: Haproxy;
    envoy: Envoy;
    traefik: Traefik;
    apache: Apache;
}

/// A site, an application, and a proxy before it.
struct Door {
    kind: ProxyKind,
    site: Site,
    proxy: Proxy,
    curl: PathBuf,
}

fn behind(kind: ProxyKind, story: impl AsyncFnOnce(&Door)) {
    assert!(ProxyKind::ALL.contains(&kind));
    let Some(curl) = program("curl", "curl") else { return };
    run_alone(async || {
        let site = Site::start([].into()).await;
        let application = TinyApplication::start().await;
        let Some(proxy) = Proxy::start(kind, site.listens_at.port(), application.port) else { return };
        let door = Door { kind, site, proxy, curl };
        door.wait_until_it_is_ready().await;
        story(&door).await;
        door.site.stop().await;
    });
}

/// What the proxy answers.
#[derive(Debug)]
struct Said {
    status: u16,
    version: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: String,
}

impl Said {
    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} of {self:?}");
        all[0]
    }

    /// The application's cookie that it gives, with its name.
    fn cookie(&self) -> String {
        let line = self.one("set-cookie");
        for needed in ["__Host-latchkey-app=", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(line.contains(needed), "{line}");
        }
        line.split(';').next().expect("a cookie").to_owned()
    }
}

const NAVIGATION: &str = "Sec-Fetch-Mode: navigate";
const FETCH: &str = "Sec-Fetch-Mode: cors";

impl Door {
    /// Asks as curl does, with these headers, and more of its arguments.
    async fn ask(&self, path: &str, headers: &[&str], more: &[&str]) -> Said {
        let said = self.try_to_ask(path, headers, more).await;
        read(&said).unwrap_or_else(|| panic!("{:?}: {path}: {said}", self.kind))
    }

    /// Traefik listens before it has read what to do.
    async fn wait_until_it_is_ready(&self) {
        let patience = Instant::now() + minutes(1);
        while read(&self.try_to_ask("/", &[FETCH], &[]).await).is_none_or(|said| said.status != 401) {
            assert!(Instant::now() < patience, "{:?} isn't ready", self.kind);
            tokio::time::sleep(seconds(1) / 20).await;
        }
    }

    async fn try_to_ask(&self, path: &str, headers: &[&str], more: &[&str]) -> String {
        let mut curl = Command::new(&self.curl);
        curl.args(["-s", "-i", "--path-as-is", "--max-time", "20", "--cacert", &self.proxy.certificate()]);
        curl.arg("--connect-to").arg(format!("{HOST}:443:127.0.0.1:{}", self.proxy.port));
        for header in headers {
            curl.args(["-H", header]);
        }
        curl.args(more).arg(format!("https://{HOST}{path}"));
        let output = tokio::task::spawn_blocking(move || curl.output().expect("curl")).await.expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn visit(&self, path: &str, cookie: &str) -> Said {
        self.ask(path, &[NAVIGATION, &format!("Cookie: {cookie}")], &[]).await
    }

    async fn fetch(&self, path: &str, cookie: &str) -> Said {
        self.ask(path, &[FETCH, &format!("Cookie: {cookie}")], &[]).await
    }

    /// Goes the whole way in with somebody; returns the application's cookie.
    async fn enter(&self, visitor: &mut Visitor, path: &str) -> String {
        let asked = self.ask(path, &[NAVIGATION], &[]).await;
        let with_ticket = self.ticket(visitor, &asked).await;
        let entered = self.visit(&with_ticket, &asked.cookie()).await;
        assert_eq!(
            (entered.status, entered.one("location")),
            (302, format!("https://{HOST}{path}").as_str())
        );
        entered.cookie()
    }

    async fn ticket(&self, visitor: &mut Visitor, asked: &Said) -> String {
        let enter = asked.one("location").strip_prefix(&self.site.url).expect("our own page").to_owned();
        visitor.visit(&enter).await;
        let body = visitor.page().body.replace("&#38;", "&").replace("&amp;", "&");
        let url = body.split("0;url=").nth(1).and_then(|rest| rest.split('"').next()).expect("the way on");
        url.strip_prefix(&format!("https://{HOST}")).expect("the application").to_owned()
    }
}

/// Reads the last answer that curl shows.
fn read(said: &str) -> Option<Said> {
    let mut rest = said.replace("\r\n", "\n");
    loop {
        let (head, body) = rest.split_once("\n\n")?;
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let (version, status) = (first.next()?.to_owned(), first.next()?.parse().ok()?);
        if matches!(status, 100 | 200) && version != "HTTP/2" && body.starts_with("HTTP/1.1 ") {
            rest = body.to_owned();
            continue;
        }
        let headers =
            lines.filter_map(|line| line.split_once(": ").or(line.strip_suffix(':').map(|name| (name, ""))));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        return Some(Said { status, version, headers, body: body.to_owned() });
    }
}

const OURS: [&str; 5] = ["remote-user", "remote-id", "remote-email", "remote-name", "remote-groups"];

/// What the application read as one of ours, in the usual spelling and in those that are taken for it.
fn arrived(body: &str) -> Vec<(String, String)> {
    let lines = body.lines().filter_map(|line| line.split_once(':'));
    let meant = |name: &str| name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let ours = lines.filter(|(name, _)| OURS.contains(&meant(name).as_str()));
    let mut found: Vec<_> =
        ours.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    found.sort();
    found
}

async fn expected(door: &Door) -> Vec<(String, String)> {
    let id = door.site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    let mut all: Vec<(String, String)> = OURS
        .iter()
        .zip(["annalee", id.as_str(), "annalee@example.org", "Éva Łuć", "user"])
        .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
        .collect();
    all.sort();
    all
}

async fn member(door: &Door) -> Visitor {
    let mut ann = door.site.member("annalee").await;
    ann.post("/user-profile/update/", &[("username", "annalee"), ("full_name", "Éva Łuć")]).await;
    ann
}

async fn program_s_journey(door: &Door) {
    let mut ann = member(door).await;
    let expected = expected(door).await;
    let is_nginx = door.kind == ProxyKind::Nginx;
    // Nobody.
    for more in [&["--http1.1"][..], &["--http2"], &["--http2", "-I"]] {
        let said = door.ask("/page?a=b%2Fc", &[NAVIGATION], more).await;
        let is_newer = more.contains(&"--http2");
        assert_eq!((said.status, said.version == "HTTP/2"), (302, is_newer), "{more:?}: {said:?}");
        let enter = format!("{}/auth/enter/?to=https%3A//{HOST}/page%3Fa%3Db%252Fc&state=", door.site.url);
        assert!(said.one("location").starts_with(&enter), "{said:?}");
        assert!(said.one("cache-control").contains("no-store") && !said.cookie().is_empty());
    }
    // Over HTTP/2 this curl takes "no more of your form, please" for an error, though the answer is whole.
    let posted = ["--http1.1", "-X", "POST", "-d", "a=b"];
    let posted = door.ask("/save?x=y", &[NAVIGATION], &posted).await;
    if is_nginx {
        assert_eq!((posted.status, posted.all("location").len()), (401, 0), "{posted:?}");
    } else {
        assert_eq!(posted.status, 303, "{posted:?}");
        assert!(posted.one("location").contains("to=https%3A//wiki.example.org/&state="), "{posted:?}");
    }
    let websocket = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let key = format!("Sec-WebSocket-Key: {WEBSOCKET_KEY}");
    for headers in
        [&[FETCH][..], &["Accept: image/*"], &["X-Requested-With: XMLHttpRequest", "Accept: text/html"]]
    {
        let said = door.ask("/x", headers, &[]).await;
        assert_eq!((said.status, said.all("location").len()), (401, 0), "{headers:?}: {said:?}");
        assert!(said.all("www-authenticate").is_empty() && said.all("set-cookie").is_empty(), "{said:?}");
    }
    let headers: Vec<&str> = websocket.iter().copied().chain([key.as_str(), "Accept: text/html"]).collect();
    let said = door.ask("/ws", &headers, &["--http1.1"]).await;
    assert_eq!((said.status, said.all("location").len()), (401, 0), "{said:?}");
    // A ticket, once.
    let asked = door.ask("/page?a=b", &[NAVIGATION], &[]).await;
    let nonce = asked.cookie();
    let with_ticket = door.ticket(&mut ann, &asked).await;
    let without = door.ask(&with_ticket, &[NAVIGATION], &[]).await;
    assert_eq!((without.status, without.one("referrer-policy")), (403, "no-referrer"));
    assert!(without.one("content-security-policy").contains("default-src 'none'"), "{without:?}");
    assert!(without.body.contains("We couldn&#39;t sign you in to Team wiki"), "{without:?}");
    let entered = door.visit(&with_ticket, &nonce).await;
    assert_eq!((entered.status, entered.one("location")), (302, "https://wiki.example.org/page?a=b"));
    let cookie = entered.cookie();
    assert_eq!(door.visit(&with_ticket, &cookie).await.one("location"), "https://wiki.example.org/page?a=b");
    let twice = door.visit(&with_ticket, &nonce).await;
    assert_eq!(twice.status, 403, "{twice:?}");
    assert!(twice.body.contains("This link no longer works"), "{twice:?}");
    // In.
    let with_cookie = format!("Cookie: other=1; {cookie}");
    for protocol in ["--http1.1", "--http2"] {
        let said = door.ask("/page?a=b%2Fc", &[&with_cookie], &[protocol]).await;
        assert_eq!((said.status, arrived(&said.body)), (200, expected.clone()), "{said:?}");
        assert!(said.body.starts_with("GET /page?a=b%2Fc HTTP/1.1\n"), "{said:?}");
        let big = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(big.path(), "x".repeat(200_000)).expect("a file");
        let data = format!("@{}", big.path().display());
        let post = [protocol, "-X", "POST", "--data-binary", data.as_str()];
        let said = door.ask("/upload", &[&with_cookie], &post).await;
        assert!(said.status == 200 && said.body.ends_with("body: 200000\n"), "{said:?}");
        let conditional =
            [with_cookie.as_str(), "If-None-Match: \"x\"", "If-Range: \"x\"", "Range: bytes=0-1"];
        let said = door.ask("/", &conditional, &[protocol]).await;
        let body = said.body.to_lowercase();
        assert!(
            said.status == 200 && body.contains("if-none-match: \"x\"") && body.contains("range: bytes=0-1"),
            "{said:?}"
        );
        for method in ["PUT", "DELETE", "OPTIONS"] {
            let said = door.ask("/", &[&with_cookie, FETCH], &[protocol, "-X", method]).await;
            assert!(said.status == 200 && said.body.starts_with(method), "{said:?}");
        }
    }
    let headers: Vec<&str> = websocket.iter().copied().chain([key.as_str(), with_cookie.as_str()]).collect();
    let said = door.ask("/ws", &headers, &["--http1.1", "--no-buffer", "--max-time", "3"]).await;
    assert!(said.status == 101 && said.body.contains("hello"), "{said:?}");
    // Not for their role, signed out, and nobody to ask.
    door.site.sql("UPDATE users SET role = 'staff' WHERE username = 'annalee'").await;
    let said = door.visit("/", &cookie).await;
    assert_eq!(said.status, 403);
    assert!(said.body.contains("You can&#39;t open Team wiki"), "{said:?}");
    door.site.sql("UPDATE users SET role = 'user' WHERE username = 'annalee'").await;
    assert_eq!(door.fetch("/", &cookie).await.status, 200);
    ann.post("/auth/sign-out/", &[]).await;
    assert_eq!(door.fetch("/", &cookie).await.status, 401);
    assert_eq!(door.visit("/", &cookie).await.status, 302);
}

async fn spoofing(door: &Door) {
    let mut ann = member(door).await;
    let cookie = door.enter(&mut ann, "/").await;
    let with_cookie = format!("Cookie: {cookie}");
    let expected = expected(door).await;
    let mut claims: Vec<Vec<String>> = Vec::new();
    for name in ["User", "Id", "Email", "Name", "Groups"] {
        for spelled in [
            format!("Remote-{name}"),
            format!("remote-{}", name.to_lowercase()),
            format!("REMOTE-{}", name.to_uppercase()),
            format!("Remote_{name}"),
            format!("REMOTE_{}", name.to_uppercase()),
            format!("Remote.{name}"),
            format!("remote.{}", name.to_lowercase()),
        ] {
            claims.push(vec![format!("{spelled}: admin")]);
            claims.push(vec![format!("{spelled}: admin"), format!("{spelled}: superuser")]);
            claims.push(vec![format!("{spelled};")]);
        }
        claims.push(vec![format!("Connection: close, Remote-{name}")]);
    }
    for line in [
        "X-Forwarded-Host: ops.example.org",
        "X-Forwarded-Host: evil.example",
        "X_Forwarded_Host: evil.example",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Uri: /auth/enter/",
        "X-Forwarded-Method: POST",
        "X-Original-URL: https://evil.example/",
        "X-Original-Method: POST",
        "Forwarded: host=evil.example;proto=http",
        "X-Forwarded-For: 192.0.2.1",
    ] {
        claims.push(vec![line.to_owned()]);
    }
    rules_of_another_application(door).await;
    for protocol in ["--http1.1", "--http2"] {
        for claim in &claims {
            let is_about_connection = claim[0].starts_with("Connection");
            if is_about_connection && protocol == "--http2" {
                continue;
            }
            let mut headers = vec![with_cookie.as_str(), FETCH];
            headers.extend(claim.iter().map(String::as_str));
            let said = door.ask("/", &headers, &[protocol]).await;
            // Refused, or as if nothing had been said.
            let is_refused = matches!(said.status, 400 | 403);
            let is_as_ever = said.status == 200 && arrived(&said.body) == expected;
            assert!(is_refused || is_as_ever, "{protocol} {claim:?}: {said:?}");
            // What browsers and other proxies do send must hinder nobody.
            let may_refuse = claim[0].contains(['_', '.']) || is_about_connection;
            assert!(is_as_ever || may_refuse, "{protocol} {claim:?}: {said:?}");
            // Nobody stays nobody.
            let mut headers = vec![FETCH];
            headers.extend(claim.iter().map(String::as_str));
            let said = door.ask("/", &headers, &[protocol]).await;
            assert!(matches!(said.status, 400 | 401 | 403), "{protocol} {claim:?}: {said:?}");
        }
    }
}

/// Somebody who may open another application names its host here, with its cookie.
async fn rules_of_another_application(door: &Door) {
    door.site.appoint(Role::Staff, "helper").await;
    let mut helper = door.site.visitor();
    helper.sign_in_at("/auth/sign-in/staff/", "helper", OTHER_PASSWORD).await;
    let mut ops = AtApplication::new(&door.site, "ops.example.org");
    assert_eq!(ops.open(&mut helper, "/").await.status, 200);
    let cookie = format!("Cookie: {}", ops.cookie);
    for protocol in ["--http1.1", "--http2"] {
        let said = door.ask("/", &["Host: ops.example.org", &cookie, FETCH], &[protocol]).await;
        assert!(arrived(&said.body).is_empty() && !said.body.contains("body: 0"), "{protocol}: {said:?}");
    }
}

async fn person_s_journey(door: &Door) {
    let map = format!("--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{}", door.proxy.port);
    let page = Browser::start_with(&door.site.url, &[&map, "--ignore-certificate-errors"]).await;
    page.goto(&format!("https://{HOST}/page?a=b%2Fc")).await;
    assert!(page.text().await.contains("Sign in to open Team wiki."), "{}", page.text().await);
    page.follow("Create an account").await;
    page.fill("Username", "annalee").await.fill("Email address", "annalee@example.org").await;
    page.fill("Password", PASSWORD).await.fill("Repeat the password", PASSWORD).await;
    page.press("Create account").await;
    let code = door.site.code_to("annalee@example.org").await;
    page.fill("Code", &code).await.press("Confirm").await;
    arrive(&page, "/page?a=b%2Fc", "Hello, annalee").await;
    page.press("Save").await;
    arrive(&page, "/save", "POST /save HTTP/1.1, 3 bytes").await;
    // Signed out, and in again.
    page.goto(&format!("/auth/sign-out/?to=https://{HOST}/bye")).await;
    page.press("Sign out now").await;
    page.follow("Continue to Team wiki").await;
    until(&page, "Sign in to open Team wiki.").await;
    page.fill("Username or email address", "annalee").await.fill("Password", PASSWORD).await;
    page.press("Sign in").await;
    arrive(&page, "/bye", "Hello, annalee").await;
    drop(page);
}

/// Waits until the page of the application is in front.
async fn arrive(page: &Browser, path: &str, says: &str) {
    until(page, says).await;
    assert_eq!(page.path().await, format!("https://{HOST}{path}"));
}

async fn until(page: &Browser, says: &str) {
    let patience = Instant::now() + minutes(1);
    loop {
        // Between two pages there may be none.
        let text = page.read().await.unwrap_or_default();
        if text.contains(says) {
            return;
        }
        assert!(Instant::now() < patience, "“{says}” on {}: {text}", page.path().await);
        tokio::time::sleep(seconds(1) / 50).await;
    }
}
