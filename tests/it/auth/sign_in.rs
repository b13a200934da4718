//! Signing in: the four doors, what is told to whom, and how often one may guess.

use latchkey::identity::Role;
use reqwest::RequestBuilder;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, at_once, minutes, seconds, stories};

fn request(visitor: &Visitor, login: &str, password: &str) -> RequestBuilder {
    visitor.posting("/auth/sign-in/user/", &[("username", login), ("password", password)])
}

async fn post(visitor: &Visitor, login: &str, password: &str) -> reqwest::Response {
    request(visitor, login, password).send().await.unwrap()
}

stories! {
    by_username_or_address_in_any_spelling,
    each_role_has_its_door_and_the_wrong_one_leads_to_it,
    who_is_signed_in_is_led_to_the_profile,
    an_unconfirmed_account_gets_a_new_code_by_signing_in,
    a_blocked_person_is_told_so_and_why_when_the_password_is_right,
    a_stranger_learns_nothing_from_the_answer,
    five_wrong_passwords_for_an_account_then_one_a_minute_and_right_ones_are_free,
    one_address_cannot_guess_at_many_accounts,
    who_wants_to_be_remembered_outlives_the_window,
    next_leads_to_pages_of_ours_alone,
}

async fn by_username_or_address_in_any_spelling(site: &Site) {
    site.member("annalee").await;
    for login in ["annalee", "ANNALEE", " annalee@example.org ", "AnnaLee@Example.ORG"] {
        let mut ann = site.visitor();
        ann.sign_in(login, PASSWORD).await;
        ann.status(200).see("@annalee");
    }
}

async fn each_role_has_its_door_and_the_wrong_one_leads_to_it(site: &Site) {
    site.appoint(Role::Staff, "stafford").await;
    site.appoint(Role::Superuser, "supervisor").await;
    site.member("annalee").await;
    let mut visitor = site.visitor();
    visitor.sign_in("stafford", OTHER_PASSWORD).await;
    visitor.status(422).see("This is a staff account");
    visitor.follow("Sign in as staff").await;
    assert!(!visitor.page().sees("Stay signed in"), "staff is not remembered");
    visitor
        .fill("Username or email address", "stafford")
        .fill("Password", OTHER_PASSWORD)
        .press("Sign in")
        .await;
    assert_eq!(visitor.path(), "/admin/");
    let mut visitor = site.visitor();
    visitor.sign_in_at("/auth/sign-in/superuser/", "supervisor", OTHER_PASSWORD).await;
    assert_eq!(visitor.path(), "/admin/");
    visitor.status(200);
    let mut visitor = site.visitor();
    visitor.sign_in_at("/auth/sign-in/staff/", "annalee", PASSWORD).await;
    visitor.status(422);
    visitor.follow("Sign in as a user").await;
    visitor.status(200);
    let mut ann = site.visitor();
    ann.sign_in("annalee", PASSWORD).await;
    ann.visit("/admin/").await;
    ann.status(403).see("You don't have access to this page");
}

async fn who_is_signed_in_is_led_to_the_profile(site: &Site) {
    let mut ann = site.member("annalee").await;
    for page in ["/", "/auth/sign-in/user/", "/auth/sign-up/user/", "/auth/sign-in/staff/"] {
        ann.visit(page).await;
        assert!(ann.path().starts_with("/user-profile/"), "{page}");
    }
}

async fn an_unconfirmed_account_gets_a_new_code_by_signing_in(site: &Site) {
    site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
    let first = site.code_to("ann@example.org").await;
    site.wait(minutes(2)).await;
    let mut ann = site.visitor();
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(200).see("Confirm your email address");
    let second = site.code_to("ann@example.org").await;
    if first != second {
        ann.fill("Code", &first).press("Confirm").await;
        ann.status(422).see("That code isn't right.");
    }
    ann.fill("Code", &second).press("Confirm").await;
    ann.see("Welcome!");
}

async fn a_blocked_person_is_told_so_and_why_when_the_password_is_right(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.sql("UPDATE users SET blocked_at = '2026-01-01 00:00:00', blocked_reason = 'Sold <b>ice</b>.'")
        .await;
    assert!(!ann.is_signed_in().await, "it acts at once");
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(403).see("Your account is blocked").see("Sold <b>ice</b>.");
    ann.sign_in("annalee", OTHER_PASSWORD).await;
    ann.status(422);
    assert!(!ann.page().sees("blocked"), "nobody else is told");
}

