//! How often things may be done, and that each form says when to come back.

use std::collections::HashMap;

use reqwest::{Method, RequestBuilder};

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, World, pictures, run, run_alone, stories};

stories! {
    one_network_gets_twenty_wrong_passwords_whatever_the_accounts,
    wrong_passwords_inside_count_for_their_session_alone,
    a_household_with_many_networks_of_ipv6_is_one_guesser,
    guessable_passwords_are_judged_only_within_the_limit_of_sign_ups,
}

async fn one_network_gets_twenty_wrong_passwords_whatever_the_accounts(site: &Site) {
    for name in ["anna", "berta", "carla", "dora", "emma", "frida"] {
        site.member(&format!("{name}lee")).await;
    }
    let visitor = site.visitor();
    let mut evaluated = 0;
    // Four for each: fewer than an account allows, at fewer accounts than a network may try.
    for name in ["anna", "berta", "carla", "dora", "emma", "frida"] {
        for _ in 0..4 {
            let fields = [("username", format!("{name}lee")), ("password", OTHER_PASSWORD.to_owned())];
            let fields = fields.each_ref().map(|(field, value)| (*field, value.as_str()));
            let answer = visitor.posting("/auth/sign-in/user/", &fields).send().await.unwrap();
            evaluated += u32::from(answer.status().as_u16() == 422);
        }
    }
    assert_eq!(evaluated, 20);
}

async fn wrong_passwords_inside_count_for_their_session_alone(site: &Site) {
    let ann = site.member("annalee").await;
    let mut at_work = site.visitor();
    at_work.sign_in("annalee", PASSWORD).await;
    let wrong = || ann.posting("/auth/confirm-password/", &[("current_password", OTHER_PASSWORD)]);
    assert_eq!(until_refused(wrong).await, 5);
    at_work.visit("/auth/confirm-password/").await;
    at_work.fill("Current password", PASSWORD).press("Confirm").await;
    at_work.status(200);
    // Those at her home still sign in, whoever guesses there.
    let mut neighbour = site.member("berta").await;
    neighbour.press("Sign out").await;
    neighbour.sign_in("berta", PASSWORD).await;
    neighbour.status(200).see("@berta");
}

async fn a_household_with_many_networks_of_ipv6_is_one_guesser(site: &Site) {
    let stranger = site.visitor();
    let guess = |number: u32| {
        let name = format!("person{}", number % 10);
        let guess = stranger
            .posting("/auth/sign-in/user/", &[("username", name.as_str()), ("password", OTHER_PASSWORD)]);
        guess.header("X-Forwarded-For", format!("2001:db8:7:{number:x}::1"))
    };
    let mut evaluated = 0;
    for number in 0..120 {
        evaluated += u32::from(guess(number).send().await.unwrap().status().as_u16() == 422);
    }
    // Five for each of ten names, whatever the networks; sixty for the /56, were there more names.
    assert_eq!(evaluated, 50);
}

async fn guessable_passwords_are_judged_only_within_the_limit_of_sign_ups(site: &Site) {
    let visitor = site.visitor();
    let guessable = "4@8({[<369!1|70$5+7%2".repeat(6);
    let fields = [
        ("username", "annalee"),
        ("email", "ann@example.org"),
        ("password", "password1"),
        ("confirm_password", "password1"),
    ];
    let answer = visitor.posting("/auth/sign-up/user/", &fields).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("This password is too easy to guess"));
    let mut costly = fields;
    (costly[2].1, costly[3].1) = (&guessable, &guessable);
    // Whatever else is wrong is said first, and nothing is judged for it.
    costly[1].1 = "nonsense";
    let answer = visitor.posting("/auth/sign-up/user/", &costly).send().await.unwrap();
    let page = answer.text().await.unwrap();
    assert!(page.contains("Enter an email address") && !page.contains("too easy to guess"), "{page}");
    for _ in 0..9 {
        let answer = visitor.posting("/auth/sign-up/user/", &fields).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 422);
    }
    assert_eq!(visitor.posting("/auth/sign-up/user/", &fields).send().await.unwrap().status().as_u16(), 429);
}

