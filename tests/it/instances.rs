//! Several instances over one database and one Redis: whatever is done at one holds at the next request at the other.

use std::collections::{BTreeMap, BTreeSet};

use latchkey::db;
use latchkey::identity::{Email, Id, Role};
use latchkey::mail::{self, AccountExists, Envelope};
use reqwest::Method;

use crate::harness::pictures;
use crate::harness::{
    MailServer, Mood, Nginx, OTHER_PASSWORD, PASSWORD, Program, Sandbox, Site, Visitor, World, at_once,
    free_port, run_alone,
};

/// Two instances in one world, with one mail server.
async fn two(sandbox: &Sandbox, story: impl AsyncFnOnce(&Site, &Site)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inside = |name: &str| folder.path().join(name).display().to_string();
    let mut settings = sandbox.settings.clone();
    settings.entry("DATABASE_URL").or_insert(format!("sqlite://{}", inside("db.sqlite3")));
    settings.insert("MEDIA_ROOT", inside("media"));
    let mail = MailServer::start().await;
    let start = async || {
        let own = tempfile::tempdir().expect("a temporary folder");
        Site::start_in(own, mail.clone(), settings.clone()).await
    };
    let (one, other) = (start().await, start().await);
    story(&one, &other).await;
    drop((one.stop().await, other.stop().await));
}

/// Every world in which instances can share what they know.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn everywhere(story: impl AsyncFn(&Site, &Site)) {
    for world in World::ALL.iter().filter(|world| **world != World::Embedded) {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || two(&sandbox, async |one, other| story(one, other).await).await);
    }
}

#[test]
fn a_journey_alternates_between_two_instances() {
    everywhere(async |one: &Site, other: &Site| {
        let mut ann = one.visitor();
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let code = one.code_to("ann@example.org").await;
        ann.go_to(other).fill("Code", &code).press("Confirm").await;
        ann.status(200).see("Welcome!");
        ann.go_to(one).follow("Change username").await;
        ann.go_to(other).fill("Name", "Ann Lee").press("Save").await;
        ann.go_to(one).visit("/user-profile/").await;
        ann.see("Ann Lee");
        ann.follow("Add a picture").await;
        ann.choose_file("Picture", "a.png", "image/png", &pictures::png(300, 300)).press("Save").await;
        assert_eq!(pictures::shown(ann.go_to(other)).await.width(), 256, "the folder is shared");
        ann.go_to(other).press("Sign out").await;
        assert!(!ann.go_to(one).is_signed_in().await);
        ann.visit("/auth/forgot-password/").await;
        ann.go_to(other).fill("Username or email address", "annalee").press("Send the link").await;
        let link = one.mail_to("ann@example.org").await.link("/auth/reset-password/");
        ann.go_to(one).visit(&link).await;
        ann.go_to(other).fill("New password", OTHER_PASSWORD).fill("Repeat the new password", OTHER_PASSWORD);
        ann.press("Change password").await;
        ann.go_to(one).sign_in("annalee", OTHER_PASSWORD).await;
        ann.status(200).see("Ann Lee");
    });
}

#[test]
fn what_ends_a_session_at_one_instance_ends_it_at_the_next_request_at_the_other() {
    everywhere(async |one: &Site, other: &Site| {
        let mut ann = one.member("annalee").await;
        let mut twin = ann.twin();
        assert!(twin.go_to(other).is_signed_in().await);
        ann.press("Sign out").await;
        assert!(!twin.is_signed_in().await, "sign-out");

        ann.sign_in("annalee", PASSWORD).await;
        let mut phone = other.visitor();
        phone.sign_in("annalee", PASSWORD).await;
        ann.change_password(PASSWORD, OTHER_PASSWORD).await;
        assert!(!phone.is_signed_in().await, "password change");

        assert!(ann.go_to(other).is_signed_in().await);
        one.sql("UPDATE users SET blocked_at = created_at, blocked_reason = 'x'").await;
        assert!(!ann.is_signed_in().await, "block");
    });
}

