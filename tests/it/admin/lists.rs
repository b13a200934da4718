//! What the admin pages show: everybody, found and listed, and nothing that must stay secret.

use std::collections::{BTreeSet, HashMap};

use latchkey::identity::Role;
use reqwest::Method;

use crate::admin::{act, admin, open, superuser};
use crate::harness::pictures;
use crate::harness::{
    MailServer, OTHER_PASSWORD, PASSWORD, Program, Site, Visitor, World, fill, free_port, hours, minutes,
    run_alone, seconds, stories,
};

stories! {
    staff_see_everything_and_change_nothing,
    people_are_found_by_the_beginning_of_anything_else_by_any_part,
    codes_links_and_mails_can_be_stopped_and_are_never_shown,
    what_outsiders_write_is_shown_and_never_run,
    the_overview_counts_and_leads_to_each_list,
}

async fn staff_see_everything_and_change_nothing(site: &Site) {
    site.member("annalee").await;
    let mut staff = admin(site, Role::Staff, "stafford").await;
    let person = open(&mut staff, "annalee").await;
    let pages = [
        "/admin/",
        "/admin/users/",
        &person,
        "/admin/otp-verifications/",
        "/admin/password-resets/",
        "/admin/mails/",
        "/admin/events/",
    ];
    for page in pages {
        staff.visit(page).await;
        staff.status(200);
        let forms = staff.page().body.matches("method=\"post\"").count();
        assert_eq!(forms, 1, "{page}: only the one to sign out");
    }
    for what in [
        "block",
        "unblock",
        "edit",
        "role",
        "verify",
        "send-code",
        "send-reset",
        "end-sessions",
        "remove-picture",
        "delete",
    ] {
        assert_eq!(
            act(&mut staff, &person, what, &[("reason", "x"), ("role", "staff")]).await,
            403,
            "{what}"
        );
    }
    assert_eq!(act(&mut staff, "/admin/users/", "new", &[]).await, 403);
    assert_eq!(
        act(
            &mut staff,
            "/admin/users/",
            "bulk",
            &[("act", "delete"), ("everybody", "on"), ("confirmed", "2")]
        )
        .await,
        403
    );
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 2);
}

async fn people_are_found_by_the_beginning_of_anything_else_by_any_part(site: &Site) {
    let mut chief = superuser(site).await;
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Éva 100% Lee").press("Save").await;
    site.member("bobbob").await;
    for (search, found) in [
        ("ANNA", vec!["annalee"]),
        ("bobbob@ex", vec!["bobbob"]),
        ("éva 100", vec!["annalee"]),
        ("100%", vec!["annalee"]),
        ("0%_", vec![]),
        ("nale", vec!["annalee"]),
        ("example.org", vec!["annalee", "bobbob", "chief"]),
        ("b", vec!["bobbob"]),
        ("zzz", vec![]),
    ] {
        chief.visit("/admin/users/").await;
        chief.fill("Search", search).press("Apply filters").await;
        chief.status(200);
        for name in ["annalee", "bobbob", "chief"] {
            let is_listed = chief.page().body.contains(&format!("Select {name}"));
            assert_eq!(is_listed, found.contains(&name), "{search}: {name}");
        }
        chief.see(&match found.len() {
            1 => "1 account".to_owned(),
            count => format!("{count} accounts"),
        });
    }
    chief.visit("/admin/users/?q=%00").await;
    chief.status(400);
    chief.visit("/admin/users/?joined_from=yesterday").await;
    chief.status(422).see("Enter a date like 2026-11-24.");
    for nonsense in ["role=king", "status=x", "sort=password_hash", "after=x"] {
        chief.visit(&format!("/admin/users/?{nonsense}")).await;
        chief.status(400);
    }
}