async fn a_stranger_learns_nothing_from_the_answer(site: &Site) {
    site.member("annalee").await;
    site.member("blocky").await;
    site.sql(
        "UPDATE users SET blocked_at = '2026-01-01 00:00:00', blocked_reason = 'x' WHERE username = 'blocky'",
    )
    .await;
    site.visitor().sign_up("unconf", "unconf@example.org", PASSWORD).await;
    site.appoint(Role::Staff, "stafford").await;
    let mut pages = Vec::new();
    for login in [
        "annalee",
        "blocky",
        "unconf",
        "stafford",
        "nobody1",
        "annalee@example.org",
        "nobody1@example.org",
        "ännä",
        "ä@b.c",
    ] {
        let mut visitor = site.visitor();
        visitor.sign_in(login, "wrong password here").await;
        let mut headers: Vec<String> = visitor.page().headers.keys().map(ToString::to_string).collect();
        headers.sort();
        let shown = visitor.page().body.replace(&format!("value=\"{login}\""), "value=\"-\"");
        pages.push((visitor.page().status, headers, shown));
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]), "{pages:#?}");
    assert_eq!(pages[0].0, 422);
}

async fn five_wrong_passwords_for_an_account_then_one_a_minute_and_right_ones_are_free(site: &Site) {
    site.member("annalee").await;
    site.member("carlacat").await;
    for login in ["annalee", "nobody1", "carlacat@example.org", "nobody2@example.org"] {
        let guesses: Vec<Visitor> = (0..20).map(|_| site.visitor()).collect();
        let answers =
            at_once(guesses.iter().map(|visitor| request(visitor, login, "wrong password here"))).await;
        let looked_at = answers.iter().filter(|answer| answer.status == 422).count();
        assert_eq!(looked_at, 5, "{login}");
        assert!(answers.iter().all(|answer| matches!(answer.status, 422 | 429)));
        let refused = post(&site.visitor(), login, PASSWORD).await;
        assert_eq!(refused.status().as_u16(), 429, "the right one is not looked at either");
        assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 60);
    }
    if site.app.config.redis.is_none() {
        // Redis has a clock of its own, which no test moves.
        site.wait(seconds(61)).await;
        assert_eq!(post(&site.visitor(), "annalee", PASSWORD).await.status().as_u16(), 303);
    }
    site.member("bobbob").await;
    for _ in 0..30 {
        assert_eq!(post(&site.visitor(), "bobbob", PASSWORD).await.status().as_u16(), 303);
    }
}

async fn one_address_cannot_guess_at_many_accounts(site: &Site) {
    let visitor = site.visitor();
    let mut looked_at = 0;
    for number in 0..30 {
        let answer = post(&visitor, &format!("person{number}"), "wrong password here").await;
        looked_at += u32::from(answer.status().as_u16() == 422);
    }
    assert_eq!(looked_at, 15);
    assert_eq!(
        post(&site.visitor(), "person1", "wrong password here").await.status().as_u16(),
        422,
        "others are free"
    );
}

async fn who_wants_to_be_remembered_outlives_the_window(site: &Site) {
    site.member("annalee").await;
    for (remember, lasting) in [("on", true), ("", false)] {
        let visitor = site.visitor();
        let fields = [("username", "annalee"), ("password", PASSWORD), ("remember", remember)];
        let request = visitor.posting("/auth/sign-in/user/", &fields);
        let answer = request.send().await.unwrap();
        let cookies = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("latchkey=")).unwrap();
        assert_eq!(cookie.contains("Max-Age=2592000"), lasting, "{cookie}");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
            "{cookie}"
        );
    }
}

async fn next_leads_to_pages_of_ours_alone(site: &Site) {
    site.member("annalee").await;
    for (next, to) in [
        ("/user-profile/update/", "/user-profile/update/"),
        ("//evil.example/", "/user-profile/"),
        ("/\\evil.example", "/user-profile/"),
        ("https://evil.example", "/user-profile/"),
        ("/user-profile/..//evil.example", "/user-profile/"),
        ("/user-profile/%0d%0aLocation:x", "/user-profile/"),
    ] {
        let visitor = site.visitor();
        let fields = [("username", "annalee"), ("password", PASSWORD), ("next", next)];
        let request = visitor.posting("/auth/sign-in/user/", &fields);
        assert_eq!(request.send().await.unwrap().headers()["location"], to, "{next}");
    }
}
