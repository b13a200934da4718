//! Who opens an application, as its proxy asks.

use std::collections::HashMap;

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use latchkey::identity::Role;
use reqwest::Method;

use crate::harness::{
    AtApplication, Enrolled, OTHER_PASSWORD, PASSWORD, Site, Visitor, WRITE_LOCK, minutes, run_alone,
    seconds, stories,
};

const WIKI: &str = "wiki.example.org";
const OPS: &str = "ops.example.org";

stories! {
    whoever_is_signed_in_is_let_in_and_nobody_else,
    a_ticket_is_for_one_application_one_browser_and_one_minute,
    of_two_hundred_uses_of_a_ticket_at_once_one_counts,
    what_ends_a_session_counts_at_the_application_s_next_request,
    an_application_can_ask_for_a_password_of_late,
    whoever_has_waited_for_the_end_of_the_second_step_needs_none_for_an_application,
    signing_out_goes_on_to_an_application_and_nowhere_else,
    somebody_sees_and_ends_what_they_are_signed_in_to,
    an_application_that_trusts_no_headers_asks_with_its_secret,
}

async fn whoever_is_signed_in_is_let_in_and_nobody_else(site: &Site) {
    let mut wiki = AtApplication::new(site, WIKI);
    let asked = wiki.visit("/page?a=b&c=%2F").await;
    assert_eq!(asked.status, 302);
    let enter =
        format!("{}/auth/enter/?to=https%3A//wiki.example.org/page%3Fa%3Db%26c%3D%252F&state=", site.url);
    assert!(asked.location().starts_with(&enter), "{asked:?}");
    // The cookie that names the browser is given once.
    let nonce = wiki.cookie.clone();
    assert!(nonce.starts_with("__Host-latchkey-app="));
    let again = wiki.visit("/page?a=b&c=%2F").await;
    assert_eq!((again.location(), wiki.cookie.as_str()), (asked.location(), nonce.as_str()));

    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Éva Łuć").press("Save").await;
    let said = wiki.open(&mut ann, "/page?a=b&c=%2F").await;
    assert_eq!((said.status, said.body.as_str()), (200, ""));
    assert!(wiki.cookie != nonce, "the application's cookie is a new one");
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    for (name, value) in [
        ("remote-user", "annalee"),
        ("remote-id", id.as_str()),
        ("remote-email", "annalee@example.org"),
        ("remote-name", "Éva Łuć"),
        ("remote-groups", "user"),
    ] {
        assert_eq!(said.header(name), value);
    }
    // Every method and every kind of request.
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let request = wiki.asking(method, "/x").header("Accept", "image/png");
        assert_eq!(wiki.send(request).await.status, 200, "{method}");
    }
    // The cookie of one application opens no other.
    let mut ops = AtApplication { host: OPS, ..wiki.clone() };
    assert_eq!(ops.fetch("/").await.status, 401);
}