async fn codes_links_and_mails_can_be_stopped_and_are_never_shown(site: &Site) {
    let mut chief = superuser(site).await;
    let mut ann = site.member("annalee").await;
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    let mut late = site.visitor();
    late.sign_up("lateral", "late@example.org", PASSWORD).await;
    let code = site.code_to("late@example.org").await;
    let token = link.split('/').nth(4).unwrap().to_owned();
    let flow = late.path().split('/').nth(4).unwrap().to_owned();
    for page in
        ["/admin/otp-verifications/", "/admin/password-resets/", "/admin/mails/", "/admin/events/", "/admin/"]
    {
        chief.visit(page).await;
        chief.status(200);
        for secret in [&token, &code, &flow] {
            assert!(!chief.page().body.contains(secret), "{secret} on {page}");
        }
    }
    chief.visit("/admin/password-resets/").await;
    chief.see("annalee").see("Not used yet");
    chief.press("Cancel").await;
    chief.see("Link cancelled. It no longer works.");
    ann.visit(&link).await;
    ann.status(410);
    chief.visit("/admin/otp-verifications/").await;
    chief.see("lateral");
    chief.press("Cancel").await;
    chief.see("Code cancelled. It no longer works.");
    late.fill("Code", &code).press("Confirm").await;
    late.status(422).see("This code has expired. Request a new one.");

    site.mail.be(crate::harness::Mood::Away);
    site.wait(minutes(2)).await;
    let person = open(&mut chief, "annalee").await;
    assert_eq!(act(&mut chief, &person, "send-reset", &[]).await, 200);
    chief.visit("/admin/mails/?state=waiting").await;
    chief.follow("Password link").await;
    chief.see("Hello annalee").see("••••••");
    chief.press("Cancel this email").await;
    chief.see("Email cancelled.").see("Cancelled");
    assert!(!chief.page().body.contains("Try again now"), "its secret is gone");
    site.mail.be(crate::harness::Mood::Never("annalee@example.org"));
    assert_eq!(act(&mut chief, &person, "block", &[("reason", "x")]).await, 200);
    let failed = "SELECT COUNT(*) FROM outbox WHERE state = 'failed'";
    for _ in 0..500 {
        if site.count(failed).await > 0 {
            break;
        }
        site.app.clock.advance(seconds(5));
        site.app.wakeup.wake();
        tokio::time::sleep(seconds(1) / 50).await;
    }
    chief.visit("/admin/mails/?state=failed").await;
    chief.see("550 never");
    chief.follow("Account blocked").await;
    site.mail.be(crate::harness::Mood::Good);
    chief.press("Try again now").await;
    chief.see("We'll try again within 30 seconds.");
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your account has been blocked");
    chief.visit("/admin/events/?kind=mail-retried").await;
    chief.see("chief requeued an email to annalee Account blocked Failed Waiting");
}

async fn what_outsiders_write_is_shown_and_never_run(site: &Site) {
    let mut chief = superuser(site).await;
    let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{7777*7777}}";
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "=HYPERLINK(\"http://x\",<b>)").fill("About you", evil).press("Save").await;
    ann.status(200);
    let fields = [("username", "annalee"), ("password", PASSWORD)];
    let request = ann.other_browser().posting("/auth/sign-in/user/", &fields);
    let request = request.header("User-Agent", evil).header("X-Forwarded-For", "10.9.9.9");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 303);
    ann.visit("/user-profile/change-picture/").await;
    ann.choose_file("Picture", "<script>x</script>.png", "image/png", &pictures::png(300, 300))
        .press("Save")
        .await;
    let csv =
        chief.request(Method::GET, "/admin/users.csv?q=anna").send().await.unwrap().text().await.unwrap();
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://x\"\",<b>)\""), "{csv}");
    let person = open(&mut chief, "annalee").await;
    // Among the browsers that she is signed in with.
    chief.visit(&format!("{person}?tab=sessions")).await;
    chief.see("Unknown browser 10.9.9.9");
    assert!(!chief.page().body.contains("<script>alert"));
    assert_eq!(
        act(
            &mut chief,
            &person,
            "edit",
            &[("username", "annalee"), ("full_name", "+1<i>x"), ("about", evil)]
        )
        .await,
        200
    );
    assert_eq!(act(&mut chief, &person, "block", &[("reason", "<a href='http://x'>x</a>")]).await, 200);
    for page in [
        person.as_str(),
        "/admin/",
        "/admin/users/",
        "/admin/users/?q=%3Cscript%3E\"onx=",
        "/admin/events/",
        "/admin/events/?person=%3Cscript%3E",
        "/admin/mails/",
    ] {
        chief.visit(page).await;
        chief.status(200);
        let body = &chief.page().body;
        for tag in ["<script", "<img src=x", "<b>", "<i>x", "<a href='http", "onx=", "60481729"] {
            let inert = body.replace("&#34;onx=", "").replace("%22onx%3D", "");
            assert!(!inert.contains(tag), "{tag} on {page}");
        }
    }
    chief.visit(&person).await;
    chief.see("<script>alert(1)</script>").see("<a href='http://x'>x</a>").see("{{7777*7777}}");
    let csv = chief.request(Method::GET, "/admin/users.csv?q=anna").send().await.unwrap();
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    assert!(csv.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let csv = csv.text().await.unwrap();
    assert!(csv.contains("\"'+1<i>x\""), "{csv}");
    assert!(csv.lines().nth(1).unwrap().ends_with("Z\""), "{csv}");
    let mail = site.mail_to("annalee@example.org").await;
    assert!(mail.html.contains("&#60;a href") || mail.html.contains("&lt;a href"), "{}", mail.html);
}

