//! What protects an account is no weapon against its owner: strangers guess, and people get in.

use std::collections::HashMap;

use latchkey::identity::Role;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, minutes, run_alone, seconds, stories};

stories! {
    strangers_guess_and_who_signed_in_here_before_gets_in_every_time,
    all_day_from_one_address_and_from_a_thousand_and_the_owner_gets_in,
    a_device_that_is_known_for_one_account_has_no_lane_for_another,
    a_name_that_is_shut_says_nothing_of_its_address,
    neighbours_use_up_no_link_of_a_known_device,
    a_known_device_has_five_wrong_passwords_too,
    a_used_reset_lets_its_person_in_at_once,
    a_superuser_acts_while_strangers_guess_at_them,
    a_taken_username_costs_its_holder_nothing,
    a_browser_that_becomes_somebody_else_leaves_nobody_behind,
}

/// Wrong passwords from many networks, until the name is shut for everybody who is not known.
async fn strangers_guess(site: &Site, login: &str) {
    for number in 0..40 {
        let fields = [("username", login), ("password", OTHER_PASSWORD)];
        let guess = site.visitor().posting("/auth/sign-in/user/", &fields);
        let guess = guess.header("X-Forwarded-For", format!("198.51.{number}.1"));
        let status = guess.send().await.unwrap().status().as_u16();
        if status == 429 {
            return;
        }
    }
    panic!("never shut");
}

async fn strangers_guess_and_who_signed_in_here_before_gets_in_every_time(site: &Site) {
    let mut ann = site.member("annalee").await;
    for round in 0..15 {
        ann.press("Sign out").await;
        for login in ["annalee", "annalee@example.org"] {
            strangers_guess(site, login).await;
        }
        ann.sign_in(if round % 2 == 0 { "annalee" } else { "annalee@example.org" }, PASSWORD).await;
        ann.status(200).see("@annalee");
        site.wait(seconds(10)).await;
    }
}

/// Wrong passwords for a name, which is public, say nothing about which address is its own.
async fn a_name_that_is_shut_says_nothing_of_its_address(site: &Site) {
    site.member("annalee").await;
    site.member("bobbob").await;
    strangers_guess(site, "annalee").await;
    strangers_guess(site, "bobbob@example.org").await;
    for login in ["annalee@example.org", "bobbob", "nobody@example.org", "nobody"] {
        let mut stranger = site.visitor();
        stranger.sign_in(login, OTHER_PASSWORD).await;
        stranger.status(422);
    }
}

/// Neighbours behind one address ask for links until it is told to wait; somebody who signed in here before still gets one.
async fn neighbours_use_up_no_link_of_a_known_device(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.press("Sign out").await;
    let neighbour = ann.other_browser();
    let mut last = 0;
    for number in 0..60 {
        let name = format!("somebody{number}");
        let post = neighbour.posting("/auth/forgot-password/", &[("username", &name)]);
        last = post.send().await.unwrap().status().as_u16();
    }
    assert_eq!(last, 429);
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    ann.status(200);
    site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
}

async fn all_day_from_one_address_and_from_a_thousand_and_the_owner_gets_in(site: &Site) {
    let mut ann = site.member("annalee").await;
    let stranger = site.visitor();
    let wrong = [("username", "annalee"), ("password", OTHER_PASSWORD)];
    for hour in 0..24 {
        for number in 0..42 {
            let address = format!("198.{}.{number}.1", 18 + hour);
            let guess = stranger.posting("/auth/sign-in/user/", &wrong).header("X-Forwarded-For", address);
            guess.send().await.unwrap();
        }
        for _ in 0..10 {
            stranger.posting("/auth/sign-in/user/", &wrong).send().await.unwrap();
        }
        ann.press("Sign out").await;
        ann.sign_in("annalee", PASSWORD).await;
        ann.status(200).see("@annalee");
        site.wait(minutes(60)).await;
    }
    // And on a device that nobody knows, by a reset.
    let mut elsewhere = site.visitor();
    elsewhere.post("/auth/forgot-password/", &[("username", "annalee")]).await;
    let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    elsewhere.visit(&link).await;
    elsewhere.fill("New password", OTHER_PASSWORD).fill("Repeat the new password", OTHER_PASSWORD);
    elsewhere.press("Change password").await;
    elsewhere.sign_in("annalee", OTHER_PASSWORD).await;
    elsewhere.status(200).see("@annalee");
}