#[test]
fn each_proxy_is_answered_as_it_understands() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut wiki = AtApplication::new(&site, WIKI);
        // Parts of a page are refused and never led anywhere, with nothing to keep.
        for (name, value) in [
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Sec-Fetch-Mode", "websocket"),
            ("Accept", "image/avif,*/*"),
            ("X-Requested-With", "XMLHttpRequest"),
        ] {
            let request = wiki.asking("GET", "/").header(name, value);
            let request =
                if name == "X-Requested-With" { request.header("Accept", "text/html") } else { request };
            let said = wiki.send(request).await;
            assert_eq!(said.status, 401, "{value}");
            for header in ["location", "www-authenticate", "set-cookie"] {
                assert!(!said.headers.contains_key(header), "{value}: {header}");
            }
        }
        // A browser that says nothing of itself wants a page when it accepts one.
        let request = wiki.asking("HEAD", "/").header("Accept", "text/html,*/*");
        assert_eq!(wiki.send(request).await.status, 302);
        // A form is not sent twice: its person begins at the start page.
        let request = wiki.asking("POST", "/save?x=y").header("Sec-Fetch-Mode", "navigate");
        let said = wiki.send(request).await;
        assert_eq!(said.status, 303);
        assert!(said.location().contains("to=https%3A//wiki.example.org/&state="), "{said:?}");

        let visitor = site.visitor();
        let nginx = async |method: &str, url: &str| {
            let asked =
                visitor.request(Method::GET, "/forward-auth/nginx").header("X-Original-Method", method);
            let asked = asked.header("X-Original-URL", url).header("Sec-Fetch-Mode", "navigate");
            asked.send().await.unwrap()
        };
        let said = nginx("GET", "https://wiki.example.org/a?b=c").await;
        assert_eq!(said.status(), 401);
        assert!(
            said.headers()["location"]
                .to_str()
                .unwrap()
                .contains("/auth/enter/?to=https%3A//wiki.example.org/a")
        );
        assert!(said.headers().contains_key("set-cookie"));
        let said = nginx("POST", "https://wiki.example.org/a?b=c").await;
        assert_eq!((said.status().as_u16(), said.headers().get("location")), (401, None));
        // A path in any bytes decides nothing; a host does.
        for (bytes, status) in
            [(&b"https://wiki.example.org/Caf\xe9"[..], 401), (b"https://wiki.example.org\xe9/", 403)]
        {
            let url = reqwest::header::HeaderValue::from_bytes(bytes).unwrap();
            let asked = visitor.request(Method::GET, "/forward-auth/nginx").header("X-Original-URL", url);
            let asked = asked.header("X-Original-Method", "GET").header("Sec-Fetch-Mode", "navigate");
            assert_eq!(asked.send().await.unwrap().status(), status);
        }
        for bad in [
            "http://wiki.example.org/",
            "wiki.example.org/",
            "https://wiki.example.org",
            "https://evil.example/",
        ] {
            assert_eq!(nginx("GET", bad).await.status(), 403, "{bad}");
        }

        // Envoy sends the request itself, with any method and the application's Host.
        for (method, status) in
            [(Method::GET, 302), (Method::HEAD, 302), (Method::POST, 303), (Method::PUT, 303)]
        {
            let asked = visitor.request(method, "/forward-auth/envoy/a/b?c=d").header("Host", WIKI);
            let asked = asked.header("X-Forwarded-Proto", "https").header("Accept", "text/html");
            let said = asked.header("Sec-Fetch-Site", "cross-site").send().await.unwrap();
            assert_eq!(said.status(), status);
            let to = if status == 302 { "a/b%3Fc%3Dd&state" } else { "&state" };
            let location = said.headers()["location"].to_str().unwrap();
            assert!(location.contains(&format!("?to=https%3A//wiki.example.org/{to}")), "{location}");
        }
        site.stop().await;
    });
}