async fn the_overview_counts_and_leads_to_each_list(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    site.visitor().sign_up("lateral", "late@example.org", PASSWORD).await;
    chief.visit("/admin/").await;
    // On a busy machine counting takes its time, and then a page may show numbers of a minute ago.
    while !chief.page().sees("All 3") {
        site.wait(minutes(2)).await;
        tokio::time::sleep(seconds(1) / 10).await;
        chief.visit("/admin/").await;
        chief.status(200);
    }
    chief
        .see("All 3")
        .see("Active 2")
        .see("Not confirmed 1")
        .see("Superuser 1")
        .see("The last 30 days. Sign-ups: 3. Sign-ins: 2.");
    chief.follow("Not confirmed").await;
    chief.see("1 account").see("lateral");
    chief.visit("/admin/").await;
    chief.follow("Superuser").await;
    chief.see("1 account").see("chief");
}

#[test]
fn pages_of_the_list_show_everybody_once_in_any_order() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(sandbox) = world.sandbox() else { continue };
        sandbox.open().migrate().unwrap();
        fill(*world, &sandbox, 130);
        run_alone(async || {
            let site = sandbox.site().await;
            let mut chief = superuser(&site).await;
            for start in [
                "",
                "?sort=username",
                "?sort=-username",
                "?sort=email",
                "?sort=-email",
                "?sort=joined",
                "?q=p",
                "?q=1@example",
                "?role=user&sort=username",
                "?status=blocked",
                "?joined_from=2026-01-01&joined_until=2026-01-01",
            ] {
                let mut path = format!("/admin/users/{start}");
                let (mut seen, mut pages) = (Vec::new(), 0);
                loop {
                    chief.visit(&path).await;
                    chief.status(200);
                    pages += 1;
                    let body = &chief.page().body;
                    seen.extend(
                        body.split("aria-label=\"Select ")
                            .skip(1)
                            .map(|rest| rest.split('"').next().unwrap().to_owned()),
                    );
                    let Some(next) = body.find("rel=\"next\"") else { break };
                    path = body[..next]
                        .rsplit("href=\"")
                        .next()
                        .unwrap()
                        .split('"')
                        .next()
                        .unwrap()
                        .replace("&#38;", "&")
                        .replace("&amp;", "&");
                }
                let once: BTreeSet<_> = seen.iter().cloned().collect();
                let expected = match start {
                    "" | "?sort=username" | "?sort=-username" | "?sort=joined" => 131,
                    "?q=p"
                    | "?sort=email"
                    | "?sort=-email"
                    | "?joined_from=2026-01-01&joined_until=2026-01-01" => 130,
                    "?q=1@example" => 13,
                    "?role=user&sort=username" => 117,
                    _ => 2,
                };
                assert_eq!(
                    (seen.len(), once.len()),
                    (expected, expected),
                    "{world:?} {start}: {pages} pages"
                );
                if start == "?sort=-username" {
                    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{world:?}: {seen:?}");
                }
            }
            let csv =
                chief.request(Method::GET, "/admin/users.csv?sort=username&role=user").send().await.unwrap();
            let csv = csv.text().await.unwrap();
            assert_eq!(csv.matches("\r\n").count(), 118, "{world:?}");
            site.stop().await;
        });
    }
}

#[test]
fn the_total_of_a_long_list_is_counted_once_a_minute_and_never_less_than_is_shown() {
    let Some(sandbox) = World::Embedded.sandbox() else { return };
    sandbox.open().migrate().unwrap();
    fill(World::Embedded, &sandbox, 1500);
    run_alone(async || {
        let site = sandbox.site().await;
        let mut chief = superuser(&site).await;
        chief.visit("/admin/users/").await;
        chief.see("1,501 accounts");
        site.appoint(Role::User, "annalee").await;
        chief.visit("/admin/users/").await;
        chief.see("1,501 accounts");
        site.sql("UPDATE users SET blocked_at = created_at WHERE role = 'user'").await;
        chief.visit("/admin/users/?status=blocked").await;
        chief.see("More than 1,000 accounts");
        // On a busy machine counting takes its time, and then a page may show numbers of a minute ago.
        chief.visit("/admin/users/").await;
        while !chief.page().sees("1,502 accounts") {
            site.wait(minutes(2)).await;
            tokio::time::sleep(seconds(1) / 10).await;
            chief.visit("/admin/users/").await;
            chief.status(200);
        }
        site.stop().await;
    });
}

