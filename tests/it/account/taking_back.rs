//! An account that somebody else has in hand: its owner is told, and takes it back with one link and one form.

use futures_util::future::join_all;
use latchkey::identity::Role;

use super::change_email;
use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, hours, minutes, stories};

stories! {
    a_sign_in_on_a_new_device_is_mailed_to_its_owner,
    a_sign_in_after_five_wrong_passwords_is_mailed_to_its_owner,
    at_most_one_alarm_an_hour_and_three_a_day,
    guesses_before_the_owner_signs_in_silence_no_alarm,
    the_link_of_an_alarm_only_shows_until_it_is_pressed,
    an_account_taken_over_comes_back_by_one_link_and_one_form,
    thief_and_owner_act_at_the_same_moment,
    an_owner_who_is_still_signed_in_takes_the_account_back_from_inside,
    an_owner_who_changed_the_address_themselves_keeps_it,
    a_new_password_forgets_the_devices_that_others_may_have,
    whoever_has_just_changed_the_address_gets_no_link_that_takes_the_account,
    a_passer_by_cannot_take_the_account_back,
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const MINE: &str = "annalee@example.org";
const THIEFS: &str = "thief@example.org";
const NEW_PASSWORD: &str = "copper meadow lantern";

/// Somebody at another place who knows the password.
async fn thief(site: &Site) -> Visitor {
    let mut thief = site.visitor();
    let fields = [("username", "annalee"), ("password", PASSWORD)];
    let request = thief.posting("/auth/sign-in/user/", &fields).header("User-Agent", FIREFOX);
    thief.send(request, "/auth/sign-in/user/").await;
    thief.status(200).see("@annalee");
    thief
}

async fn choose_password(visitor: &mut Visitor, password: &str) {
    visitor.fill("New password", password).fill("Repeat the new password", password);
    visitor.press("Change password").await;
    visitor.status(200).see("Your password has been changed.");
}

async fn a_sign_in_on_a_new_device_is_mailed_to_its_owner(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut thief = thief(site).await;
    let alarm = site.mail.alarm_to(MINE).await;
    for said in ["from a device we don't recognise", "Firefox on Linux", "IP address 10.", "This wasn't me"] {
        assert!(alarm.text.contains(said), "“{said}” in {}", alarm.text);
    }
    // Once known, a device alarms nobody any more; nor did the one that signed up.
    site.wait(hours(2)).await;
    for visitor in [&mut thief, &mut ann] {
        visitor.sign_in("annalee", PASSWORD).await;
        visitor.see("@annalee");
    }
    site.wait(minutes(1)).await;
    assert_eq!(site.mail.alarms_to(MINE), 1);
}

async fn a_sign_in_after_five_wrong_passwords_is_mailed_to_its_owner(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/").await;
    ann.press("Sign out").await;
    for _ in 0..5 {
        site.visitor().sign_in("annalee", "wrong password here").await;
    }
    ann.sign_in("annalee", PASSWORD).await;
    ann.see("@annalee");
    let alarm = site.mail.alarm_to(MINE).await;
    assert!(alarm.text.contains("after several wrong passwords"), "{}", alarm.text);
    assert!(alarm.text.contains("/auth/secure-account/"), "{}", alarm.text);
    // They are told once.
    site.wait(hours(2)).await;
    ann.sign_in("annalee", PASSWORD).await;
    for _ in 0..4 {
        site.visitor().sign_in("annalee", "wrong password here").await;
    }
    ann.press("Sign out").await;
    ann.sign_in("annalee", PASSWORD).await;
    ann.see("@annalee");
    site.wait(minutes(1)).await;
    assert_eq!(site.mail.alarms_to(MINE), 1);
}

async fn at_most_one_alarm_an_hour_and_three_a_day(site: &Site) {
    site.member("annalee").await;
    let mut sent = Vec::new();
    for half_hour in 0..20 {
        thief(site).await;
        site.wait(minutes(30)).await;
        if site.mail.alarms_to(MINE) > sent.len() {
            sent.push(half_hour);
        }
    }
    assert!(sent.len() == 3 && sent.windows(2).all(|pair| pair[1] - pair[0] >= 2), "{sent:?}");
}

/// A thief who knows the password first makes the owner's own sign-in an alarm.
async fn guesses_before_the_owner_signs_in_silence_no_alarm(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/").await;
    ann.press("Sign out").await;
    for _ in 0..5 {
        site.visitor().sign_in(MINE, "wrong password here").await;
    }
    ann.sign_in("annalee", PASSWORD).await;
    assert!(site.mail.alarm_to(MINE).await.text.contains("after several wrong passwords"));
    site.wait(minutes(5)).await;
    thief(site).await;
    let alarm = site.mail.alarm_to(MINE).await;
    assert!(alarm.text.contains("from a device we don't recognise"), "{}", alarm.text);
    // And the next thief, once the account has been taken back, is told of within the hour.
    ann.visit(&alarm.link("/auth/secure-account/")).await;
    ann.press("This wasn't me").await;
    choose_password(&mut ann, PASSWORD).await;
    thief(site).await;
    site.mail.alarm_to(MINE).await;
}

async fn the_link_of_an_alarm_only_shows_until_it_is_pressed(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut thief = thief(site).await;
    thief.visit("/user-profile/update/").await;
    thief.fill("Username", "annastolen").press("Save").await;
    let link = site.mail.alarm_to(MINE).await.link("/auth/secure-account/");
    let mut owner = site.visitor();
    for _ in 0..3 {
        owner.visit(&link).await;
        owner.status(200).see("Secure your account").see("sign out every device");
    }
    owner.see("annastolen signed in").see("annastolen changed their details").see("annalee");
    assert!(thief.is_signed_in().await && ann.is_signed_in().await);
    owner.press("This wasn't me").await;
    owner.status(200).see("Now choose a new password that you don't use anywhere else.");
    assert!(!thief.is_signed_in().await && !ann.is_signed_in().await);
    choose_password(&mut owner, NEW_PASSWORD).await;
    owner.visit(&link).await;
    owner.status(410).see("already been used");
    let backwards: String = link.split('/').nth(4).unwrap().chars().rev().collect();
    let (before, _) = link.trim_end_matches('/').rsplit_once('/').unwrap();
    owner.visit(&format!("{before}/{backwards}/")).await;
    owner.status(404);
    let mut staff = site.visitor();
    site.appoint(Role::Superuser, "keeper").await;
    staff.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
    staff.visit("/admin/events/").await;
    staff.see("chose “This wasn't me”");
    // It works for as long as a change of address can be undone.
    site.wait(hours(2)).await;
    owner.sign_in("annastolen", NEW_PASSWORD).await;
    site.visitor().sign_in("annastolen", NEW_PASSWORD).await;
    let late = site.mail.alarm_to(MINE).await.link("/auth/secure-account/");
    site.wait(hours(73)).await;
    owner.visit(&late).await;
    owner.status(410).see("expired");
}

async fn an_account_taken_over_comes_back_by_one_link_and_one_form(site: &Site) {
    site.member("annalee").await;
    let mut thief = thief(site).await;
    let alarm = site.mail.alarm_to(MINE).await;
    change_email(site, &mut thief, PASSWORD, THIEFS).await;
    let undo = site.mail_to(MINE).await.link("/auth/undo-email/");
    thief.change_password(PASSWORD, OTHER_PASSWORD).await;
    thief.status(200).see("Your password has been changed.");
    let mut second = site.visitor();
    second.sign_in(THIEFS, OTHER_PASSWORD).await;
    second.see("@annalee");
    site.visitor().post("/auth/forgot-password/", &[("username", "annalee")]).await;
    site.mail_to(THIEFS).await;
    let reset = site.mail_to(THIEFS).await.link("/auth/reset-password/");
    // A second change waits for its code, and so does the deletion.
    second.visit("/user-profile/change-email/").await;
    second.fill("New email address", "thief2@example.org").fill("Current password", OTHER_PASSWORD);
    second.press("Send the code").await;
    let code = site.code_to("thief2@example.org").await;
    let mut third = site.visitor();
    third.sign_in("annalee", OTHER_PASSWORD).await;
    third.visit("/user-profile/delete/").await;
    third.fill("To confirm, enter your username", "annalee").fill("Current password", OTHER_PASSWORD);
    third.press("Delete my account").await;
    third.status(200).see("your account will be deleted");
    let keep = site.mail_to(THIEFS).await.link("/auth/keep-account/");

    let mut owner = site.visitor();
    owner.visit(&alarm.link("/auth/secure-account/")).await;
    owner
        .status(200)
        .see(MINE)
        .see("annalee changed their email address")
        .see("annalee changed their password");
    owner.press("This wasn't me").await;
    owner.status(200).see("Your old email address has been restored");
    choose_password(&mut owner, NEW_PASSWORD).await;
    owner.sign_in(MINE, NEW_PASSWORD).await;
    owner.status(200).see("@annalee").see(MINE);

    for visitor in [&mut thief, &mut second, &mut third] {
        assert!(!visitor.is_signed_in().await);
        visitor.sign_in("annalee", OTHER_PASSWORD).await;
        visitor.status(422);
    }
    thief.sign_in(THIEFS, OTHER_PASSWORD).await;
    thief.status(422);
    second.post("/user-profile/change-email/verify/", &[("otp", &code)]).await;
    for link in [&reset, &undo, &keep] {
        thief.visit(link).await;
        thief.status(410);
    }
    assert_eq!(
        site.count("SELECT COUNT(*) FROM users WHERE email = 'annalee@example.org' AND leaves_at IS NULL")
            .await,
        1
    );
    // Their devices are known no more: even with the right password they alarm.
    let before = site.mail.alarms_to(MINE);
    site.wait(hours(25)).await;
    second.sign_in("annalee", NEW_PASSWORD).await;
    second.see("@annalee");
    site.mail.alarm_to(MINE).await;
    assert_eq!(site.mail.alarms_to(MINE), before + 1);
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'account-secured'").await, 1);
}

/// A hundred times: whatever they do at once, the owner has the account afterwards, and the thief nothing.
async fn thief_and_owner_act_at_the_same_moment(site: &Site) {
    let ann = site.member("annalee").await;
    drop(ann);
    for round in 0..100 {
        site.wait(hours(9)).await;
        let mut thief = thief(site).await;
        let link = site.mail.alarm_to(MINE).await.link("/auth/secure-account/");
        let other = site.visitor();
        let mut code = String::new();
        if round % 20 == 0 {
            let fields = [("email", THIEFS), ("current_password", PASSWORD)];
            thief.post("/user-profile/change-email/", &fields).await;
            code = code_to(site, THIEFS).await;
        }
        let attack = match round % 5 {
            0 if !code.is_empty() => thief.posting("/user-profile/change-email/verify/", &[("otp", &code)]),
            1 => thief.posting(
                "/user-profile/update-password/",
                &[
                    ("current_password", PASSWORD),
                    ("password", OTHER_PASSWORD),
                    ("confirm_password", OTHER_PASSWORD),
                ],
            ),
            2 => thief
                .posting("/user-profile/delete/", &[("username", "annalee"), ("current_password", PASSWORD)]),
            3 => thief.posting("/auth/refresh/", &[]),
            _ => other.posting("/auth/sign-in/user/", &[("username", "annalee"), ("password", PASSWORD)]),
        };
        let mut owner = site.visitor();
        owner.visit(&link).await;
        let (rescue, path) = owner.submission("This wasn't me");
        let answers = join_all([attack.send(), rescue.send()]).await;
        let rescued = answers.into_iter().next_back().unwrap().unwrap();
        assert_eq!(rescued.status(), 303, "round {round}: {path}");
        let to = rescued.headers()["location"].to_str().unwrap().to_owned();
        owner.visit(&to).await;
        assert!(!thief.is_signed_in().await, "round {round}");
        assert_eq!(
            site.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await,
            0,
            "round {round}"
        );
        assert_eq!(
            site.count(
                "SELECT COUNT(*) FROM users WHERE email = 'annalee@example.org' AND leaves_at IS NULL"
            )
            .await,
            1,
            "round {round}"
        );
        choose_password(&mut owner, PASSWORD).await;
        for wrong in [OTHER_PASSWORD] {
            thief.sign_in("annalee", wrong).await;
            thief.status(422);
        }
    }
}

async fn an_owner_who_is_still_signed_in_takes_the_account_back_from_inside(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut thief = thief(site).await;
    change_email(site, &mut thief, PASSWORD, THIEFS).await;
    site.mail_to(MINE).await;
    ann.visit("/user-profile/activity/").await;
    ann.follow("This wasn't me").await;
    ann.status(200).see("a•••@example.org").see("annalee changed their email address");
    ann.press("This wasn't me").await;
    ann.status(200).see("We've emailed you a link");
    assert!(!ann.is_signed_in().await && !thief.is_signed_in().await);
    thief.sign_in("annalee", PASSWORD).await;
    thief.status(422);
    let link = site.mail_to(MINE).await.link("/auth/reset-password/");
    ann.visit(&link).await;
    choose_password(&mut ann, NEW_PASSWORD).await;
    ann.sign_in(MINE, NEW_PASSWORD).await;
    ann.status(200).see("@annalee").see(MINE);
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'account-secured'").await, 1);
}

async fn an_owner_who_changed_the_address_themselves_keeps_it(site: &Site) {
    let mut ann = site.member("annalee").await;
    change_email(site, &mut ann, PASSWORD, "new@example.org").await;
    let mut thief = thief(site).await;
    ann.visit("/user-profile/secure-account/").await;
    ann.tick("I changed my email address myself. Keep new@example.org and send the link there.");
    ann.press("This wasn't me").await;
    ann.status(200).see("We've emailed you a link");
    assert!(!thief.is_signed_in().await);
    let link = loop {
        let mail = site.mail_to("new@example.org").await;
        if mail.text.contains("/auth/reset-password/") {
            break mail.link("/auth/reset-password/");
        }
    };
    ann.visit(&link).await;
    choose_password(&mut ann, NEW_PASSWORD).await;
    ann.sign_in("new@example.org", NEW_PASSWORD).await;
    ann.see("@annalee");
    // Once somebody else has the old address, it is not brought back.
    let mut bob = site.visitor();
    bob.sign_up("bobbob", MINE, PASSWORD).await;
    let code = code_to(site, MINE).await;
    bob.fill("Code", &code).press("Confirm").await;
    bob.status(200).see("@bobbob");
    ann.visit("/user-profile/secure-account/").await;
    ann.see("new@example.org");
    assert!(!ann.page().sees("undo the latest change"), "{}", ann.page());
}

/// The code in the next mail to that address that has one.
async fn code_to(site: &Site, address: &str) -> String {
    loop {
        let mail = site.mail_to(address).await;
        if mail.subject.contains("code") {
            return mail.code();
        }
    }
}

async fn a_new_password_forgets_the_devices_that_others_may_have(site: &Site) {
    let mut ann = site.member("annalee").await;
    let stolen = ann.cookie("latchkey-device").expect("a cookie").to_owned();
    for (how, password) in [("a reset", NEW_PASSWORD), ("a change", PASSWORD)] {
        if how == "a reset" {
            ann.press("Sign out").await;
            ann.post("/auth/forgot-password/", &[("username", "annalee")]).await;
            let link = site.mail_to(MINE).await.link("/auth/reset-password/");
            ann.visit(&link).await;
            choose_password(&mut ann, password).await;
            ann.sign_in("annalee", password).await;
        } else {
            ann.change_password(NEW_PASSWORD, password).await;
        }
        ann.status(200);
        let before = site.mail.alarms_to(MINE);
        let mut thief = site.visitor();
        thief.set_cookie("latchkey-device", &stolen);
        thief.sign_in("annalee", password).await;
        site.mail.alarm_to(MINE).await;
        assert_eq!(site.mail.alarms_to(MINE), before + 1, "after {how}");
        site.wait(hours(2)).await;
        // Their own is known.
        ann.sign_in("annalee", password).await;
        ann.see("@annalee");
        site.wait(minutes(1)).await;
        assert_eq!(site.mail.alarms_to(MINE), before + 1, "after {how}");
    }
}

async fn whoever_has_just_changed_the_address_gets_no_link_that_takes_the_account(site: &Site) {
    site.member("annalee").await;
    let mut thief = thief(site).await;
    site.mail.alarm_to(MINE).await;
    change_email(site, &mut thief, PASSWORD, THIEFS).await;
    site.wait(hours(2)).await;
    // The owner signs in again somewhere, and the thief's mailbox is told of it.
    site.visitor().sign_in("annalee", PASSWORD).await;
    let alarm = site.mail.alarm_to(THIEFS).await;
    assert!(!alarm.text.contains("/auth/secure-account/"), "{}", alarm.text);
}

async fn a_passer_by_cannot_take_the_account_back(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.wait(minutes(11)).await;
    ann.visit("/user-profile/secure-account/").await;
    ann.press("This wasn't me").await;
    ann.status(200).see("Confirm it's you").see("Sign out every device and choose a new password");
    ann.fill("Current password", "not the password").press("Confirm").await;
    ann.status(422);
    assert!(ann.twin().is_signed_in().await);
    ann.fill("Current password", PASSWORD).press("Confirm").await;
    ann.status(200).see("We've emailed you a link");
    site.mail_to(MINE).await.link("/auth/reset-password/");
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(422);
}
