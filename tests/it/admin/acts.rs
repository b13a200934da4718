//! What superusers do to accounts, one by one and many at once: by which rules, with which trail.

use std::time::Instant;

use diesel::connection::SimpleConnection;
use latchkey::identity::Role;
use reqwest::Method;

use crate::admin::{act, admin, open, superuser};
use crate::harness::pictures;
use crate::harness::{
    MailServer, OTHER_PASSWORD, PASSWORD, Program, Site, Visitor, World, at_once, fill, free_port, minutes,
    run_alone, stories,
};

stories! {
    a_person_added_chooses_their_password_by_a_link,
    every_act_is_told_with_its_reason_and_what_it_was_before,
    of_two_who_wait_for_a_code_at_one_address_either_can_be_confirmed,
    nobody_acts_on_themselves_and_the_last_superuser_stays,
    the_password_is_asked_for_again_before_something_against_somebody,
    one_browser_of_several_can_be_signed_out,
    those_ticked_are_helped_and_nobody_else,
    a_block_outruns_a_code_that_is_being_entered,
    who_is_signed_in_on_twenty_devices_is_out_on_all_of_them_at_once,
    many_are_blocked_at_once_after_a_look_at_what_will_happen,
}

async fn a_person_added_chooses_their_password_by_a_link(site: &Site) {
    let mut chief = superuser(site).await;
    chief.visit("/admin/users/new/").await;
    chief
        .fill("Username", "chief")
        .fill("Email address", "merle@example.org")
        .fill("Role", "merchant")
        .press("Create account and send invitation")
        .await;
    chief.status(422);
    assert_eq!(chief.problem("Username"), "That username is taken. Choose another.");
    chief.fill("Username", "merle").press("Create account and send invitation").await;
    chief.status(200).see("An invitation is on its way.").see("@merle");
    let mail = site.mail_to("merle@example.org").await;
    assert_eq!(mail.subject, "Your new account");
    let mut merle = site.visitor();
    merle.visit(&mail.link("/auth/reset-password/")).await;
    merle.see("Choose a password").see("You'll sign in as merle with it.");
    assert!(!merle.page().sees("new password"), "there was none before: {}", merle.page());
    merle.fill("Password", PASSWORD).fill("Repeat the password", PASSWORD).press("Save password").await;
    merle.sign_in_at("/auth/sign-in/merchant/", "merle", PASSWORD).await;
    merle.status(200).see("@merle");
    chief.visit("/admin/events/?person=merle&kind=account-added").await;
    chief.see("chief created the account merle").see("merle, merle@example.org, merchant");
    chief.visit("/admin/events/?by=chief").await;
    chief.see("chief created the account merle");
    chief.visit("/admin/events/?by=merle").await;
    chief.see("No events match these filters.");
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
        chief.see("Enter a reason.");
    }
    let why = ("reason", "because of a test");
    assert_eq!(act(&mut chief, &person, "remove-picture", &[why]).await, 200);
    chief.see("Picture removed.");
    // What its person could crop from goes within the hour.
    assert_eq!(std::fs::read_dir(site.folder.path().join("media")).unwrap().count(), 1);
    assert_eq!(
        act(
            &mut chief,
            &person,
            "edit",
            &[("username", "annabel"), ("full_name", "Ann Bel"), ("phone", ""), ("about", "")]
        )
        .await,
        200
    );
    chief.see("Details saved.").see("@annabel").see("Ann Bel");
    assert_eq!(act(&mut chief, &person, "edit", &[("username", "annabel"), ("phone", "12")]).await, 422);
    assert_ne!(chief.problem("Phone"), "");
    assert!(ann.is_signed_in().await);
    assert_eq!(act(&mut chief, &person, "end-sessions", &[why]).await, 200);
    assert!(!ann.is_signed_in().await);
    assert_eq!(act(&mut chief, &person, "end-sessions", &[why]).await, 422);
    chief.see("This person is already signed out.");
    assert_eq!(act(&mut chief, &person, "send-reset", &[]).await, 200);
    site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    // No budget keeps a superuser from helping.
    assert_eq!(act(&mut chief, &person, "send-reset", &[]).await, 200);
    site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    assert_eq!(act(&mut chief, &person, "role", &[why, ("role", "merchant")]).await, 200);
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your role has changed");
    assert_eq!(act(&mut chief, &person, "block", &[why]).await, 200);
    let mail = site.mail_to("annalee@example.org").await;
    assert!(mail.subject == "Your account has been blocked" && mail.text.contains("because of a test"));
    ann.sign_in_at("/auth/sign-in/merchant/", "annabel", PASSWORD).await;
    ann.status(403).see("because of a test");
    assert_eq!(act(&mut chief, &person, "block", &[why]).await, 422);
    assert_eq!(act(&mut chief, &person, "unblock", &[]).await, 200);
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your account has been unblocked");
    ann.sign_in_at("/auth/sign-in/merchant/", "annabel", PASSWORD).await;
    ann.status(200);

    let other = open(&mut chief, "lateral").await;
    assert_eq!(act(&mut chief, &other, "send-code", &[]).await, 200);
    site.code_to("late@example.org").await;
    assert_eq!(act(&mut chief, &other, "verify", &[]).await, 200);
    late.sign_in("lateral", PASSWORD).await;
    late.status(200).see("@lateral");
    assert_eq!(act(&mut chief, &other, "verify", &[]).await, 422);

    chief.visit(&format!("{person}delete/")).await;
    chief.fill("Reason", "because of a test").fill("To confirm, enter the username", "annabel");
    chief.press("Delete account permanently").await;
    chief.status(200).see("Account deleted.");
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your account has been deleted");
    assert!(!ann.is_signed_in().await);
    chief.visit(&person).await;
    chief.status(404);

    let id = person.split('/').nth(3).unwrap();
    chief.visit(&format!("/admin/events/?person={id}")).await;
    for told in [
        "chief removed (deleted account) 's picture “because of a test”",
        "username “annalee” username “annabel” Name",
        "chief signed (deleted account) out “because of a test” sessions: 1 signed out",
        "chief sent a password link to (deleted account)",
        "chief made (deleted account) a merchant “because of a test” User Merchant",
        "chief blocked (deleted account) “because of a test”",
        "chief unblocked (deleted account) Had been blocked: because of a test",
        "chief deleted the account (deleted account) “because of a test” annabel, annalee@example.org, merchant",
    ] {
        chief.see(told);
    }
    chief.visit("/admin/events/?person=lateral").await;
    chief
        .see("chief sent a code to lateral")
        .see("chief confirmed lateral 's email address")
        .see("Not confirmed Active");
    assert_eq!(
        chief.page().body.split("class=\"events\"").nth(1).unwrap().matches("<li>").count(),
        4,
        "{}",
        chief.page()
    );
}