#[test]
fn a_thousand_races_leave_no_session_alive() {
    everywhere(async |one: &Site, other: &Site| {
        one.appoint(Role::User, "annalee").await;
        one.appoint(Role::Superuser, "chief").await;
        let mut chief = one.visitor();
        chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
        let block = format!(
            "/admin/users/{}/block/",
            one.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await[0]
        );
        let (mut password, mut next, mut ended) = (OTHER_PASSWORD, PASSWORD, 0);
        for round in 0_u32.. {
            if ended == 334 {
                break;
            }
            assert!(round < 1000, "only {ended} rounds ended a session");
            let mut ann = one.visitor();
            ann.sign_in("annalee", password).await;
            ann.status(200);
            let form = |visitor: &Visitor, path: &str, fields: &[(&str, &str)]| visitor.posting(path, fields);
            // Slow at the other instance: who they are is known, and their last byte is still to come.
            let mut slow = ann.twin();
            slow.go_to(other);
            let renew = form(&slow, "/auth/refresh/", &[("next", "x")]);
            let save = form(&slow, "/user-profile/update/", &[("username", "annalee")]);
            let change = [("current_password", password), ("password", next), ("confirm_password", next)];
            let end = match round % 3 {
                0 => form(&chief, &block, &[("reason", "x")]),
                1 => ann.request(Method::POST, "/auth/sign-out/"),
                _ => {
                    // From another browser, so that every session of this one ends.
                    let mut phone = one.visitor();
                    phone.sign_in("annalee", password).await;
                    form(&phone, "/user-profile/update-password/", &change)
                }
            };
            let answers = at_once([renew, save, end]).await;
            let last = answers.last().unwrap();
            if last.has_notice && last.location == "/user-profile/" {
                std::mem::swap(&mut password, &mut next);
            }
            if last.has_notice {
                ended += 1;
                assert!(!slow.is_signed_in().await, "round {round}: {answers:?}");
                assert!(!ann.is_signed_in().await, "round {round}: {answers:?}");
            }
            one.sql("UPDATE sessions SET ended_at = created_at WHERE kind = 'normal'").await;
            one.sql("UPDATE users SET blocked_at = NULL").await;
        }
    });
}

#[test]
fn limits_count_at_both_instances_together() {
    everywhere(async |one: &Site, other: &Site| {
        one.member("annalee").await;
        let guesses = (0..40).map(|number| {
            let site = if number % 2 == 0 { one } else { other };
            let fields = [("username", "annalee"), ("password", "wrong password here")];
            let request = site.visitor().posting("/auth/sign-in/user/", &fields);
            request.header("X-Forwarded-For", format!("10.77.{number}.1"))
        });
        let answers = at_once(guesses.collect::<Vec<_>>()).await;
        let looked_at = answers.iter().filter(|answer| answer.status == 422).count();
        assert_eq!(looked_at, 5, "{answers:?}");
    });
}

#[test]
fn a_thousand_mails_leave_once_each_through_a_moody_server() {
    everywhere(async |one: &Site, other: &Site| {
        one.appoint(Role::User, "annalee").await;
        let ann = Id::from_stored(one.texts("SELECT id AS text FROM users").await.remove(0));
        one.mail.be(Mood::Moody);
        let now = one.app.clock.now();
        one.app
            .db
            .write(move |conn| {
                for number in 0..1000 {
                    let to = Email::parse(&format!("p{number}@example.org")).unwrap();
                    let mail = AccountExists { name: format!("person{number}") };
                    mail::queue(conn, mail, &Envelope::to(&ann, &to), now)?;
                }
                Ok::<_, db::Error>(())
            })
            .await
            .unwrap();
        let waiting = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'";
        for round in 0.. {
            if one.count(waiting).await == 0 {
                break;
            }
            assert!(round < 600, "{} mails still wait", one.count(waiting).await);
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            // What the server put off comes up again when its time has come.
            for site in [one, other] {
                site.app.clock.advance(std::time::Duration::from_secs(10));
                site.app.wakeup.wake();
            }
        }
        assert_eq!(one.count("SELECT COUNT(*) FROM outbox WHERE state = 'sent'").await, 1000);
        let mut by_address: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let all = one.mail.all();
        for mail in &all {
            by_address.entry(mail.to.clone()).or_default().insert(mail.message_id.clone());
        }
        assert_eq!(by_address.len(), 1000, "none is lost");
        assert!(by_address.values().all(|ids| ids.len() == 1), "a repeat can be known as one");
        let repeats = all.len() - 1000;
        assert!(repeats <= one.mail.lost_answers(), "repeats only where our server's answer was lost");
        let sent_by_recipient = |to: &str| all.iter().filter(|mail| mail.to == to).count();
        assert!(by_address.keys().all(|to| sent_by_recipient(to) <= 2), "and once only");
    });
}

