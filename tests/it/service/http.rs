//! What stands around every page: headers, methods, hosts, origins, limits of size, dead ends.

use std::collections::{BTreeSet, HashMap};

use reqwest::Method;
use reqwest::header::HeaderValue;

use crate::harness::{
    PASSWORD, Site, Visitor, WithPasskey, World, first_line_of_answer, minutes, run_alone, stories,
};

const FORM: &str = "application/x-www-form-urlencoded";

async fn status(visitor: &Visitor, method: Method, path: &str) -> u16 {
    visitor.request(method, path).send().await.unwrap().status().as_u16()
}

stories! {
    every_answer_carries_the_headers_that_keep_people_safe,
    pages_that_ask_for_a_passkey_run_our_script_and_no_other_page_runs_any,
    methods_and_lost_slashes,
    dead_ends_are_pages_with_a_way_on,
    only_our_own_pages_can_post,
    only_our_own_hosts_are_answered,
    strange_forms_are_refused,
    a_cookie_of_ours_that_comes_twice_or_in_disguise_was_planted,
    files_are_served_with_their_hash_for_ever,
    health_is_told,
    too_many_requests_from_one_address_are_told_to_wait,
    hashing_gives_way_to_whoever_is_let_in_and_to_nobody_else,
    an_address_cannot_make_a_page_say_anything,
    what_was_done_is_said_once_and_only_to_the_browser_that_did_it,
}

async fn every_answer_carries_the_headers_that_keep_people_safe(site: &Site) {
    let mut ann = site.member("annalee").await;
    for path in [
        "/",
        "/auth/sign-in/user/",
        "/nowhere",
        "/user-profile/",
        "/auth/sign-out/",
        "/healthz",
        "/auth/sign-up",
    ] {
        for visitor in [&ann, &site.visitor()] {
            let answer = visitor.request(Method::GET, path).send().await.unwrap();
            let header = |name: &str| {
                answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default().to_owned()
            };
            assert!(header("content-security-policy").contains("default-src 'none'"), "{path}");
            assert!(header("content-security-policy").contains("script-src 'none'"), "{path}");
            assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert!(header("content-security-policy").contains("form-action 'self'"), "{path}");
            assert!(header("content-security-policy").contains("base-uri 'none'"), "{path}");
            assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{path}");
            assert_eq!(header("x-permitted-cross-domain-policies"), "none", "{path}");
            assert!(header("permissions-policy").contains("camera=()"), "{path}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(header("x-frame-options"), "DENY", "{path}");
            assert_eq!(header("referrer-policy"), "same-origin", "{path}");
            assert_eq!(header("cache-control"), "no-store", "{path}");
            assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
            assert_eq!(header("server"), "", "{path}");
        }
    }
    let page = ann.visit("/user-profile/").await.body.clone();
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("javascript:"));
}

async fn pages_that_ask_for_a_passkey_run_our_script_and_no_other_page_runs_any(site: &Site) {
    let mut ann = WithPasskey::new(site, "annalee").await;
    let mut halfway = site.visitor();
    halfway.sign_in("annalee", PASSWORD).await;
    let mut asking = site.visitor();
    asking.visit("/auth/passkey/").await;
    let mut refused = site.visitor();
    refused.post("/auth/passkey/", &[("passkey", "x")]).await;
    let mut confirming = ann.visitor.twin();
    confirming.visit("/auth/confirm-password/").await;
    ann.visitor.visit("/user-profile/two-factor/passkeys/new/").await;
    let mut scripts = BTreeSet::new();
    for visitor in [&halfway, &asking, &refused, &confirming, &ann.visitor] {
        let policy = visitor.page().headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("; script-src 'self'; require-trusted-types-for 'script'"), "{policy}");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        let (_, rest) = visitor.page().body.split_once("<script src=\"").expect("a script");
        let (script, rest) = rest.split_once('"').expect("its end");
        assert!(rest.starts_with(" defer></script>") && !rest.contains("<script"), "one, and nothing in it");
        scripts.insert(script.to_owned());
    }
    let [script] = &scripts.into_iter().collect::<Vec<_>>()[..] else { panic!("one script") };
    let answer = asking.request(Method::GET, script).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let text = answer.text().await.unwrap();
    assert!(text.len() < 4096 && text.lines().count() > 40, "short, and written to be read");
    // Somebody who has none is asked for none.
    let mut bob = site.member("bobbob").await;
    for path in ["/auth/confirm-password/", "/user-profile/two-factor/", "/auth/sign-in/user/"] {
        bob.visit(path).await;
        let policy = bob.page().headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'none'") && !bob.page().body.contains("<script"), "{path}");
    }
}