async fn someone_forgot(site: &Site, login: &str) {
    let fields = [("username", login)];
    site.visitor().posting("/auth/forgot-password/", &fields).send().await.unwrap();
}

/// Sends the same request until it is refused; returns how often it was not.
async fn until_refused(request: impl Fn() -> RequestBuilder) -> u32 {
    for count in 0..100 {
        let answer = request().send().await.unwrap();
        if answer.status().as_u16() == 429 {
            let wait = answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
            assert!((1..=8640).contains(&wait), "{wait}");
            return count;
        }
    }
    panic!("never refused");
}

#[test]
fn every_form_that_costs_something_says_when_to_come_back() {
    run(World::Embedded, async |site: &Site| {
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/change-email/").await;
        ann.fill("New email address", "lee@example.org").fill("Current password", PASSWORD);
        ann.press("Send the code").await;
        let mut waiting = site.visitor();
        waiting.sign_up("lateral", "late@example.org", PASSWORD).await;
        let verify = waiting.path().to_owned();
        let resend = verify.replace("verify-otp", "resend-otp");
        let from = |network: u32, visitor: &Visitor, path: &str, fields: &[(&str, &str)]| {
            visitor.posting(path, fields).header("X-Forwarded-For", format!("10.210.{network}.1"))
        };
        let someone = site.visitor();
        let sign_up =
            [("username", "x"), ("email", "a@b.cd"), ("password", PASSWORD), ("confirm_password", PASSWORD)];
        let sign_up = |number: u32| {
            let name = format!("person{number}");
            let mut fields = sign_up;
            fields[0].1 = &name;
            from(1, &someone, "/auth/sign-up/user/", &fields)
        };
        let number = std::cell::Cell::new(0);
        let next = || {
            number.set(number.get() + 1);
            sign_up(number.get())
        };
        assert_eq!(until_refused(next).await, 10, "sign-ups");
        let code = [("otp", "nonsense")];
        assert_eq!(until_refused(|| from(2, &waiting, &verify, &code)).await, 60, "codes");
        assert_eq!(until_refused(|| from(3, &waiting, &resend, &[])).await, 0, "further codes of the same");
        let pending = "/user-profile/change-email/verify/";
        assert_eq!(until_refused(|| from(4, &ann, pending, &code)).await, 60, "codes for a new address");
        let further = "/user-profile/change-email/resend/";
        assert_eq!(until_refused(|| from(5, &ann, further, &[])).await, 0, "further ones");
        let begin = [("email", "x@example.org"), ("current_password", PASSWORD)];
        let changes = until_refused(|| from(6, &ann, "/user-profile/change-email/", &begin)).await;
        assert_eq!(changes, 4, "the first was the fifth");
        let forgot = [("username", "nobody1")];
        assert_eq!(until_refused(|| from(7, &someone, "/auth/forgot-password/", &forgot)).await, 20);
        someone_forgot(site, "annalee").await;
        let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
        assert_eq!(until_refused(|| someone.posting(&link, &[])).await, 20, "uses of a link");
    });
}

#[test]
fn one_account_sends_twenty_pictures_and_then_waits_before_its_next_is_read() {
    run(World::Embedded, async |site: &Site| {
        let ann = site.member("annalee").await;
        let picture = pictures::png(8, 8);
        let upload = || {
            let part = reqwest::multipart::Part::bytes(picture.clone()).file_name("a.png");
            let form = reqwest::multipart::Form::new().part("profile_picture", part);
            ann.request(Method::POST, "/user-profile/change-picture/").multipart(form)
        };
        assert_eq!(until_refused(upload).await, 20);
    });
}

#[test]
fn a_classroom_behind_one_address_signs_up_together_where_the_operator_says_so() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("LIMITS_SIGN_UP", "100/hour".to_owned())])).await;
        let teacher = site.visitor();
        for number in 0..25 {
            let mut pupil = teacher.other_browser();
            pupil.sign_up(&format!("pupil{number}"), &format!("p{number}@example.org"), PASSWORD).await;
            pupil.status(200).see("Confirm your email address");
        }
        site.stop().await;
    });
}
