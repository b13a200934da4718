//! The admin pages: staff see everybody, superusers help and act, and everything leaves a trail.

use std::collections::{BTreeSet, HashMap};

use diesel::connection::SimpleConnection;
use latchkey::identity::Role;
use reqwest::Method;

use crate::harness::{
    MailServer, OTHER_PASSWORD, PASSWORD, Program, Site, Visitor, World, at_once, crowd, free_port, hours,
    minutes, run_alone, seconds, stories,
};
use crate::pictures;

/// A superuser who just signed in.
async fn superuser(site: &Site) -> Visitor {
    admin(site, Role::Superuser, "chief").await
}

async fn admin(site: &Site, role: Role, name: &str) -> Visitor {
    site.appoint(role, name).await;
    let mut visitor = site.visitor();
    visitor.sign_in_at(&format!("/auth/sign-in/{}/", role.as_str()), name, OTHER_PASSWORD).await;
    visitor.status(200).see("Overview");
    visitor
}

/// Opens the page of a person.
async fn open(visitor: &mut Visitor, name: &str) -> String {
    visitor.visit(&format!("/admin/users/?q={name}")).await;
    let page = visitor.page().body.clone();
    let start =
        page.find("<a class=\"me\" href=\"/admin/users/").unwrap_or_else(|| panic!("{name} in {page}"));
    let path = page[start..].split('"').nth(3).unwrap().to_owned();
    visitor.visit(&path).await;
    visitor.status(200).see(&format!("@{name}"));
    path
}

/// Sends the form of an act as its page does.
async fn act(visitor: &mut Visitor, path: &str, act: &str, fields: &[(&str, &str)]) -> u16 {
    let path = format!("{path}{act}/");
    let request = visitor.request(Method::POST, &path);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let request = request.body(serde_urlencoded::to_string(fields).unwrap());
    visitor.send(request, &path).await.status
}