#[test]
fn what_a_proxy_does_not_say_exactly_once_is_refused() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        let mut wiki = AtApplication::new(&site, WIKI);
        assert_eq!(wiki.open(&mut ann, "/").await.status, 200);
        let all = [
            ("X-Forwarded-Method", "GET"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", WIKI),
            ("X-Forwarded-Uri", "/"),
            ("Cookie", wiki.cookie.as_str()),
        ];
        let ask = async |headers: &[(&str, &str)]| {
            let mut request = site.visitor().request(Method::GET, "/forward-auth");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(ask(&all).await, 200);
        for missing in &all[..4] {
            let others: Vec<_> = all.iter().copied().filter(|header| header != missing).collect();
            assert_eq!(ask(&others).await, 403, "without {missing:?}");
            let twice: Vec<_> = all.iter().copied().chain([*missing]).collect();
            assert_eq!(ask(&twice).await, 403, "{missing:?} twice");
        }
        let with = |name: &str, value: &'static str| {
            let others = all.iter().copied().filter(move |header| header.0 != name);
            others.chain([(all.iter().find(|header| header.0 == name).unwrap().0, value)]).collect::<Vec<_>>()
        };
        for host in [
            "evil.example",
            "evilwiki.example.org",
            "wiki.example.org.evil.example",
            "wiki.example.org:80",
            "wiki.example.org, evil.example",
            "WIKI.example.org",
            "",
        ] {
            assert_eq!(ask(&with("X-Forwarded-Host", host)).await, 403, "{host}");
        }
        assert_eq!(ask(&with("X-Forwarded-Host", "wiki.example.org:443")).await, 200);
        for (name, value) in [
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Proto", "https, http"),
            ("X-Forwarded-Uri", "https://wiki.example.org/"),
            ("X-Forwarded-Uri", "*"),
        ] {
            assert_eq!(ask(&with(name, value)).await, 403, "{value}");
        }
        // A path in any bytes decides nothing.
        for path in ["/Caf\u{e9}", "/a\\b", &"/x".repeat(3000)] {
            let mut other = wiki.clone();
            assert_eq!(other.fetch(path).await.status, 200, "{path}");
        }
        // What is not said in these four says nothing.
        for ignored in [
            ("X_Forwarded_Host", "evil.example"),
            ("X-Forwarded-Port", "80"),
            ("X-Forwarded-Prefix", "/evil"),
            ("Forwarded", "host=evil.example;proto=http"),
            ("X-Original-URL", "https://evil.example/"),
            ("If-None-Match", "*"),
            ("Range", "bytes=0-1"),
            ("Upgrade", "websocket"),
            ("Remote-User", "admin"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Origin", "https://evil.example"),
        ] {
            let more: Vec<_> = all.iter().copied().chain([ignored]).collect();
            assert_eq!(ask(&more).await, 200, "{ignored:?}");
        }
        // Applications read these as ours.
        for name in [
            "Remote_User",
            "remote.user",
            "Remote-User_",
            "REMOTE_GROUPS",
            "Remote.Id",
            "remote_email",
            "Remote_Name",
        ] {
            let more: Vec<_> = all.iter().copied().chain([(name, "admin")]).collect();
            let is_ours = !name.ends_with('_');
            assert_eq!(ask(&more).await, if is_ours { 403 } else { 200 }, "{name}");
        }
        // Of a cookie that comes twice, one was planted.
        let planted = format!("a=b; {}; {}", wiki.cookie, wiki.cookie);
        let mut twice = AtApplication { cookie: planted, ..wiki.clone() };
        assert_eq!(twice.fetch("/").await.status, 401);
        for (line, status) in [
            (format!("a=b;{};c=\"d", wiki.cookie), 200),
            (wiki.cookie.replace("__Host", "__host"), 401),
            (wiki.cookie.replace("__Host", "%5F_Host"), 401),
            (format!("x{}", wiki.cookie), 401),
            (format!("\u{a0}{}", wiki.cookie), 401),
        ] {
            let mut other = AtApplication { cookie: line.clone(), ..wiki.clone() };
            assert_eq!(other.fetch("/").await.status, status, "{line}");
        }
        site.stop().await;
    });
}

#[test]
fn only_a_trusted_proxy_is_answered() {
    run_alone(async || {
        let elsewhere = HashMap::from([("TRUSTED_PROXIES", "192.0.2.1".to_owned())]);
        let site = Site::start(elsewhere).await;
        let mut wiki = AtApplication::new(&site, WIKI);
        let said = wiki.visit("/").await;
        assert_eq!((said.status, said.location()), (403, ""));
        for path in ["/forward-auth/nginx", "/forward-auth/envoy/"] {
            assert_eq!(site.visitor().request(Method::GET, path).send().await.unwrap().status(), 403);
        }
        site.stop().await;
        // No setting, no address.
        let site = Site::start(HashMap::from([("APPS", String::new())])).await;
        for path in
            ["/forward-auth", "/forward-auth/nginx", "/forward-auth/envoy/", "/forward-auth/introspect"]
        {
            let request = site.visitor().request(Method::POST, path);
            assert_eq!(request.send().await.unwrap().status(), 404, "{path}");
        }
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/applications/").await;
        ann.see("Your account can't open any applications yet.");
        site.stop().await;
    });
}