async fn methods_and_lost_slashes(site: &Site) {
    let visitor = site.visitor();
    for (method, path, expected, allow) in [
        (Method::POST, "/", 405, "GET, HEAD"),
        (Method::GET, "/auth/sign-out/", 303, ""),
        (Method::PUT, "/auth/refresh/", 405, "GET, HEAD, POST"),
        (Method::GET, "/auth/resend-otp/a/b/", 303, ""),
        (Method::PUT, "/auth/sign-in/user/", 405, "GET, HEAD, POST"),
        (Method::DELETE, "/user-profile/", 405, "GET, HEAD"),
        (Method::HEAD, "/", 200, ""),
        (Method::HEAD, "/auth/sign-in/user/", 200, ""),
        (Method::HEAD, "/healthz", 200, ""),
    ] {
        let answer = visitor.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
        assert_eq!(
            answer.headers().get("allow").map(|allow| allow.to_str().unwrap()).unwrap_or_default(),
            allow
        );
    }
    for (path, to) in [
        ("/auth/sign-up", "/auth/sign-up/"),
        ("/auth/sign-in/staff", "/auth/sign-in/staff/"),
        ("/user-profile", "/user-profile/"),
    ] {
        let answer = visitor.request(Method::GET, path).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (308, &HeaderValue::from_static(to))
        );
    }
    for path in [
        "/nowhere",
        "/nowhere/",
        "//evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/static/site.css",
        "/auth",
        "/user-profile/nothing/",
    ] {
        assert_eq!(status(&visitor, Method::GET, path).await, 404, "{path}");
    }
    for path in
        ["//evil.example", "/\\evil.example/..", "/%2f%2fevil.example", "/auth/sign-in/x%0d%0aSet-Cookie:a=b"]
    {
        let first = first_line_of_answer(
            site,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert!(first.contains(" 404 ") || first.contains(" 400 "), "{path}: {first}");
    }
}

async fn dead_ends_are_pages_with_a_way_on(site: &Site) {
    let mut visitor = site.visitor();
    visitor.visit("/nowhere").await;
    visitor.status(404).see("Page not found");
    visitor.follow("Go to the home page").await;
    visitor.status(200);
}