stories! {
    async fn staff_see_everything_and_change_nothing(site: &Site) {
        site.member("annalee").await;
        let mut staff = admin(site, Role::Staff, "stafford").await;
        let person = open(&mut staff, "annalee").await;
        let pages = ["/admin/", "/admin/users/", &person, "/admin/otp-verifications/", "/admin/password-resets/", "/admin/mails/", "/admin/events/"];
        for page in pages {
            staff.visit(page).await;
            staff.status(200);
            let forms = staff.page().body.matches("method=\"post\"").count();
            assert_eq!(forms, 1, "{page}: only the one to sign out");
        }
        for what in ["block", "unblock", "edit", "role", "verify", "send-code", "send-reset", "end-sessions", "remove-picture", "delete"] {
            assert_eq!(act(&mut staff, &person, what, &[("reason", "x"), ("role", "staff")]).await, 403, "{what}");
        }
        assert_eq!(act(&mut staff, "/admin/users/", "new", &[]).await, 403);
        assert_eq!(act(&mut staff, "/admin/users/", "bulk", &[("act", "delete"), ("everybody", "on"), ("confirmed", "2")]).await, 403);
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
            chief.fill("Search", search).press("Show").await;
            chief.status(200);
            for name in ["annalee", "bobbob", "chief"] {
                let is_listed = chief.page().body.contains(&format!("Choose {name}"));
                assert_eq!(is_listed, found.contains(&name), "{search}: {name}");
            }
            chief.see(&match found.len() { 1 => "1 person".to_owned(), count => format!("{count} people") });
        }
        chief.visit("/admin/users/?q=%00").await;
        chief.status(400);
        chief.visit("/admin/users/?joined_from=yesterday").await;
        chief.status(422).see("Enter a day like 2026-11-24.");
        for nonsense in ["role=king", "standing=x", "sort=password_hash", "after=x"] {
            chief.visit(&format!("/admin/users/?{nonsense}")).await;
            chief.status(400);
        }
    }

    async fn a_person_added_chooses_their_password_by_a_link(site: &Site) {
        let mut chief = superuser(site).await;
        chief.visit("/admin/users/new/").await;
        chief.fill("Username", "chief").fill("E-mail", "merle@example.org").fill("Role", "merchant").press("Add and send the link").await;
        chief.status(422);
        assert_eq!(chief.problem("Username"), "This username is taken. Please choose another one.");
        chief.fill("Username", "merle").press("Add and send the link").await;
        chief.status(200).see("a link to choose a password is on its way").see("@merle");
        let mail = site.mail_to("merle@example.org").await;
        assert_eq!(mail.subject, "Your new account");
        let mut merle = site.visitor();
        merle.visit(&mail.link("/auth/reset-password/")).await;
        merle.fill("New password", PASSWORD).fill("New password again", PASSWORD).press("Change password").await;
        merle.sign_in_at("/auth/sign-in/merchant/", "merle", PASSWORD).await;
        merle.status(200).see("@merle");
        chief.visit("/admin/events/?person=merle&kind=account-added").await;
        chief.see("Was added merle chief").see("merle, merle@example.org, merchant");
    }

    async fn every_act_is_told_with_its_reason_and_what_it_was_before(site: &Site) {
        let mut chief = superuser(site).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/change-picture/").await;
        ann.choose_file("Picture", "a.png", "image/png", &pictures::png(300, 300)).press("Save").await;
        let mut late = site.visitor();
        late.sign_up("lateral", "late@example.org", PASSWORD).await;
        site.mail_to("late@example.org").await;
        let person = open(&mut chief, "annalee").await;

        for against in ["block", "role", "end-sessions", "remove-picture", "delete"] {
            assert_eq!(act(&mut chief, &person, against, &[("role", "staff")]).await, 422, "{against}");
            chief.see("Give a reason.");
        }
        let why = ("reason", "because of a test");
        assert_eq!(act(&mut chief, &person, "remove-picture", &[why]).await, 200);
        chief.see("The picture is removed.");
        assert_eq!(std::fs::read_dir(site.folder.path().join("media")).unwrap().count(), 0);
        assert_eq!(act(&mut chief, &person, "edit", &[("username", "annabel"), ("full_name", "Ann Bel"), ("phone", ""), ("about", "")]).await, 200);
        chief.see("The details are saved.").see("@annabel").see("Ann Bel");
        assert_eq!(act(&mut chief, &person, "edit", &[("username", "annabel"), ("phone", "12")]).await, 422);
        assert_ne!(chief.problem("Phone"), "");
        assert!(ann.is_signed_in().await);
        assert_eq!(act(&mut chief, &person, "end-sessions", &[why]).await, 200);
        assert!(!ann.is_signed_in().await);
        assert_eq!(act(&mut chief, &person, "end-sessions", &[why]).await, 422);
        chief.see("This person is signed out already.");
        assert_eq!(act(&mut chief, &person, "send-reset", &[]).await, 200);
        site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
        assert_eq!(act(&mut chief, &person, "send-reset", &[]).await, 422);
        chief.see("This address was mailed just now.");
        assert_eq!(act(&mut chief, &person, "role", &[why, ("role", "merchant")]).await, 200);
        assert_eq!(site.mail_to("annalee@example.org").await.subject, "You have another role now");
        assert_eq!(act(&mut chief, &person, "block", &[why]).await, 200);
        let mail = site.mail_to("annalee@example.org").await;
        assert!(mail.subject == "Your account is blocked" && mail.text.contains("because of a test"));
        ann.sign_in_at("/auth/sign-in/merchant/", "annabel", PASSWORD).await;
        ann.status(403).see("because of a test");
        assert_eq!(act(&mut chief, &person, "block", &[why]).await, 422);
        assert_eq!(act(&mut chief, &person, "unblock", &[]).await, 200);
        assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your account is open again");
        ann.sign_in_at("/auth/sign-in/merchant/", "annabel", PASSWORD).await;
        ann.status(200);

        let other = open(&mut chief, "lateral").await;
        assert_eq!(act(&mut chief, &other, "send-code", &[]).await, 422);
        site.wait(minutes(2)).await;
        assert_eq!(act(&mut chief, &other, "send-code", &[]).await, 200);
        site.code_to("late@example.org").await;
        assert_eq!(act(&mut chief, &other, "verify", &[]).await, 200);
        late.sign_in("lateral", PASSWORD).await;
        late.status(200).see("@lateral");
        assert_eq!(act(&mut chief, &other, "verify", &[]).await, 422);

        chief.visit(&format!("{person}delete/")).await;
        chief.fill("Reason", "because of a test").press("Delete for good").await;
        chief.status(200).see("The account is deleted.");
        assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your account was deleted");
        assert!(!ann.is_signed_in().await);
        chief.visit(&person).await;
        chief.status(404);

        let id = person.split('/').nth(3).unwrap();
        chief.visit(&format!("/admin/events/?person={id}")).await;
        for told in [
            "Changed the picture A deleted account chief",
            "because of a test a picture none",
            "username “annalee”; name “” username “annabel”; name “Ann Bel”",
            "because of a test 1 signed in signed out",
            "Was sent a reset link",
            "because of a test user merchant",
            "because of a test active blocked",
            "blocked: because of a test active",
            "because of a test annabel, annalee@example.org, merchant",
        ] {
            chief.see(told);
        }
        chief.visit("/admin/events/?person=lateral").await;
        chief.see("Was sent a code lateral chief").see("Confirmed the address lateral chief").see("unverified active");
        assert_eq!(chief.page().body.matches("<tr>").count() - 1, 4, "{}", chief.page());
    }

    async fn nobody_acts_on_themselves_and_the_last_superuser_stays(site: &Site) {
        let mut chief = superuser(site).await;
        let own = open(&mut chief, "chief").await;
        assert!(!chief.page().sees("What you can do"));
        for (what, fields) in [("block", vec![]), ("role", vec![("role", "user")]), ("delete", vec![]), ("end-sessions", vec![])] {
            let fields: Vec<_> = fields.into_iter().chain([("reason", "x")]).collect();
            assert_eq!(act(&mut chief, &own, what, &fields).await, 422, "{what}");
            chief.see("This is your own account.");
        }
        let mut second = admin(site, Role::Superuser, "second").await;
        let other = open(&mut chief, "second").await;
        // Both at once: one of them wins, and that one stays.
        for (what, fields) in [("block", vec![("reason", "x")]), ("role", vec![("reason", "x"), ("role", "user")]), ("delete", vec![("reason", "x")])] {
            let form = |visitor: &Visitor, path: &str| {
                let request = visitor.request(Method::POST, &format!("{path}{what}/"));
                let request = request.header("Content-Type", "application/x-www-form-urlencoded");
                request.body(serde_urlencoded::to_string(&fields).unwrap())
            };
            let answers = at_once([form(&chief, &other), form(&second, &own)]).await;
            let done = answers.iter().filter(|answer| answer.status == 303 && answer.location.contains("said=")).count();
            assert_eq!(done, 1, "{what}: {answers:?}");
            let left = "SELECT COUNT(*) FROM users WHERE role = 'superuser' AND blocked_at IS NULL";
            assert_eq!(site.count(left).await, 1, "{what}");
            if what == "delete" {
                break;
            }
            site.sql("UPDATE users SET role = 'superuser', blocked_at = NULL").await;
            for (visitor, name) in [(&mut chief, "chief"), (&mut second, "second")] {
                if !visitor.is_signed_in().await {
                    visitor.sign_in_at("/auth/sign-in/superuser/", name, OTHER_PASSWORD).await;
                }
            }
        }
    }

    async fn the_password_is_asked_for_again_before_something_against_somebody(site: &Site) {
        let mut chief = superuser(site).await;
        site.member("annalee").await;
        let person = open(&mut chief, "annalee").await;
        site.wait(minutes(11)).await;
        chief.visit(&person).await;
        act(&mut chief, &person, "block", &[("reason", "Sold parcels")]).await;
        chief.see("Confirm that it is you");
        assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
        chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
        assert!(chief.path().starts_with(&person), "{}", chief.path());
        assert_eq!(chief.written("Reason"), "Sold parcels", "what was typed is kept");
        chief.press("Block").await;
        chief.see("The account is blocked");
        // What helps somebody needs no password.
        site.wait(minutes(11)).await;
        chief.visit(&person).await;
        assert_eq!(act(&mut chief, &person, "unblock", &[]).await, 200);
        chief.see("The account is open again.");
        for page in ["/admin/users/new/".to_owned(), format!("{person}delete/")] {
            chief.visit(&page).await;
            chief.see("Confirm that it is you");
        }
    }

    async fn who_is_signed_in_on_twenty_devices_is_out_on_all_of_them_at_once(site: &Site) {
        let mut chief = superuser(site).await;
        site.member("annalee").await;
        let mut devices = Vec::new();
        for _ in 0..20 {
            let mut device = site.visitor();
            device.sign_in("annalee", PASSWORD).await;
            device.status(200);
            devices.push(device);
        }
        let person = open(&mut chief, "annalee").await;
        assert_eq!(act(&mut chief, &person, "block", &[("reason", "x")]).await, 200);
        for device in &mut devices {
            // The very next request, whatever it is.
            let answer = device.request(Method::GET, "/user-profile/").send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 303);
        }
    }

    async fn codes_links_and_mails_can_be_stopped_and_are_never_shown(site: &Site) {
        let mut chief = superuser(site).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/auth/forgot-password/").await;
        ann.fill("Username or e-mail", "annalee").press("Send the link").await;
        let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
        let mut late = site.visitor();
        late.sign_up("lateral", "late@example.org", PASSWORD).await;
        let code = site.code_to("late@example.org").await;
        let token = link.split('/').nth(4).unwrap().to_owned();
        let flow = late.path().split('/').nth(4).unwrap().to_owned();
        for page in ["/admin/otp-verifications/", "/admin/password-resets/", "/admin/mails/", "/admin/events/", "/admin/"] {
            chief.visit(page).await;
            chief.status(200);
            for secret in [&token, &code, &flow] {
                assert!(!chief.page().body.contains(secret), "{secret} on {page}");
            }
        }
        chief.visit("/admin/password-resets/").await;
        chief.see("annalee").see("Waits");
        chief.press("Cancel").await;
        chief.see("The link does not work any more.");
        ann.visit(&link).await;
        ann.status(410);
        chief.visit("/admin/otp-verifications/").await;
        chief.see("lateral");
        chief.press("Cancel").await;
        chief.see("The code is worthless now.");
        late.fill("Code", &code).press("Confirm").await;
        late.status(422).see("This code has run out. Ask for a new one.");

        site.mail.be(crate::harness::Mood::Away);
        site.wait(minutes(2)).await;
        let person = open(&mut chief, "annalee").await;
        assert_eq!(act(&mut chief, &person, "send-reset", &[]).await, 200);
        chief.visit("/admin/mails/?state=waiting").await;
        chief.follow("reset-password").await;
        chief.see("Hello annalee").see("••••••");
        chief.press("Do not send it").await;
        chief.see("The mail will not be sent.").see("Cancelled");
        assert!(!chief.page().body.contains("Try again now"), "its secret is gone");
        site.mail.be(crate::harness::Mood::Never("annalee@example.org"));
        assert_eq!(act(&mut chief, &person, "block", &[("reason", "x")]).await, 200);
        let failed = "SELECT COUNT(*) FROM outbox WHERE state = 'failed'";
        for _ in 0..500 {
            if site.count(failed).await > 0 {
                break;
            }
            site.app.clock.advance(seconds(5));
            site.app.bell.ring();
            tokio::time::sleep(seconds(1) / 50).await;
        }
        chief.visit("/admin/mails/?state=failed").await;
        chief.see("permanent error (550): never");
        chief.follow("account-blocked").await;
        site.mail.be(crate::harness::Mood::Good);
        chief.press("Try again now").await;
        chief.see("The mail is with the courier again.");
        assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your account is blocked");
        chief.visit("/admin/events/?kind=mail-retried").await;
        chief.see("account-blocked failed waiting");
    }

    async fn what_outsiders_write_is_shown_and_never_run(site: &Site) {
        let mut chief = superuser(site).await;
        let evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{7*7}}";
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/update/").await;
        ann.fill("Name", "=HYPERLINK(\"http://x\",<b>)").fill("About you", evil).press("Save").await;
        ann.status(200);
        let request = ann.request(Method::POST, "/auth/sign-in/user/");
        let request = request.header("User-Agent", evil).header("X-Forwarded-For", "10.9.9.9").header("Cookie", "");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let request = request.body(serde_urlencoded::to_string([("username", "annalee"), ("password", PASSWORD)]).unwrap());
        assert_eq!(request.send().await.unwrap().status().as_u16(), 303);
        ann.visit("/user-profile/change-picture/").await;
        ann.choose_file("Picture", "<script>x</script>.png", "image/png", &pictures::png(300, 300)).press("Save").await;
        let person = open(&mut chief, "annalee").await;
        assert_eq!(act(&mut chief, &person, "edit", &[("username", "annalee"), ("full_name", "+1<i>x"), ("about", evil)]).await, 200);
        assert_eq!(act(&mut chief, &person, "block", &[("reason", "<a href='http://x'>x</a>")]).await, 200);
        for page in [person.as_str(), "/admin/", "/admin/users/", "/admin/users/?q=%3Cscript%3E\"onx=", "/admin/events/", "/admin/events/?person=%3Cscript%3E", "/admin/mails/"] {
            chief.visit(page).await;
            chief.status(200);
            let body = &chief.page().body;
            for tag in ["<script", "<img src=x", "<b>", "<i>x", "<a href='http", "onx=", "49\""] {
                let inert = body.replace("&#34;onx=", "").replace("%22onx%3D", "");
                assert!(!inert.contains(tag), "{tag} on {page}");
            }
        }
        chief.visit(&person).await;
        chief.see("<script>alert(1)</script>").see("<a href='http://x'>x</a>").see("{{7*7}}");
        let csv = chief.request(Method::GET, "/admin/users.csv?q=anna").send().await.unwrap();
        assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8; header=present");
        assert!(csv.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        let csv = csv.text().await.unwrap();
        assert!(csv.contains("\"'+1<i>x\""), "{csv}");
        assert!(csv.lines().nth(1).unwrap().ends_with("Z\""), "{csv}");
        let mail = site.mail_to("annalee@example.org").await;
        assert!(mail.html.contains("&#60;a href") || mail.html.contains("&lt;a href"), "{}", mail.html);
    }

    async fn many_are_blocked_at_once_after_a_look_at_what_will_happen(site: &Site) {
        let mut chief = superuser(site).await;
        let mut ann = site.member("annalee").await;
        let mut bob = site.member("bobbob").await;
        chief.visit("/admin/users/").await;
        chief.press("Go on").await;
        chief.status(422).see("Nobody is chosen.");
        chief.visit("/admin/users/?role=user").await;
        chief.fill("For those chosen", "block").tick("For everybody in this list, on all pages").press("Go on").await;
        chief.status(200).see("Block 2 people?").see("annalee, bobbob").see("told the reason by mail");
        assert!(ann.is_signed_in().await, "nothing has happened yet");
        chief.press("Do it").await;
        chief.status(422).see("Give a reason.");
        site.member("carolus").await;
        chief.fill("Reason", "Because").press("Do it").await;
        chief.status(422).see("Meanwhile the list has changed.").see("Block 3 people?");
        chief.press("Do it").await;
        chief.status(200).see("Done.");
        for visitor in [&mut ann, &mut bob] {
            assert!(!visitor.is_signed_in().await);
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'blocked' AND detail = 'Because'").await, 3);
        chief.visit("/admin/users/?standing=blocked").await;
        chief.see("3 people");
        chief.fill("For those chosen", "delete").tick("For everybody in this list, on all pages").press("Go on").await;
        chief.fill("Reason", "Because").press("Do it").await;
        chief.see("Done.").see("Nobody fits.");
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
    }

    async fn the_overview_counts_and_leads_to_each_list(site: &Site) {
        let mut chief = superuser(site).await;
        site.member("annalee").await;
        site.visitor().sign_up("lateral", "late@example.org", PASSWORD).await;
        chief.visit("/admin/").await;
        chief.see("All 3").see("Active 2").see("Unverified 1").see("Superuser 1").see("In the last 30 days: 3 sign-ups and 2 sign-ins.");
        chief.follow("Unverified").await;
        chief.see("1 person").see("lateral");
        chief.visit("/admin/").await;
        chief.follow("Superuser").await;
        chief.see("1 person").see("chief");
    }
}