async fn a_ticket_is_for_one_application_one_browser_and_one_minute(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut wiki = AtApplication::new(site, WIKI);
    let asked = wiki.visit("/page").await;
    let with_ticket = wiki.ticket(&mut ann, &asked).await;
    assert_eq!(ann.page().headers["referrer-policy"], "no-referrer");

    // In a browser that asked for none, or kept no cookie.
    let mut thief = AtApplication::new(site, WIKI);
    let said = thief.visit(&with_ticket).await;
    assert_eq!((said.status, said.location()), (403, ""));
    assert!(said.body.contains("We couldn&#39;t sign you in to Team wiki"), "{}", said.body);
    assert!(said.body.contains("href=\"https://wiki.example.org/page\""), "{}", said.body);
    thief.visit("/").await;
    assert_eq!(thief.visit(&with_ticket).await.status, 403);
    // At another application.
    let mut ops = AtApplication { host: OPS, ..wiki.clone() };
    let said = ops.visit(&with_ticket).await;
    assert_eq!(said.status, 403);
    assert!(said.body.contains("This link is for another application"), "{}", said.body);
    // Nothing but a navigation that reads uses it up.
    let posted = wiki.asking("POST", &with_ticket).header("Sec-Fetch-Mode", "navigate");
    assert_eq!(wiki.send(posted).await.status, 303);

    let asking = wiki.clone();
    assert_eq!(wiki.visit(&with_ticket).await.location(), "https://wiki.example.org/page");
    assert!(wiki.is_in().await);
    // By the Back button: in already.
    let said = wiki.visit(&with_ticket).await;
    assert_eq!((said.status, said.location()), (302, "https://wiki.example.org/page"));
    assert!(!said.headers.contains_key("set-cookie"));
    // A second time, with the cookie that asked for it.
    let said = asking.clone().visit(&with_ticket).await;
    assert_eq!(said.status, 403);
    assert!(said.body.contains("This link no longer works"), "{}", said.body);

    let mut late = AtApplication::new(site, WIKI);
    let asked = late.visit("/").await;
    let with_ticket = late.ticket(&mut ann, &asked).await;
    site.wait(seconds(61)).await;
    let said = late.visit(&with_ticket).await;
    assert_eq!(said.status, 403);
    assert!(said.body.contains("That took too long"), "{}", said.body);
    for nonsense in ["/?latchkey_ticket=", "/?latchkey_ticket=x", "/?latchkey_ticket"] {
        assert_eq!(late.visit(nonsense).await.status, 403, "{nonsense}");
    }
    // No event and no page holds a ticket.
    let ticket = with_ticket.split('=').next_back().unwrap().to_owned();
    let kept = site.texts("SELECT detail AS text FROM events").await;
    assert!(!kept.iter().any(|text| text.contains(&ticket)));
}

async fn of_two_hundred_uses_of_a_ticket_at_once_one_counts(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut wiki = AtApplication::new(site, WIKI);
    let asked = wiki.visit("/").await;
    let with_ticket = wiki.ticket(&mut ann, &asked).await;
    let uses = (0..200).map(|_| {
        let mut browser = wiki.clone();
        let with_ticket = with_ticket.clone();
        async move { browser.visit(&with_ticket).await }
    });
    let said = futures_util::future::join_all(uses).await;
    let entered = said.iter().filter(|said| said.headers.contains_key("set-cookie")).count();
    // A busy database may refuse some for now.
    let others = said.iter().filter(|said| matches!(said.status, 403 | 503)).count();
    assert_eq!((entered, others), (1, 199));
    assert_eq!(site.count("SELECT COUNT(*) FROM app_sessions WHERE entered_at IS NOT NULL").await, 1);
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'application-opened'").await, 1);
}