async fn only_our_own_pages_can_post(site: &Site) {
    let ann = site.member("annalee").await;
    let own = site.url.clone();
    let cases: [(&[(&'static str, &str)], u16); 8] = [
        (&[("Sec-Fetch-Site", "cross-site")], 403),
        (&[("Sec-Fetch-Site", "same-site")], 403),
        (&[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)], 403),
        (&[("Origin", "https://evil.example")], 403),
        (&[("Origin", "null")], 403),
        (&[], 403),
        (&[("Origin", &own)], 303),
        (&[("Sec-Fetch-Site", "same-origin")], 303),
    ];
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (headers, expected) in cases {
        for path in ["/auth/refresh/", "/user-profile/change-email/cancel/"] {
            let cookie = format!("latchkey={}", ann.cookie("latchkey").unwrap());
            let post = client.post(format!("{}{path}", site.url)).header("Cookie", cookie);
            let post = headers.iter().fold(post, |post, (name, value)| post.header(*name, *value));
            let answer = post.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{path} {headers:?}");
            // The first that passes renews the session; the others then only show that they are let in.
        }
    }
    let scripted = client
        .post(format!("{}/auth/sign-in/user/", site.url))
        .header("Content-Type", FORM)
        .body("username=a&password=b");
    assert_eq!(
        scripted.send().await.unwrap().status().as_u16(),
        422,
        "a script without cookies is nobody's browser"
    );
}

async fn only_our_own_hosts_are_answered(site: &Site) {
    let port = site.url.rsplit(':').next().unwrap();
    for (host, expected) in [
        (format!("localhost:{port}"), "200"),
        ("127.0.0.1".to_owned(), "200"),
        ("evil.example".to_owned(), "400"),
        (format!("localhost:{port}@evil.example"), "400"),
        ("localhost.evil.example".to_owned(), "400"),
    ] {
        let first = first_line_of_answer(
            site,
            &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
        .await;
        assert!(first.contains(expected), "{host}: {first}");
    }
    let first = first_line_of_answer(
        site,
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(first.contains("400"), "{first}");
    let first =
        first_line_of_answer(site, "GET /healthz HTTP/1.1\r\nHost: 10.0.0.9\r\nConnection: close\r\n\r\n")
            .await;
    assert!(first.contains("200"), "{first}");
}

async fn a_cookie_of_ours_that_comes_twice_or_in_disguise_was_planted(site: &Site) {
    let ann = site.member("annalee").await;
    let session = format!("latchkey={}", ann.cookie("latchkey").unwrap());
    let get = async |cookies: String| {
        let request = site.visitor().request(Method::GET, "/user-profile/").header("Cookie", cookies);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get(session.clone()).await, 200);
    assert_eq!(get(format!("{session}; theme=dark; theme=light")).await, 200, "others may");
    assert_eq!(get(format!("{session}; latchkey=x")).await, 303, "one of the two was planted");
    // What is planted of other cookies keeps nobody out.
    for planted in [
        "latchkey-flow=x; latchkey-flow=y",
        "latchkey-notice=x; latchkey-notice=y",
        "latchkey%2Dflow=x",
        "latchke%79=x",
        "%6catchkey-notice=x",
    ] {
        assert_eq!(get(format!("{session}; {planted}")).await, 200, "{planted}");
        assert_eq!(get(planted.to_owned()).await, 303, "{planted}");
    }
    let disguised = session.replace("latchkey=", "latchke%79=");
    assert_eq!(get(disguised).await, 303, "what is only read as ours by some is nobody's");
}

async fn strange_forms_are_refused(site: &Site) {
    let visitor = site.visitor();
    let post = async |kind: &str, body: Vec<u8>| {
        let request = visitor.request(Method::POST, "/auth/sign-in/user/").header("Content-Type", kind);
        request.body(body).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(post(FORM, b"username=a%00b&password=x".to_vec()).await, 400);
    assert_eq!(post(FORM, b"username=%ff&password=x".to_vec()).await, 400);
    assert_eq!(post(FORM, b"username=a&username=b&password=x".to_vec()).await, 400);
    assert_eq!(post("application/json", b"{}".to_vec()).await, 400);
    assert_eq!(post(FORM, b"".to_vec()).await, 422);
    assert_eq!(post(FORM, vec![b'a'; 64 * 1024]).await, 413);
    let long = format!("username=annalee&password={}", "x".repeat(10_000));
    assert_eq!(post(FORM, long.into_bytes()).await, 422, "a long password is only wrong");
}

async fn files_are_served_with_their_hash_for_ever(site: &Site) {
    let mut visitor = site.visitor();
    let page = visitor.visit("/").await.body.clone();
    let start = page.find("/static/site.").unwrap();
    let path = page[start..].split('"').next().unwrap().to_owned();
    let plain = visitor.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(plain.headers()["cache-control"], "public, max-age=31536000, immutable");
    let etag = plain.headers()["etag"].clone();
    let text = plain.text().await.unwrap();
    let again = visitor.request(Method::GET, &path).header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(again.status().as_u16(), 304);
    let packed = visitor.request(Method::GET, &path).header("Accept-Encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let mut unpacked = String::new();
    let packed = packed.bytes().await.unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked, text);
}

async fn health_is_told(site: &Site) {
    let mut visitor = site.visitor();
    assert_eq!(visitor.visit("/healthz").await.body, "ok\n");
    assert_eq!(visitor.visit("/readyz").await.body, "ok\n");
    site.app.begin_shutdown();
    visitor.visit("/readyz").await;
    visitor.status(503);
}

async fn too_many_requests_from_one_address_are_told_to_wait(site: &Site) {
    let busy = site.visitor();
    let mut refused = None;
    for _ in 0..1000 {
        let answer = busy.request(Method::GET, "/").send().await.unwrap();
        if answer.status().as_u16() == 429 {
            refused = Some(answer);
            break;
        }
    }
    assert!(refused.expect("a limit").headers().contains_key("retry-after"));
    assert_eq!(status(&site.visitor(), Method::GET, "/").await, 200, "others are free");
}

async fn hashing_gives_way_to_whoever_is_let_in_and_to_nobody_else(site: &Site) {
    let visitor = site.visitor();
    let given_way_to = || site.app.hasher.given_way_to();
    let before = given_way_to();
    assert_eq!(status(&visitor, Method::GET, "/auth/sign-in/user/").await, 200);
    assert_eq!(given_way_to(), before + 1);
    let elsewhere = visitor.request(Method::GET, "/").header("Host", "evil.example");
    assert_ne!(elsewhere.send().await.unwrap().status(), 200);
    assert_eq!(status(&visitor, Method::GET, "/healthz").await, 200);
    assert_eq!(given_way_to(), before + 1);
    for _ in 0..1000 {
        let before = given_way_to();
        if status(&visitor, Method::GET, "/").await == 429 {
            return assert_eq!(given_way_to(), before);
        }
    }
    panic!("there is no limit");
}

async fn an_address_cannot_make_a_page_say_anything(site: &Site) {
    let mut visitor = site.visitor();
    for said in ["%3Cb%3EYou+won%3C/b%3E", "signed-out", "password-reset"] {
        visitor.visit(&format!("/auth/sign-in/user/?said={said}&next=%22%3E%3Cscript%3E")).await;
        visitor.status(200);
        let body = &visitor.page().body;
        assert!(!body.contains("You won") && !body.contains("<script") && !body.contains("role=\"status\""));
    }
}

async fn what_was_done_is_said_once_and_only_to_the_browser_that_did_it(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").press("Save").await;
    ann.see("Your changes have been saved.");
    ann.visit("/user-profile/").await;
    assert!(!ann.page().sees("Your changes have been saved."), "once");
    let mut other = site.visitor();
    other.set_cookie("latchkey-notice", "made-up");
    other.visit("/auth/sign-in/user/").await;
    other.status(200);
    assert!(!other.page().body.contains("role=\"status\""), "made up");
    let saved = ann.posting("/user-profile/update/", &[("username", "annalee")]).send().await.unwrap();
    let cookies = saved.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("latchkey-notice=")).unwrap();
    assert!(cookie.contains("Max-Age=60"), "{cookie}");
    let value = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    ann.set_cookie("latchkey-notice", &value);
    ann.visit("/user-profile/update/").await;
    assert!(!ann.page().body.contains("role=\"status\""), "not on a page that does not show it");
    site.wait(minutes(2)).await;
    ann.set_cookie("latchkey-notice", &value);
    ann.visit("/user-profile/").await;
    assert!(!ann.page().body.contains("role=\"status\""), "not after its minute");
}

#[test]
fn a_form_that_never_ends_is_answered_all_the_same() {
    crate::harness::run(World::Embedded, async |site: &Site| {
        let head = "POST /auth/sign-in/user/ HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 30\r\n\r\nusername=a";
        let answer = tokio::time::timeout(minutes(1), first_line_of_answer(site, head)).await;
        assert!(answer.as_ref().is_ok_and(|first| first.contains(" 408 ")), "{answer:?}");
    });
}

#[test]
fn behind_tls_cookies_and_headers_are_for_tls_alone() {
    run_alone(async || {
        let site = Site::start_at("https://accounts.example.org").await;
        let visitor = site.visitor();
        let post = visitor
            .request(Method::POST, "/auth/sign-up/user/")
            .header("Host", "accounts.example.org")
            .header("Content-Type", FORM);
        let body = [
            ("username", "annalee"),
            ("email", "ann@example.org"),
            ("password", PASSWORD),
            ("confirm_password", PASSWORD),
        ];
        let answer = post.body(serde_urlencoded::to_string(body).unwrap()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.starts_with("__Host-latchkey-flow="), "{cookie}");
        assert!(
            cookie.contains("; Secure") && cookie.contains("; HttpOnly") && !cookie.contains("Domain"),
            "{cookie}"
        );
        assert!(answer.headers()["strict-transport-security"].to_str().unwrap().starts_with("max-age="));
        let mail = site.mail_to("ann@example.org").await;
        assert!(mail.text.contains("https://accounts.example.org/auth/verify-otp/"), "{}", mail.text);
        let local = visitor.request(Method::GET, "/").header("Host", "localhost").send().await.unwrap();
        assert_eq!(local.status().as_u16(), 400);
        site.stop().await;
    });
}

#[test]
fn the_mailbox_of_developers_is_nowhere_without_debug() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        assert_eq!(status(&site.visitor(), Method::GET, "/dev/mail/").await, 404);
        site.stop().await;
        let site = Site::start(HashMap::from([("DEBUG", "on".to_owned())])).await;
        let mut ann = site.visitor();
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let code = site.code_to("ann@example.org").await;
        ann.visit("/dev/mail/").await;
        ann.follow(&format!("{code} is your Latchkey code")).await;
        ann.see("To: ann@example.org").see("Enter this code");
        let html = ann.request(Method::GET, "/dev/mail/1/html/").send().await.unwrap();
        assert_eq!(
            html.headers()["content-security-policy"],
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        );
        site.stop().await;
    });
}
