//! Confirming an address: a code works once, five tries are five tries, and nobody confirms for a stranger.

use std::collections::HashMap;

use reqwest::RequestBuilder;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, World, at_once, minutes, seconds, stories};

/// The code entered by a script on the page where the visitor is.
fn attempt(visitor: &Visitor, code: &str) -> RequestBuilder {
    let path = visitor.path().split('?').next().unwrap().to_owned();
    visitor.posting(&path, &[("otp", code)])
}

/// A six-digit code that is not this one.
fn wrong(code: &str, number: u32) -> String {
    let number = (code.parse::<u32>().unwrap() + 1 + number % 999_999) % 1_000_000;
    format!("{number:06}")
}

stories! {
    tries_are_counted_told_and_used_up,
    a_code_runs_out_and_another_one_is_sent_once_a_minute,
    a_code_is_mailed_five_times_an_hour_at_most,
    another_browser_must_give_the_password_chosen_at_sign_up,
    a_used_link_says_so_and_leads_on,
    where_to_go_next_survives_sign_up,
}

async fn tries_are_counted_told_and_used_up(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", "12345").press("Confirm").await;
    ann.status(422);
    for (number, told) in (0..).zip([
        "You have 4 tries left",
        "You have 3 tries left",
        "You have 2 tries left",
        "You have 1 try left",
    ]) {
        ann.fill("Code", &wrong(&code, number)).press("Confirm").await;
        ann.status(422).see(told);
    }
    ann.fill("Code", &wrong(&code, 5)).press("Confirm").await;
    ann.status(422).see("Too many wrong codes.");
    let late = attempt(&ann, &code).send().await.unwrap();
    assert_eq!(late.status().as_u16(), 422, "the right one comes too late");

    site.wait(minutes(1)).await;
    ann.press("Send a new code").await;
    ann.see("We've sent you a new code.");
    let newer = site.code_to("ann@example.org").await;
    ann.fill("Code", &newer).press("Confirm").await;
    ann.see("Welcome!");
}

async fn a_code_runs_out_and_another_one_is_sent_once_a_minute(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let page = ann.path().to_owned();
    let old = site.code_to("ann@example.org").await;
    ann.press("Send a new code").await;
    ann.status(422).see("You can request another code in");
    site.wait(minutes(10)).await;
    ann.fill("Code", &old).press("Confirm").await;
    ann.status(422).see("This code has expired. Request a new one.");
    ann.visit(&page).await;
    ann.see("This code has expired. We can send you a new one.");
    ann.press("Send a new code").await;
    ann.see("We've sent you a new code.");
    let newer = site.code_to("ann@example.org").await;
    if old != newer {
        ann.fill("Code", &old).press("Confirm").await;
        ann.status(422);
    }
    ann.fill("Code", &newer).press("Confirm").await;
    ann.see("Welcome!");
}

async fn a_code_is_mailed_five_times_an_hour_at_most(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let page = ann.path().to_owned();
    for _ in 0..9 {
        site.wait(seconds(61)).await;
        ann.visit(&page).await;
        ann.press("Send a new code").await;
    }
    ann.status(422).see("You can request another code in");
    for _ in 0..5 {
        site.mail_to("ann@example.org").await;
    }
    assert_eq!(site.mail.all_to("ann@example.org").len(), 5);
}

async fn another_browser_must_give_the_password_chosen_at_sign_up(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let mail = site.mail_to("ann@example.org").await;
    let mut phone = site.visitor();
    phone.visit(&mail.link("/auth/verify-otp/")).await;
    phone.see("You're using a different browser from the one you signed up with");
    for _ in 0..4 {
        phone.fill("Your password", OTHER_PASSWORD).fill("Code", &mail.code()).press("Confirm").await;
        phone.status(422).see("That isn't the password you chose when you signed up.");
    }
    let untried = "SELECT COUNT(*) FROM verifications WHERE tries = 0";
    assert_eq!(site.count(untried).await, 1, "a wrong password costs no try");
    phone.fill("Your password", PASSWORD).fill("Code", &mail.code()).press("Confirm").await;
    phone.status(200).see("Welcome!");
    assert!(!ann.is_signed_in().await, "only the browser that confirmed is in");
}

async fn a_used_link_says_so_and_leads_on(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let link = ann.path().to_owned();
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    let mut other = site.visitor();
    other.visit(&link).await;
    other.status(410).see("You've already confirmed this address");
    other.follow("Sign in").await;
    other.status(200);
    let unknown = format!("{}x/", link.trim_end_matches('/').get(..link.len() - 2).unwrap());
    for unknown in [unknown.as_str(), "/auth/verify-otp/a/b/", "/auth/verify-otp/%00/%ff/"] {
        other.visit(unknown).await;
        other.status(404).see("This link doesn't work");
    }
}

async fn where_to_go_next_survives_sign_up(site: &Site) {
    let mut ann = site.visitor();
    ann.visit("/user-profile/update/").await;
    assert_eq!(ann.path(), "/auth/sign-in/user/?next=/user-profile/update/");
    ann.follow("Create an account").await;
    ann.fill("Username", "annalee").fill("Email address", "ann@example.org");
    ann.fill("Password", PASSWORD).fill("Repeat the password", PASSWORD).press("Create account").await;
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    assert_eq!(ann.path(), "/user-profile/update/");
}

#[test]
fn one_code_entered_two_hundred_times_at_once_signs_in_once() {
    for world in World::ALL {
        crate::harness::run(*world, async |site: &Site| {
            let mut ann = site.visitor();
            ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
            let code = site.code_to("ann@example.org").await;
            // From many addresses: it is the code that must hold, not a limit.
            let copies = (0..200).map(|number| {
                attempt(&ann, &code)
                    .header("X-Forwarded-For", format!("10.9.{}.{}", number / 100, number % 100))
            });
            let statuses: Vec<u16> = at_once(copies).await.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
            assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}");
            assert_eq!(site.count("SELECT COUNT(*) FROM sessions").await, 1);
        });
    }
}

#[test]
fn of_ten_thousand_wrong_codes_at_once_five_are_evaluated_and_the_right_one_comes_too_late() {
    crate::harness::run_alone(async || {
        let site = Site::start(HashMap::from([("RATE_LIMITS", "off".to_owned())])).await;
        let mut ann = site.visitor();
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let code = site.code_to("ann@example.org").await;
        let mut statuses: Vec<u16> = Vec::new();
        for wave in 0..40 {
            let guesses = (0..250).map(|number| attempt(&ann, &wrong(&code, 250 * wave + number)));
            statuses.extend(at_once(guesses).await.iter().map(|answer| answer.status));
        }
        assert_eq!(statuses.len(), 10_000);
        assert!(statuses.iter().all(|status| *status == 422), "no guess gets in, and none fails otherwise");
        let evaluated = "SELECT COUNT(*) FROM events WHERE kind = 'code-wrong'";
        assert_eq!(site.count(evaluated).await, 5, "the audit log has one line for each that was looked at");
        let late = attempt(&ann, &code).send().await.unwrap();
        assert_eq!(late.status().as_u16(), 422);
        assert_eq!(site.count("SELECT COUNT(*) FROM sessions").await, 0);
        site.stop().await;
    });
}