async fn what_ends_a_session_counts_at_the_application_s_next_request(site: &Site) {
    site.appoint(Role::Superuser, "keeper").await;
    let mut keeper = site.visitor();
    keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
    let mut ann = site.member("annalee").await;
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    let act = async |keeper: &mut Visitor, act: &str, fields: &[(&str, &str)]| {
        keeper.post(&format!("/admin/users/{id}/{act}/"), fields).await;
        keeper.status(200);
    };
    let mut wiki = AtApplication::new(site, WIKI);
    let open = async |wiki: &mut AtApplication, ann: &mut Visitor| {
        assert_eq!(wiki.open(ann, "/").await.status, 200);
        assert!(wiki.is_in().await);
    };
    // Signing out, and signing out from elsewhere.
    open(&mut wiki, &mut ann).await;
    ann.visit("/user-profile/").await;
    ann.press("Sign out").await;
    assert_eq!(wiki.fetch("/").await.status, 401);
    assert_eq!(wiki.visit("/").await.status, 302);
    ann.sign_in("annalee", PASSWORD).await;
    open(&mut wiki, &mut ann).await;
    let mut phone = site.visitor();
    phone.sign_in("annalee", PASSWORD).await;
    phone.post("/user-profile/sessions/end-others/", &[]).await;
    assert!(!wiki.is_in().await);
    // A new password, also for the browser that chose it: its cookies before were perhaps copied.
    open(&mut wiki, &mut phone).await;
    let asked = AtApplication::new(site, WIKI).visit("/").await;
    let mut fresh = AtApplication::new(site, WIKI);
    let pending = fresh.visit("/").await;
    let with_ticket = fresh.ticket(&mut phone, &pending).await;
    assert_eq!(asked.status, 302);
    phone.change_password(PASSWORD, OTHER_PASSWORD).await;
    assert!(!wiki.is_in().await);
    assert_eq!(fresh.visit(&with_ticket).await.status, 403, "a ticket of before");
    open(&mut wiki, &mut phone).await;
    // Another role.
    act(&mut keeper, "role", &[("role", "staff"), ("reason", "helps out")]).await;
    assert!(!wiki.is_in().await);
    act(&mut keeper, "role", &[("role", "user"), ("reason", "done")]).await;
    phone.sign_in("annalee", OTHER_PASSWORD).await;
    open(&mut wiki, &mut phone).await;
    // Blocked, about to leave, gone.
    act(&mut keeper, "block", &[("reason", "spam")]).await;
    assert!(!wiki.is_in().await);
    act(&mut keeper, "unblock", &[]).await;
    phone.sign_in("annalee", OTHER_PASSWORD).await;
    open(&mut wiki, &mut phone).await;
    phone
        .post("/user-profile/delete/", &[("username", "annalee"), ("current_password", OTHER_PASSWORD)])
        .await;
    assert!(!wiki.is_in().await);
    phone.sign_in("annalee", OTHER_PASSWORD).await;
    let asked = wiki.visit("/").await;
    phone.visit(asked.location()).await;
    assert_eq!(phone.path(), "/user-profile/delete/", "whoever leaves gets no ticket");
    phone.press("Keep my account").await;
    open(&mut wiki, &mut phone).await;
    keeper.visit("/user-profile/").await;
    keeper.press("Sign out").await;
    // Time: a request keeps the session alive, and nothing else does.
    site.wait(minutes(50)).await;
    assert!(wiki.is_in().await);
    site.until_seen().await;
    site.wait(minutes(50)).await;
    assert!(wiki.is_in().await, "the requests before lengthened it");
    site.until_seen().await;
    site.wait(minutes(61)).await;
    assert!(!wiki.is_in().await);
}

async fn an_application_can_ask_for_a_password_of_late(site: &Site) {
    site.appoint(Role::Staff, "helper").await;
    let mut helper = site.visitor();
    helper.sign_in_at("/auth/sign-in/staff/", "helper", OTHER_PASSWORD).await;
    let mut ops = AtApplication::new(site, OPS);
    let said = ops.open(&mut helper, "/").await;
    assert_eq!((said.status, said.header("remote-groups")), (200, "staff"));
    site.wait(minutes(11)).await;
    assert_eq!(ops.fetch("/").await.status, 401);
    let before = ops.cookie.clone();
    let asked = ops.visit("/deep?a=b").await;
    helper.visit(asked.location()).await;
    helper.see("Enter your password again to open ops.example.org.");
    helper.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    let with_ticket = ops.led_on(&helper);
    assert_eq!(ops.visit(&with_ticket).await.location(), "https://ops.example.org/deep?a=b");
    assert!(ops.is_in().await && ops.cookie != before);
    // The one before it is not kept alive beside it.
    let mut old = AtApplication { cookie: before, ..ops.clone() };
    assert!(!old.is_in().await);
    // The other application does not ask for it, and is not for staff.
    let mut wiki = AtApplication::new(site, WIKI);
    let asked = wiki.visit("/").await;
    helper.visit(asked.location()).await;
    helper.status(403).see("You can't open Team wiki");
}