async fn a_device_that_is_known_for_one_account_has_no_lane_for_another(site: &Site) {
    site.member("annalee").await;
    let mut bob = site.member("bobbob").await;
    bob.press("Sign out").await;
    strangers_guess(site, "annalee").await;
    bob.sign_in("annalee", PASSWORD).await;
    bob.status(429);
}

async fn a_known_device_has_five_wrong_passwords_too(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.press("Sign out").await;
    let wrong = [("username", "annalee"), ("password", OTHER_PASSWORD)];
    let mut looked_at = 0;
    for _ in 0..10 {
        let answer = ann.posting("/auth/sign-in/user/", &wrong).send().await.unwrap();
        looked_at += u32::from(answer.status().as_u16() == 422);
    }
    assert_eq!(looked_at, 5, "whoever has the device has no more guesses than others");
}

async fn a_used_reset_lets_its_person_in_at_once(site: &Site) {
    site.member("annalee").await;
    strangers_guess(site, "annalee").await;
    let mut ann = site.visitor();
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    ann.visit(&link).await;
    ann.fill("New password", OTHER_PASSWORD).fill("Repeat the new password", OTHER_PASSWORD);
    ann.press("Change password").await;
    ann.sign_in("annalee", OTHER_PASSWORD).await;
    ann.status(200).see("@annalee");
}

async fn a_superuser_acts_while_strangers_guess_at_them(site: &Site) {
    site.appoint(Role::Superuser, "chief").await;
    site.member("annalee").await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    for _ in 0..15 {
        let mut guessed = 0;
        while guessed < 6 {
            let fields = [("username", "chief"), ("password", "wrong password here")];
            site.visitor().posting("/auth/sign-in/superuser/", &fields).send().await.unwrap();
            guessed += 1;
        }
        site.wait(minutes(11)).await;
        chief.visit("/auth/confirm-password/").await;
        chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
        chief.status(200);
        assert!(!chief.path().contains("confirm"), "{}", chief.page());
    }
}

async fn a_taken_username_costs_its_holder_nothing(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.press("Sign out").await;
    for number in 0..8 {
        let mut stranger = site.visitor();
        stranger.sign_up("annalee", &format!("s{number}@example.org"), PASSWORD).await;
        stranger.status(422);
        assert_eq!(stranger.problem("Username"), "That username is taken. Choose another.");
    }
    let mut phone = site.visitor();
    phone.sign_in("annalee", PASSWORD).await;
    phone.status(200).see("@annalee");
}

async fn a_browser_that_becomes_somebody_else_leaves_nobody_behind(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut copy: Visitor = ann.twin();
    site.visitor().sign_up("bobbob", "bob@example.org", PASSWORD).await;
    let mail = site.mail_to("bob@example.org").await;
    // Her browser confirms his sign-up, and is his from then on.
    ann.visit(&mail.link("/auth/verify-otp/")).await;
    ann.fill("Your password", PASSWORD).fill("Code", &mail.code()).press("Confirm").await;
    ann.see("@bobbob");
    assert!(!copy.is_signed_in().await, "what she left behind is signed in as nobody");
}

#[test]
fn from_outside_the_admin_networks_the_password_of_a_superuser_is_wrong() {
    run_alone(async || {
        let settings = HashMap::from([("ADMIN_NETWORKS", "192.0.2.0/24".to_owned())]);
        let site = Site::start(settings).await;
        site.appoint(Role::Superuser, "chief").await;
        site.appoint(Role::User, "annalee").await;
        let sign_in = async |from: &str, door: &str, name: &str| {
            let fields = [("username", name), ("password", OTHER_PASSWORD)];
            let request = site.visitor().posting(door, &fields).header("X-Forwarded-For", from.to_owned());
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let (status, page) = sign_in("198.51.100.1", "/auth/sign-in/user/", "chief").await;
        assert!(status == 422 && page.contains("Wrong username or password"), "{page}");
        assert_eq!(sign_in("198.51.100.1", "/auth/sign-in/superuser/", "chief").await.0, 403);
        assert_eq!(sign_in("192.0.2.1", "/auth/sign-in/superuser/", "chief").await.0, 303);
        assert_eq!(sign_in("198.51.100.1", "/auth/sign-in/user/", "annalee").await.0, 303);
        site.stop().await;
    });
}