#[test]
fn the_file_of_all_people_takes_no_more_memory_than_a_page() {
    let Some(sandbox) = World::Embedded.sandbox() else { return };
    sandbox.open().migrate().unwrap();
    fill(World::Embedded, &sandbox, 60_000);
    run_alone(async || {
        let (folder, mail, port) = (tempfile::tempdir().unwrap(), MailServer::start().await, free_port());
        let settings = HashMap::from([("DATABASE_URL", sandbox.url()), ("COURIER", "off".to_owned())]);
        let site = Site::start(settings.clone()).await;
        site.appoint(Role::Superuser, "chief").await;
        drop(site.stop().await);
        let program = Program::serve(folder.path(), port, &mail, &settings);
        let mut chief = Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
        chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
        chief.visit("/admin/users/").await;
        let before = program.memory("VmHWM");
        let file =
            chief.request(Method::GET, "/admin/users.csv").send().await.unwrap().bytes().await.unwrap();
        assert_eq!(file.split(|byte| *byte == b'\n').count() - 1, 60_002);
        let more = program.memory("VmHWM") - before;
        assert!(more < 5.0, "{more} MB for a file of {} MB", file.len() >> 20);
    });
}

#[test]
fn no_page_shows_what_must_stay_secret() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut chief = superuser(&site).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/change-email/").await;
        ann.fill("New email address", "lee@example.org")
            .fill("Current password", PASSWORD)
            .press("Send the code")
            .await;
        let code = site.code_to("lee@example.org").await;
        ann.visit("/auth/forgot-password/").await;
        ann.fill("Username or email address", "annalee").press("Send the link").await;
        site.mail_to("annalee@example.org").await;
        let mut seen = BTreeSet::new();
        let mut ahead = vec!["/admin/".to_owned(), "/admin/users.csv".to_owned()];
        let mut whole = String::new();
        while let Some(path) = ahead.pop() {
            if !seen.insert(path.clone()) || seen.len() > 300 {
                continue;
            }
            chief.visit(&path).await;
            assert!(matches!(chief.page().status, 200), "{path}: {}", chief.page());
            let body = chief.page().body.clone();
            ahead.extend(
                body.split("href=\"/admin/")
                    .skip(1)
                    .map(|rest| format!("/admin/{}", rest.split('"').next().unwrap().replace("&#38;", "&"))),
            );
            whole.push_str(&body);
        }
        assert!(seen.len() > 20, "{seen:?}");
        assert!(whole.contains("annalee@example.org") && !whole.contains(&code));
        let cookie = chief.cookie("latchkey").unwrap().to_owned();
        assert!(!whole.contains(&cookie) && !whole.contains("v1$") && !whole.contains("$2b$"));
        for secrets in [
            "SELECT password_hash AS text FROM users",
            "SELECT code_digest AS text FROM verifications WHERE code_digest IS NOT NULL",
            "SELECT token_digest AS text FROM links",
        ] {
            let all = site.texts(secrets).await;
            assert!(!all.is_empty() && !all.iter().any(|secret| whole.contains(secret)), "{secrets}");
        }
        site.stop().await;
    });
}

#[test]
fn the_admin_pages_can_be_shut_to_all_but_some_networks() {
    run_alone(async || {
        let site =
            Site::start(HashMap::from([("ADMIN_NETWORKS", "192.0.2.0/24, 2001:db8::/32".to_owned())])).await;
        site.appoint(Role::Superuser, "chief").await;
        let from = |address: &str| Visitor::new(site.url.clone(), address.to_owned());
        for path in [
            "/admin/",
            "/%61dmin/",
            "/admin/users/",
            "/admin/users.csv",
            "/auth/sign-in/superuser/",
            "/auth/sign-in/staff/",
            "/auth/sign-in/%73taff/",
        ] {
            let mut outside = from("198.51.100.7");
            outside.visit(path).await;
            outside.status(403).see("Not available on this network");
        }
        let mut outside = from("198.51.100.7");
        outside.visit("/auth/sign-in/user/").await;
        outside.status(200);
        for inside in ["192.0.2.7", "2001:db8::7"] {
            let mut chief = from(inside);
            chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
            chief.status(200).see("Overview");
        }
        site.stop().await;
    });
}

#[test]
fn admins_are_signed_out_after_fifteen_minutes_and_events_go_after_their_days() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("EVENTS_KEEP_DAYS", "2".to_owned())])).await;
        let mut chief = superuser(&site).await;
        site.wait(minutes(14)).await;
        chief.visit("/admin/").await;
        chief.status(200).see("Overview");
        site.wait(minutes(16)).await;
        chief.visit("/admin/events/").await;
        assert!(chief.path().starts_with("/auth/sign-in/superuser/?next="), "{}", chief.path());
        assert!(site.count("SELECT COUNT(*) FROM events").await > 0);
        site.wait(hours(49)).await;
        latchkey::housekeeping::sweep(&site.app).await.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM events").await, 0);
        site.stop().await;
    });
}