async fn whoever_has_waited_for_the_end_of_the_second_step_needs_none_for_an_application(site: &Site) {
    site.appoint(Role::Staff, "helper").await;
    let mut helper = site.visitor();
    helper.sign_in_at("/auth/sign-in/staff/", "helper", OTHER_PASSWORD).await;
    let mut helper = Enrolled::with(site, "helper", helper).await.visitor;
    let mut ops = AtApplication::new(site, OPS);
    assert_eq!(ops.open(&mut helper, "/").await.status, 200);
    site.wait(minutes(11)).await;
    site.sql("UPDATE users SET two_factor_ends_at = created_at WHERE username = 'helper'").await;
    let asked = ops.visit("/").await;
    helper.visit(asked.location()).await;
    helper.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    let with_ticket = ops.led_on(&helper);
    ops.visit(&with_ticket).await;
    assert!(ops.is_in().await);
}

/// Where the page of farewell leads.
fn leads_to(visitor: &Visitor) -> String {
    let page = scraper::Html::parse_document(&visitor.page().body);
    let link = scraper::Selector::parse("main a.button").unwrap();
    let link = page.select(&link).next().unwrap_or_else(|| panic!("{}", visitor.page()));
    link.attr("href").unwrap().to_owned()
}

async fn signing_out_goes_on_to_an_application_and_nowhere_else(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut wiki = AtApplication::new(site, WIKI);
    wiki.open(&mut ann, "/").await;
    // A link alone signs nobody out.
    ann.visit("/auth/sign-out/?to=https://wiki.example.org/bye").await;
    ann.status(200).see("Sign out?");
    assert!(wiki.is_in().await);
    ann.press("Sign out now").await;
    ann.see("You're signed out");
    assert_eq!(leads_to(&ann), "https://wiki.example.org/bye");
    assert!(!wiki.is_in().await && !ann.is_signed_in().await);
    // Once more, by somebody who is signed out already.
    ann.visit("/auth/sign-out/?to=https://wiki.example.org/bye").await;
    assert_eq!(leads_to(&ann), "https://wiki.example.org/bye");
    ann.post("/auth/sign-out/", &[("to", "https://wiki.example.org/bye")]).await;
    assert_eq!(leads_to(&ann), "https://wiki.example.org/bye");
    for bad in [
        "https://evil.example/",
        "https://wiki.example.org.evil.example/",
        "https://wiki.example.org@evil.example/",
        "https://evilwiki.example.org/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "https:/\\evil.example",
        "javascript:alert(1)",
    ] {
        ann.sign_in("annalee", PASSWORD).await;
        let query = serde_urlencoded::to_string([("to", bad)]).unwrap();
        let asked = ann.request(Method::GET, &format!("/auth/sign-out/?{query}")).send().await.unwrap();
        assert_eq!(
            (asked.status().as_u16(), &asked.headers()["location"]),
            (303, &"/".parse().unwrap()),
            "{bad}"
        );
        ann.post("/auth/sign-out/", &[("to", bad)]).await;
        assert_eq!(ann.path(), "/auth/sign-in/user/", "{bad}");
        ann.see("You've signed out.");
    }
}