#[test]
fn behind_nginx_one_instance_can_die_and_nothing_acknowledged_is_lost() {
    let Some(sandbox) = World::Postgres.sandbox() else { return };
    let (one, other, port) = (free_port(), free_port(), free_port());
    run_alone(async || {
        let (folder, mail) = (tempfile::tempdir().unwrap(), MailServer::start().await);
        let mut settings = sandbox.settings.clone();
        settings.insert("PUBLIC_URL", format!("https://localhost:{port}"));
        settings.insert("APPS", "https://wiki.example.org user".to_owned());
        let mut dies = Program::serve(folder.path(), one, &mail, &settings);
        let _stays = Program::serve(folder.path(), other, &mail, &settings);
        let Some(nginx) = Nginx::start([one, other], port) else { return };
        let url = format!("https://localhost:{}", nginx.port);
        let visitor =
            |number: u32| Visitor::new(url.clone(), format!("10.{}.{}.1", number / 200, number % 200));

        let mut ann = visitor(0);
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let mut code = mail.next_to("ann@example.org").await;
        assert!(code.text.contains(&url), "links lead to the public address");
        ann.fill("Code", &code.code()).press("Confirm").await;
        ann.status(200).see("Welcome!");

        // What proxies of applications ask is not for the internet; what applications ask is.
        for (path, status) in [
            ("/forward-auth", 404),
            ("/forward-auth/nginx", 404),
            ("/forward-auth/envoy/", 404),
            ("/forward-auth/introspect", 401),
        ] {
            let asked = ann.request(Method::POST, path).header("X-Forwarded-Host", "wiki.example.org");
            assert_eq!(asked.send().await.expect("an answer").status(), status, "{path}");
        }

        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let at_once = std::sync::Arc::new(tokio::sync::Semaphore::new(20));
        let all: Vec<_> = (1..=500)
            .map(|number| {
                let (tell, visitor, at_once) = (tell.clone(), visitor(number), at_once.clone());
                actix_web::rt::spawn(async move {
                    let _turn = at_once.acquire().await;
                    let name = format!("person{number}");
                    let address = format!("{name}@example.org");
                    let form = [
                        ("username", &*name),
                        ("email", &*address),
                        ("password", PASSWORD),
                        ("confirm_password", PASSWORD),
                    ];
                    let answer = visitor.posting("/auth/sign-up/user/", &form).send().await;
                    let status = answer.map_or(0, |answer| answer.status().as_u16());
                    tell.send((address, status)).expect("somebody listens");
                })
            })
            .collect();
        drop(tell);
        let (mut acknowledged, mut lost) = (Vec::new(), 0);
        while let Some((address, status)) = told.recv().await {
            match status {
                303 => acknowledged.push(address),
                // Not told to have happened: to be sent again.
                _ => lost += 1,
            }
            if acknowledged.len() == 100 {
                dies.kill();
            }
        }
        for one in all {
            one.await.unwrap();
        }
        assert!(acknowledged.len() >= 400, "{} acknowledged, {lost} not", acknowledged.len());
        for address in &acknowledged {
            code = mail.next_to(address).await;
            assert_eq!(&code.to, address);
        }
        // Who is signed in sees a retried page at most.
        for _ in 0..20 {
            assert!(ann.is_signed_in().await, "{}", ann.page());
        }
    });
}