async fn of_two_who_wait_for_a_code_at_one_address_either_can_be_confirmed(site: &Site) {
    let mut chief = superuser(site).await;
    site.visitor().sign_up("firstly", "ann@example.org", PASSWORD).await;
    site.mail_to("ann@example.org").await;
    site.visitor().sign_up("secondly", "ann@example.org", PASSWORD).await;
    site.mail_to("ann@example.org").await;
    let second = open(&mut chief, "secondly").await;
    assert_eq!(act(&mut chief, &second, "verify", &[]).await, 200);
    let mut ann = site.visitor();
    ann.sign_in("ann@example.org", PASSWORD).await;
    ann.status(200).see("@secondly").see("ann@example.org");
    // What looks like a sign-up for an address that has an account is nobody's.
    site.visitor().sign_up("thirdly", "ann@example.org", PASSWORD).await;
    let third = open(&mut chief, "thirdly").await;
    assert_eq!(act(&mut chief, &third, "verify", &[]).await, 422);
    chief.see("This email address belongs to another account");
}

async fn nobody_acts_on_themselves_and_the_last_superuser_stays(site: &Site) {
    let mut chief = superuser(site).await;
    let own = open(&mut chief, "chief").await;
    assert!(!chief.page().sees("Actions"));
    for (what, fields) in
        [("block", vec![]), ("role", vec![("role", "user")]), ("delete", vec![]), ("end-sessions", vec![])]
    {
        let fields: Vec<(&str, &str)> = fields.into_iter().chain([("reason", "x")]).collect();
        assert_eq!(act(&mut chief, &own, what, &fields).await, 422, "{what}");
        chief.see("This is your own account.");
    }
    let mut second = admin(site, Role::Superuser, "second").await;
    let other = open(&mut chief, "second").await;
    // Both at once: one of them wins, and that one stays.
    for (what, fields) in [
        ("block", vec![("reason", "x")]),
        ("role", vec![("reason", "x"), ("role", "user")]),
        ("delete", vec![("reason", "x")]),
    ] {
        let form = |visitor: &Visitor, path: &str| visitor.posting(&format!("{path}{what}/"), &fields);
        let answers = at_once([form(&chief, &other), form(&second, &own)]).await;
        let done = answers.iter().filter(|answer| answer.has_notice).count();
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
    chief.see("Confirm it's you");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    assert!(chief.path().starts_with(&person), "{}", chief.path());
    chief.see("Account blocked").see("Sold parcels");
    // What helps somebody needs no password.
    site.wait(minutes(11)).await;
    chief.visit(&person).await;
    assert_eq!(act(&mut chief, &person, "unblock", &[]).await, 200);
    chief.see("Account unblocked.");
    for page in ["/admin/users/new/".to_owned(), format!("{person}delete/")] {
        chief.visit(&page).await;
        chief.see("Confirm it's you");
    }
}

async fn one_browser_of_several_can_be_signed_out(site: &Site) {
    let mut chief = superuser(site).await;
    let mut ann = site.member("annalee").await;
    let mut phone = site.visitor();
    phone.sign_in("annalee", PASSWORD).await;
    let person = open(&mut chief, "annalee").await;
    let body = chief.visit(&format!("{person}?tab=sessions")).await.body.clone();
    // The newest stands first, after "All of them".
    let newest = body.split("<option value=\"0").nth(1).unwrap().split('"').next().unwrap();
    let newest = format!("0{newest}");
    assert_eq!(act(&mut chief, &person, "end-sessions", &[("reason", "x"), ("session", &newest)]).await, 200);
    assert!(!phone.is_signed_in().await);
    assert!(ann.is_signed_in().await);
    assert_eq!(act(&mut chief, &person, "end-sessions", &[("reason", "x"), ("session", &newest)]).await, 422);
}

async fn those_ticked_are_helped_and_nobody_else(site: &Site) {
    let mut chief = superuser(site).await;
    let mut waiting = Vec::new();
    for name in ["waiter-one", "waiter-two", "waiter-three"] {
        let mut visitor = site.visitor();
        visitor.sign_up(name, &format!("{name}@example.org"), PASSWORD).await;
        site.mail_to(&format!("{name}@example.org")).await;
        waiting.push(visitor);
    }
    site.wait(minutes(2)).await;
    let bulk = async |chief: &mut Visitor, what: &str, whom: &[&str], button: &str, done: &str| {
        let applies_to = button.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap();
        chief.visit("/admin/users/?q=waiter").await;
        for name in whom {
            chief.tick_box(&format!("Select {name}"));
        }
        chief.fill("Action for selected accounts", what).press("Continue").await;
        let noun = if applies_to == 1 { "account" } else { "accounts" };
        chief.status(200).see(&format!("{applies_to} {noun} selected"));
        if what == "end-sessions" {
            chief.fill("Reason", "x");
        }
        chief.press(button).await;
        chief.status(200).see(done);
    };
    bulk(&mut chief, "send-code", &["waiter-one"], "Send 1 new code", "1 new code is on its way.").await;
    site.code_to("waiter-one@example.org").await;
    bulk(
        &mut chief,
        "verify",
        &["waiter-one", "waiter-two"],
        "Confirm 2 email addresses",
        "2 email addresses confirmed.",
    )
    .await;
    for (visitor, (name, path)) in waiting.iter_mut().zip([
        ("waiter-one", "/user-profile/"),
        ("waiter-two", "/user-profile/"),
        ("waiter-three", "/auth/verify-otp/"),
    ]) {
        visitor.sign_in(name, PASSWORD).await;
        assert!(visitor.path().starts_with(path), "{name} at {}", visitor.path());
    }
    bulk(&mut chief, "end-sessions", &["waiter-one"], "Sign out 1 account", "1 account signed out.").await;
    assert!(!waiting[0].is_signed_in().await);
    assert!(waiting[1].is_signed_in().await);
    let person = open(&mut chief, "waiter-two").await;
    assert_eq!(act(&mut chief, &person, "block", &[("reason", "x")]).await, 200);
    bulk(&mut chief, "unblock", &["waiter-one", "waiter-two"], "Unblock 1 account", "1 account unblocked.")
        .await;
    waiting[1].sign_in("waiter-two", PASSWORD).await;
    waiting[1].status(200).see("@waiter-two");
}

async fn a_block_outruns_a_code_that_is_being_entered(site: &Site) {
    let mut chief = superuser(site).await;
    for round in 0..12 {
        let (name, address) = (format!("racer-{round}"), format!("racer-{round}@example.org"));
        let mut visitor = site.visitor();
        visitor.sign_up(&name, &address, PASSWORD).await;
        let code = site.code_to(&address).await;
        let person = open(&mut chief, &name).await;
        // From another browser, so that a password is hashed in between.
        let other = visitor.other_browser();
        let confirm = other.posting(visitor.path(), &[("otp", &code), ("password", PASSWORD)]);
        let block = chief.posting(&format!("{person}block/"), &[("reason", "x")]);
        let answers = at_once([confirm, block]).await;
        assert_eq!(answers[1].status, 303, "{answers:?}");
        let alive = "SELECT COUNT(*) FROM sessions s WHERE s.ended_at IS NULL AND s.user_id IN (SELECT id FROM users WHERE blocked_at IS NOT NULL)";
        assert_eq!(site.count(alive).await, 0, "round {round}: {answers:?}");
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

async fn many_are_blocked_at_once_after_a_look_at_what_will_happen(site: &Site) {
    let mut chief = superuser(site).await;
    let mut ann = site.member("annalee").await;
    let mut bob = site.member("bobbob").await;
    chief.visit("/admin/users/").await;
    chief.press("Continue").await;
    chief.status(422).see("No accounts selected.");
    chief.visit("/admin/users/?role=user").await;
    chief
        .fill("Action for selected accounts", "block")
        .tick("All accounts in this list, on every page")
        .press("Continue")
        .await;
    chief
        .status(200)
        .see("Block 2 accounts?")
        .see("2 accounts selected annalee, bobbob")
        .see("We'll email the reason");
    assert!(ann.is_signed_in().await, "nothing has happened yet");
    chief.press("Block 2 accounts").await;
    chief.status(422).see("Enter a reason.");
    site.member("carolus").await;
    chief.fill("Reason", "Because").press("Block 2 accounts").await;
    chief
        .status(422)
        .see("The list has changed since you opened it.")
        .see("3 accounts selected annalee, bobbob, carolus");
    chief.press("Block 3 accounts").await;
    chief.status(200).see("3 accounts blocked. Details are in Events.");
    for visitor in [&mut ann, &mut bob] {
        assert!(!visitor.is_signed_in().await);
    }
    assert_eq!(
        site.count("SELECT COUNT(*) FROM events WHERE kind = 'blocked' AND detail = 'Because'").await,
        3
    );
    chief.visit("/admin/users/?status=blocked").await;
    chief.see("3 accounts");
    chief
        .fill("Action for selected accounts", "delete")
        .tick("All accounts in this list, on every page")
        .press("Continue")
        .await;
    chief.fill("Reason", "Because").fill("To confirm, enter the number of accounts", "3");
    chief.press("Delete 3 accounts").await;
    chief.see("3 accounts deleted.").see("No accounts match.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
}

/// The form that blocks all users, as its page confirms it.
async fn bulk_block(chief: &mut Visitor) -> reqwest::RequestBuilder {
    let fields = [("act", "block"), ("everybody", "on"), ("role", "user"), ("reason", "x")];
    chief.post("/admin/users/bulk/", &fields).await;
    chief.status(200).see("1,000 accounts selected");
    chief.fill("Reason", "x").submission("Block 1,000 accounts").0
}

/// What a bulk block has left: blocked accounts, live sessions of users, and events.
async fn traces(site: &Site) -> (i64, i64, i64) {
    let blocked = site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await;
    let live = site.count("SELECT COUNT(*) FROM sessions s WHERE s.ended_at IS NULL AND s.user_id IN (SELECT id FROM users WHERE role = 'user')").await;
    let events = site.count("SELECT COUNT(*) FROM events WHERE kind = 'blocked'").await;
    (blocked, live, events)
}

#[test]
fn a_bulk_block_that_is_killed_happened_to_all_or_to_nobody() {
    // Kills at ever later moments of what it takes on this machine, the first of them long before the end.
    const MOMENTS: u32 = 6;
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(sandbox) = world.sandbox() else { continue };
        sandbox.open().migrate().unwrap();
        fill(*world, &sandbox, 1111);
        // All of them signed in.
        sandbox.connection().batch_execute("UPDATE sessions SET ended_at = NULL").unwrap();
        let open =
            "UPDATE users SET blocked_at = NULL, role = CASE WHEN role = 'user' THEN 'user' ELSE 'staff' END";
        sandbox.connection().batch_execute(open).unwrap();
        run_alone(async || {
            let (folder, mail) = (tempfile::tempdir().unwrap(), MailServer::start().await);
            let mut settings = sandbox.settings.clone();
            settings.extend([("DATABASE_URL", sandbox.url()), ("COURIER", "off".to_owned())]);
            let site = Site::start(settings.clone()).await;
            site.appoint(Role::Superuser, "chief").await;
            let (mut nobody, mut whole) = (0, None);
            for moment in 0..=MOMENTS {
                let port = free_port();
                settings.insert("PUBLIC_URL", format!("http://localhost:{port}"));
                let mut program = Program::serve(folder.path(), port, &mail, &settings);
                let mut chief = Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
                chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
                let request = bulk_block(&mut chief).await;
                let began = Instant::now();
                let sent = actix_web::rt::spawn(async move {
                    request.send().await.is_ok_and(|answer| answer.status() == 303)
                });
                // The first one is left alone, and measured.
                let acknowledged = match whole {
                    Some(whole) => {
                        tokio::time::sleep(whole * moment / MOMENTS).await;
                        program.kill();
                        sent.await.unwrap()
                    }
                    None => sent.await.unwrap(),
                };
                whole.get_or_insert(began.elapsed());
                program.kill();
                let left = traces(&site).await;
                assert!(left == (0, 1000, 0) || left == (1000, 0, 1000), "{world:?} {moment}: {left:?}");
                assert!(!acknowledged || left.0 == 1000, "{world:?} {moment}");
                nobody += u32::from(left.0 == 0);
                site.sql("UPDATE sessions SET ended_at = NULL").await;
                site.sql("UPDATE users SET blocked_at = NULL").await;
                site.sql("DELETE FROM events").await;
            }
            assert!(nobody > 0, "{world:?}: no kill came before the end");
            site.stop().await;
        });
    }
}

#[test]
fn more_than_two_thousand_at_once_are_refused_also_when_confirmed_by_hand() {
    let Some(sandbox) = World::Embedded.sandbox() else { return };
    sandbox.open().migrate().unwrap();
    fill(World::Embedded, &sandbox, 2300);
    run_alone(async || {
        let site = sandbox.site().await;
        let mut chief = superuser(&site).await;
        chief.visit("/admin/users/?role=user").await;
        chief
            .fill("Action for selected accounts", "end-sessions")
            .tick("All accounts in this list, on every page")
            .press("Continue")
            .await;
        chief.status(422).see("You can change up to 2,000 accounts at a time.");
        let path = "/admin/users/bulk/";
        for confirmed in ["2001", "2000", "x"] {
            let fields = [
                ("act", "delete"),
                ("everybody", "on"),
                ("role", "user"),
                ("reason", "x"),
                ("confirmed", confirmed),
            ];
            assert_eq!(chief.post(path, &fields).await.status, 422);
        }
        // A filter that cannot be read is no wider one.
        let fields = [("act", "delete"), ("everybody", "on"), ("joined_from", "0024-11-24")];
        assert_eq!(chief.post(path, &fields).await.status, 400);
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 2301);
        site.stop().await;
    });
}