async fn somebody_sees_and_ends_what_they_are_signed_in_to(site: &Site) {
    site.appoint(Role::Staff, "helper").await;
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/applications/").await;
    ann.see("Team wiki").see("Not in the last 30 days");
    assert!(!ann.page().sees("ops.example.org"), "it isn't for her: {}", ann.page());
    let mut wiki = AtApplication::new(site, WIKI);
    wiki.open(&mut ann, "/").await;
    ann.visit("/user-profile/applications/").await;
    ann.see("just now").see("This device");
    let mut helper = site.visitor();
    helper.sign_in_at("/auth/sign-in/staff/", "helper", OTHER_PASSWORD).await;
    helper.visit("/admin/apps/").await;
    helper.see("Team wiki").see("User, Merchant").see("Asks for the password again after 10 minutes");
    helper.follow("Team wiki").await;
    helper.see("annalee").see("Signed in");
    helper.visit("/admin/events/").await;
    helper.see("annalee opened an application").see("wiki.example.org");
    ann.press("Sign out of Team wiki").await;
    ann.see("You've signed out of that application on all your devices.");
    assert!(!wiki.is_in().await && ann.is_signed_in().await);
    helper.visit("/admin/apps/wiki.example.org/").await;
    helper.see("Signed out");
    ann.post("/user-profile/applications/sign-out/", &[("host", "evil.example")]).await;
    ann.see("You were already signed out of that application.");
    ann.visit("/user-profile/activity/").await;
    ann.see("You opened an application").see("You signed out of an application");
}

async fn an_application_that_trusts_no_headers_asks_with_its_secret(site: &Site) {
    let secret_of = |host: &str| {
        latchkey::identity::LinkToken::of_application(&site.app.keys.application, host, 1).expose()
    };
    let mut ann = site.member("annalee").await;
    let mut wiki = AtApplication::new(site, WIKI);
    wiki.open(&mut ann, "/").await;
    let token = wiki.cookie.split_once('=').unwrap().1.to_owned();
    let ask = async |secret: &str, token: &str| {
        let request = reqwest::Client::new().post(format!("{}/forward-auth/introspect", site.url));
        let request = request.header("Authorization", format!("Bearer {secret}"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8");
        let answer =
            request.body(serde_urlencoded::to_string([("token", token)]).unwrap()).send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_slice::<serde_json::Value>(&answer.bytes().await.unwrap()).unwrap_or_default(),
        )
    };
    let given_way_to = || site.app.hasher.given_way_to();
    let before = given_way_to();
    let (status, who) = ask(&secret_of(WIKI), &token).await;
    assert_eq!(given_way_to(), before + 1, "hashing gives way to who is signed in");
    assert_eq!((status, &who["username"], &who["role"]), (200, &"annalee".into(), &"user".into()), "{who}");
    let nobody = serde_json::json!({ "signed_in": false });
    for unknown in ["", "x", &secret_of(WIKI)] {
        assert_eq!(ask(&secret_of(WIKI), unknown).await, (200, nobody.clone()), "{unknown}");
    }
    // Another application's cookie says nothing.
    assert_eq!(ask(&secret_of(OPS), &token).await, (200, nobody.clone()));
    for wrong in ["", "x", &secret_of("evil.example"), &token] {
        assert_eq!(ask(wrong, &token).await.0, 401, "{wrong}");
    }
    assert_eq!(given_way_to(), before + 1, "and to nobody else");
    ann.visit("/user-profile/").await;
    ann.press("Sign out").await;
    assert_eq!(ask(&secret_of(WIKI), &token).await, (200, nobody));
}

#[test]
fn a_remembered_sign_in_outlives_the_window_at_the_application_too() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        site.member("annalee").await;
        let mut phone = site.visitor();
        phone.visit("/auth/sign-in/user/").await;
        phone.fill("Username or email address", "annalee").fill("Password", PASSWORD);
        phone.tick("Stay signed in on this device").press("Sign in").await;
        let mut wiki = AtApplication::new(&site, WIKI);
        let asked = wiki.visit("/").await;
        assert!(asked.header("set-cookie").contains("Max-Age=259200"), "as long as a sign-up: {asked:?}");
        let with_ticket = wiki.ticket(&mut phone, &asked).await;
        let entered = wiki.visit(&with_ticket).await;
        let days = 30 * 86_400;
        let ages = [days, days - 1].map(|age| format!("Max-Age={age}"));
        assert!(ages.iter().any(|age| entered.header("set-cookie").contains(age)), "{entered:?}");
        // It is used at the application alone, for longer than a week.
        for _ in 0..4 {
            site.wait(minutes(60 * 24 * 5)).await;
            assert!(wiki.is_in().await);
            site.until_seen().await;
        }
        site.stop().await;
    });
}