#[test]
fn pages_of_the_list_show_everybody_once_in_any_order() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(place) = world.place() else { continue };
        place.open().migrate().unwrap();
        place.connection().batch_execute(&crowd(*world, 130)).unwrap();
        run_alone(async || {
            let site = place.site().await;
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
                "?standing=blocked",
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
                        body.split("aria-label=\"Choose ")
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
                    "" | "?sort=username" | "?sort=-username" | "?sort=email" | "?sort=-email"
                    | "?sort=joined" => 131,
                    "?q=p" | "?joined_from=2026-01-01&joined_until=2026-01-01" => 130,
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
fn the_file_of_all_people_takes_no_more_memory_than_a_page() {
    let Some(place) = World::Embedded.place() else { return };
    place.open().migrate().unwrap();
    place.connection().batch_execute(&crowd(World::Embedded, 60_000)).unwrap();
    run_alone(async || {
        let (folder, mail, port) = (tempfile::tempdir().unwrap(), MailServer::start().await, free_port());
        let settings = HashMap::from([("DATABASE_URL", place.url()), ("COURIER", "off".to_owned())]);
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
        ann.fill("New e-mail", "lee@example.org")
            .fill("Current password", PASSWORD)
            .press("Send the code")
            .await;
        let code = site.code_to("lee@example.org").await;
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
            for secret in site.texts(secrets).await {
                assert!(!whole.contains(&secret), "{secrets}");
            }
        }
        site.stop().await;
    });
}

#[test]
fn a_bulk_block_that_is_killed_happened_to_all_or_to_nobody() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(place) = world.place() else { continue };
        place.open().migrate().unwrap();
        place.connection().batch_execute(&crowd(*world, 1111)).unwrap();
        // All of them signed in.
        place.connection().batch_execute("UPDATE sign_ins SET ended_at = NULL").unwrap();
        place.connection().batch_execute("UPDATE users SET blocked_at = NULL, role = CASE WHEN role = 'user' THEN 'user' ELSE 'staff' END",
        )
        .unwrap();
        run_alone(async || {
            let (folder, mail) = (tempfile::tempdir().unwrap(), MailServer::start().await);
            let mut settings = place.settings.clone();
            settings.extend([("DATABASE_URL", place.url()), ("COURIER", "off".to_owned())]);
            let site = Site::start(settings.clone()).await;
            site.appoint(Role::Superuser, "chief").await;
            let (mut nobody, mut everybody) = (0, 0);
            for round in 0..9_u64 {
                let port = free_port();
                settings.insert("PUBLIC_URL", format!("http://localhost:{port}"));
                let mut program = Program::serve(folder.path(), port, &mail, &settings);
                let mut chief = Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
                chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
                let fields = [
                    ("act", "block"),
                    ("everybody", "on"),
                    ("role", "user"),
                    ("confirmed", "1000"),
                    ("reason", "x"),
                ];
                let request = chief.request(Method::POST, "/admin/users/bulk/");
                let request = request.header("Content-Type", "application/x-www-form-urlencoded");
                let request = request.body(serde_urlencoded::to_string(fields).unwrap());
                let sent = actix_web::rt::spawn(async move {
                    request.send().await.is_ok_and(|answer| answer.status() == 303)
                });
                tokio::time::sleep(std::time::Duration::from_millis(20 << round)).await;
                program.kill();
                let acknowledged = sent.await.unwrap();
                let blocked = site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await;
                let alive = site.count("SELECT COUNT(*) FROM sign_ins s WHERE s.ended_at IS NULL AND s.user_id IN (SELECT id FROM users WHERE role = 'user')").await;
                let events = site.count("SELECT COUNT(*) FROM events WHERE kind = 'blocked'").await;
                assert!(
                    (blocked, alive, events) == (0, 1000, 0) || (blocked, alive, events) == (1000, 0, 1000),
                    "{world:?} {round}: {blocked}, {alive}, {events}"
                );
                assert!(!acknowledged || blocked == 1000, "{world:?} {round}");
                if blocked == 0 {
                    nobody += 1;
                } else {
                    everybody += 1;
                    site.sql("UPDATE sign_ins SET ended_at = NULL").await;
                    site.sql("UPDATE users SET blocked_at = NULL").await;
                    site.sql("DELETE FROM events").await;
                    if nobody > 0 {
                        break;
                    }
                }
            }
            assert!(nobody > 0 && everybody > 0, "{world:?}: {nobody} times nobody, {everybody} times all");
            site.stop().await;
        });
    }
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
            outside.status(403).see("This page is not open from here");
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
        assert!(chief.path().starts_with("/auth/sign-in/staff/?next="), "{}", chief.path());
        assert!(site.count("SELECT COUNT(*) FROM events").await > 0);
        site.wait(hours(49)).await;
        latchkey::housekeeping::sweep(&site.app).await.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM events").await, 0);
        site.stop().await;
    });
}