#[test]
fn one_browser_s_requests_are_limited_and_nobody_else_s_with_them() {
    run_alone(async || {
        let limit = HashMap::from([("LIMITS_APPLICATION", "2/hour".to_owned())]);
        let site = Site::start(limit).await;
        let (mut ann, mut bob) = (site.member("annalee").await, site.member("bobbob").await);
        let (mut hers, mut his) = (AtApplication::new(&site, WIKI), AtApplication::new(&site, WIKI));
        hers.open(&mut ann, "/").await;
        assert!(hers.is_in().await);
        let said = hers.fetch("/").await;
        assert_eq!((said.status, said.header("retry-after").is_empty()), (429, false), "{said:?}");
        // nginx would make 500 of it.
        let nginx =
            site.visitor().request(Method::GET, "/forward-auth/nginx").header("X-Original-Method", "GET");
        let nginx =
            nginx.header("X-Original-URL", "https://wiki.example.org/").header("Cookie", &hers.cookie);
        assert_eq!(nginx.send().await.unwrap().status(), 403);
        his.open(&mut bob, "/").await;
        assert!(his.is_in().await);
        site.stop().await;
    });
}

#[test]
fn while_the_database_is_away_nobody_is_let_in_and_nothing_is_forgotten() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        let mut wiki = AtApplication::new(&site, WIKI);
        wiki.open(&mut ann, "/").await;
        site.sql("ALTER TABLE app_sessions RENAME TO away").await;
        for path in ["/", "/?latchkey_ticket=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let said = wiki.visit(path).await;
            assert_eq!((said.status, said.header("retry-after")), (503, "5"), "{said:?}");
            assert!(!said.headers.contains_key("set-cookie"));
        }
        // Who has no cookie is led on: that asks nobody.
        assert_eq!(AtApplication::new(&site, WIKI).visit("/").await.status, 302);
        site.sql("ALTER TABLE away RENAME TO app_sessions").await;
        assert!(wiki.is_in().await);
        site.stop().await;
    });
}

#[test]
fn of_many_requests_at_once_one_writes_that_somebody_was_seen() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        let mut wiki = AtApplication::new(&site, WIKI);
        wiki.open(&mut ann, "/").await;
        site.sql("CREATE TABLE touched (id TEXT)").await;
        site.sql(
            "CREATE TRIGGER t AFTER UPDATE ON app_sessions BEGIN INSERT INTO touched VALUES (new.id); END",
        )
        .await;
        site.wait(minutes(2)).await;
        // Nobody can write until all of them have been answered.
        let file = site.folder.path().join("db.sqlite3");
        let mut conn = diesel::SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        conn.batch_execute(WRITE_LOCK).unwrap();
        let pictures = (0..100).map(|_| {
            let mut browser = wiki.clone();
            async move { browser.fetch("/picture.png").await.status }
        });
        let said = futures_util::future::join_all(pictures).await;
        assert!(said.iter().all(|status| *status == 200));
        conn.batch_execute("ROLLBACK").unwrap();
        site.until_seen().await;
        // Whatever else waited to write comes before this.
        site.sql("UPDATE touched SET id = id").await;
        assert_eq!(site.count("SELECT COUNT(*) FROM touched").await, 1);
        assert!(wiki.is_in().await);
        site.stop().await;
    });
}

#[test]
fn a_session_has_twenty_tickets_at_most_and_a_picture_gets_none() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        let mut wiki = AtApplication::new(&site, WIKI);
        let asked = wiki.visit("/").await;
        for _ in 0..30 {
            ann.visit(asked.location()).await;
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM app_sessions").await, 20);
        let path = asked.location().strip_prefix(&site.url).unwrap();
        for (name, value) in
            [("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Dest", "image")]
        {
            let request = ann.request(Method::GET, path).header(name, value);
            assert_eq!(request.send().await.unwrap().status(), 403, "{value}");
        }
        site.stop().await;
    });
}
