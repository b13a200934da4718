//! Signing in with a code from an email.

use std::collections::HashMap;

use latchkey::identity::Role;

use crate::harness::{
    Enrolled, OTHER_PASSWORD, PASSWORD, Site, Visitor, WithPasskey, at_once, minutes, run_alone, seconds,
    stories,
};

stories! {
    a_code_from_an_email_signs_its_person_in,
    every_address_gets_the_same_pages,
    nothing_else_tells_whose_an_address_is,
    staff_get_no_code_and_are_told_what_to_do,
    somebody_who_has_not_confirmed_gets_the_code_for_that,
    a_second_step_is_asked_for_all_the_same,
    a_code_works_in_its_browser_once_and_for_ten_minutes,
    a_new_code_replaces_the_old_one_and_not_before_there_is_one,
    two_hundred_uses_of_one_code_let_one_in,
    a_thousand_guesses_at_once_are_five,
    a_code_dies_with_whatever_changes_the_account,
    strangers_guess_ten_times_a_day_and_keep_nobody_out,
    what_somebody_wanted_is_there_after_the_code,
}

const MINE: &str = "annalee@example.org";
const NEW_PASSWORD: &str = "copper meadow lantern";
const SIGNED_IN: &str = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";

/// Asks for a code at an address, in a new browser.
async fn ask(site: &Site, address: &str) -> Visitor {
    let mut browser = site.visitor();
    browser.visit("/auth/sign-in-code/").await;
    browser.fill("Email address", address).press("Email me a code").await;
    browser.status(200).see("If you can sign in with a code").see(address);
    browser
}

/// The code in the newest mail with one to an address, of which there are that many.
async fn code_of(site: &Site, address: &str, number: usize) -> String {
    let codes = || {
        let mails = site.mail.all_to(address).into_iter();
        mails.filter(|mail| mail.subject.ends_with("sign-in code")).collect::<Vec<_>>()
    };
    while codes().len() < number {
        site.mail_to(address).await;
    }
    codes()[number - 1].code()
}

/// Six digits that are not this code.
fn other_than(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}

async fn a_code_from_an_email_signs_its_person_in(site: &Site) {
    site.member("annalee").await;
    let mut browser = site.visitor();
    browser.visit("/auth/sign-in/user/").await;
    browser.see("Email me a sign-in code");
    browser.visit("/auth/sign-in-code/").await;
    browser.fill("Email address", "AnnaLee@Example.org").press("Email me a code").await;
    browser.status(200).see(MINE);
    let code = code_of(site, MINE, 1).await;
    browser.fill("Code", &code).press("Sign in").await;
    browser.status(200).see("@annalee");
    browser.visit("/user-profile/sessions/").await;
    browser.see("with a code from an email");
    browser.visit("/auth/whoami/").await;
    assert!(browser.page().body.contains("\"second_factor\":false"), "{}", browser.page());
    // A device that is not known: its owner is told.
    site.mail.alarm_to(MINE).await;
    // The password was not given: it is asked for where it matters.
    browser.visit("/user-profile/two-factor/authenticators/new/").await;
    browser.see("Confirm it's you");
    browser.fill("Current password", PASSWORD).press("Confirm").await;
    assert_eq!(browser.path(), "/user-profile/two-factor/authenticators/new/");
}

async fn every_address_gets_the_same_pages(site: &Site) {
    site.member("annalee").await;
    site.appoint(Role::Staff, "stella").await;
    site.visitor().sign_up("waiting", "waiting@example.org", PASSWORD).await;
    site.member("blocked").await;
    site.sql("UPDATE users SET blocked_at = created_at WHERE username = 'blocked'").await;
    let mut seen = Vec::new();
    for name in ["annalee", "stella", "waiting", "blocked", "nobody"] {
        let address = format!("{name}@example.org");
        let mut browser = ask(site, &address).await;
        let mut pages = vec![browser.page().text()];
        // However soon or late the courier has answered.
        let on_its_way = "SELECT COUNT(*) FROM outbox WHERE kind = 'sign-in-code-request'";
        site.until(on_its_way, 0).await;
        let code = if name == "annalee" { code_of(site, &address, 1).await } else { String::new() };
        for round in 0..2 {
            for _ in 0..6 {
                browser.post("/auth/sign-in-code/enter/", &[("otp", other_than(&code))]).await;
                pages.push(format!("{} {}", browser.page().status, browser.page().text()));
            }
            browser.post("/auth/sign-in-code/resend/", &[]).await;
            pages.push(format!("{} {}", browser.page().status, browser.page().text()));
            if round == 0 {
                site.wait(minutes(1)).await;
                browser.post("/auth/sign-in-code/resend/", &[]).await;
                site.until(on_its_way, 0).await;
                pages.push(format!("{} {}", browser.page().status, browser.page().text()));
            }
        }
        // The times of day differ, and nothing else.
        let digits = |page: &String| page.replace(&address, "…").replace(|c: char| c.is_ascii_digit(), "0");
        seen.push(pages.iter().map(digits).collect::<Vec<_>>());
    }
    for pages in &seen {
        assert_eq!(pages, &seen[0]);
    }
    assert!(seen[0].iter().any(|page| page.contains("Too many wrong codes")), "{seen:?}");
}

/// What a stranger sees of a sign-up and of a sign-in at an address that is somebody's, and at one that is nobody's.
async fn nothing_else_tells_whose_an_address_is(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut seen = Vec::new();
    for name in ["annalee", "nobody"] {
        let address = format!("{name}@example.org");
        let mut sign_up = site.visitor();
        sign_up.sign_up(&format!("x{name}"), &address, PASSWORD).await;
        let page = sign_up.path().to_owned();
        sign_up.post(&page, &[("otp", "000000")]).await;
        site.wait(minutes(5)).await;
        let mut stranger = ask(site, &address).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE kind = 'sign-in-code-request'", 0).await;
        sign_up.visit(&page).await;
        // Meanwhile its owner chooses a new password, which makes codes fit no more.
        if name == "annalee" {
            ann.change_password(PASSWORD, NEW_PASSWORD).await;
        }
        stranger.visit("/auth/sign-in-code/enter/").await;
        let pages = [&sign_up, &stranger]
            .map(|browser| format!("{} {}", browser.page().status, browser.page().text()));
        seen.push(pages.map(|page| page.replace(&address, "…").replace(|c: char| c.is_ascii_digit(), "0")));
        site.wait(minutes(60)).await;
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0][0].contains("You have 0 tries"), "{seen:?}");
}

async fn staff_get_no_code_and_are_told_what_to_do(site: &Site) {
    for (role, name) in [(Role::Staff, "stella"), (Role::Superuser, "chief")] {
        site.appoint(role, name).await;
        let address = format!("{name}@example.org");
        ask(site, &address).await;
        let mail = site.mail_to(&address).await;
        assert_eq!(mail.subject, "Sign in with your password");
        assert!(!mail.text.contains("6-digit") && mail.text.contains("/auth/sign-in/"), "{}", mail.text);
    }
    let digests = "SELECT COUNT(*) FROM verifications WHERE code_digest IS NOT NULL";
    assert_eq!(site.count(digests).await, 0);
    // Whoever becomes one while a code waits is let in by none.
    site.member("annalee").await;
    let mut browser = ask(site, MINE).await;
    let code = code_of(site, MINE, 1).await;
    site.sql("UPDATE users SET role = 'staff' WHERE username = 'annalee'").await;
    let before = site.count(SIGNED_IN).await;
    browser.fill("Code", &code).press("Sign in").await;
    browser.see("This code can't be used any more");
    assert_eq!(site.count(SIGNED_IN).await, before);
}

async fn somebody_who_has_not_confirmed_gets_the_code_for_that(site: &Site) {
    site.visitor().sign_up("annalee", MINE, PASSWORD).await;
    site.code_to(MINE).await;
    site.wait(minutes(2)).await;
    ask(site, MINE).await;
    let mail = site.mail_to(MINE).await;
    assert!(mail.text.contains("/auth/verify-otp/"), "{}", mail.text);
}

async fn a_second_step_is_asked_for_all_the_same(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut phone = ann.at_second_step(site, "annalee").await;
    phone.fill("Code", &ann.app.code(site)).tick("Trust this device").press("Sign in").await;
    site.wait(minutes(2)).await;
    let mut browser = ask(site, MINE).await;
    browser.fill("Code", &code_of(site, MINE, 1).await).press("Sign in").await;
    browser.status(200).see("Enter your code");
    assert!(!browser.is_signed_in().await);
    // A mailbox is not the password: it does not begin to wait either.
    browser.visit("/auth/two-factor/").await;
    browser.follow("Can't get a code?").await;
    browser.post("/auth/two-factor/lost/", &[]).await;
    browser.see("Sign in with your password first.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE two_factor_ends_at IS NOT NULL").await, 0);
    browser.visit("/auth/two-factor/").await;
    browser.fill("Code", &ann.app.code(site)).press("Sign in").await;
    browser.status(200).see("@annalee");
    browser.visit("/user-profile/sessions/").await;
    browser.see("with a code from an email and one from your app");
    // Nor is a device trusted that was trusted after the password.
    phone.visit("/user-profile/").await;
    phone.press("Sign out").await;
    phone.visit("/auth/sign-in-code/").await;
    site.wait(minutes(2)).await;
    phone.fill("Email address", MINE).press("Email me a code").await;
    phone.fill("Code", &code_of(site, MINE, 2).await).press("Sign in").await;
    phone.status(200).see("Enter your code");
    // A passkey is a second step, too.
    let bob = WithPasskey::new(site, "bobbob").await;
    let mut browser = ask(site, "bobbob@example.org").await;
    browser.fill("Code", &code_of(site, "bobbob@example.org", 1).await).press("Sign in").await;
    bob.passkey.use_on(&mut browser).await;
    browser.status(200).see("@bobbob");
}

async fn a_code_works_in_its_browser_once_and_for_ten_minutes(site: &Site) {
    site.member("annalee").await;
    let mut browser = ask(site, MINE).await;
    let code = code_of(site, MINE, 1).await;
    let mut other = site.visitor();
    other.post("/auth/sign-in-code/enter/", &[("otp", &code)]).await;
    assert_eq!(other.path(), "/auth/sign-in-code/", "a browser that asked for none");
    let mut twin = browser.twin();
    browser.fill("Code", &code).press("Sign in").await;
    browser.see("@annalee");
    twin.post("/auth/sign-in-code/enter/", &[("otp", &code)]).await;
    twin.see("This code can't be used any more");
    assert!(!twin.is_signed_in().await);
    site.wait(minutes(2)).await;
    let mut late = ask(site, MINE).await;
    let code = code_of(site, MINE, 2).await;
    site.wait(minutes(10)).await;
    late.post("/auth/sign-in-code/enter/", &[("otp", &code)]).await;
    late.status(422).see("This code has expired");
    late.press("Send a new code").await;
    // However late it was asked for again, it works for as long as it says.
    site.wait(minutes(9)).await;
    let again = late.posting("/auth/sign-in-code/resend/", &[]).send().await.unwrap();
    let cookies = again.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let kept =
        cookies.filter(|line| line.starts_with("latchkey-sign-in-code=") && line.contains("Max-Age=1200"));
    assert_eq!(kept.count(), 1, "the browser forgets when its code runs out, and not before");
    late.visit("/auth/sign-in-code/enter/").await;
    let code = code_of(site, MINE, 4).await;
    site.wait(minutes(9)).await;
    late.fill("Code", &code).press("Sign in").await;
    late.status(200).see("@annalee");
}

async fn a_new_code_replaces_the_old_one_and_not_before_there_is_one(site: &Site) {
    site.member("annalee").await;
    let mut browser = ask(site, MINE).await;
    let first = code_of(site, MINE, 1).await;
    browser.press("Send a new code").await;
    browser.status(422).see("You can request another code in");
    // Asked for again on the first page: there is no other one within the minute, and this one works.
    browser.visit("/auth/sign-in-code/").await;
    browser.fill("Email address", MINE).press("Email me a code").await;
    site.until("SELECT COUNT(*) FROM outbox WHERE kind = 'sign-in-code-request'", 0).await;
    browser.fill("Code", &first).press("Sign in").await;
    browser.see("@annalee");
    site.wait(minutes(2)).await;
    let mut browser = ask(site, MINE).await;
    let first = code_of(site, MINE, 2).await;
    site.wait(minutes(1)).await;
    browser.press("Send a new code").await;
    browser.see("Only the newest code works");
    let second = code_of(site, MINE, 3).await;
    if first != second {
        browser.fill("Code", &first).press("Sign in").await;
        browser.status(422).see("You have 4 tries left");
    }
    browser.fill("Code", &second).press("Sign in").await;
    browser.see("@annalee");
}

async fn two_hundred_uses_of_one_code_let_one_in(site: &Site) {
    site.member("annalee").await;
    let browser = ask(site, MINE).await;
    let code = code_of(site, MINE, 1).await;
    let before = site.count(SIGNED_IN).await;
    let twins: Vec<_> = (0..200).map(|_| browser.twin()).collect();
    let fields = [("otp", code.as_str())];
    let answers = at_once(twins.iter().map(|twin| twin.posting("/auth/sign-in-code/enter/", &fields))).await;
    assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
    assert_eq!(site.count(SIGNED_IN).await - before, 1);
}

async fn a_thousand_guesses_at_once_are_five(site: &Site) {
    site.member("annalee").await;
    let browser = ask(site, MINE).await;
    let code = code_of(site, MINE, 1).await;
    let wrong: Vec<String> = (0..1000).map(|n| format!("{n:06}")).filter(|guess| *guess != code).collect();
    let twins: Vec<_> = wrong.iter().map(|_| browser.twin()).collect();
    let fields: Vec<_> = wrong.iter().map(|guess| [("otp", guess.as_str())]).collect();
    let requests = twins.iter().zip(&fields);
    let guesses = requests.map(|(twin, fields)| twin.posting("/auth/sign-in-code/enter/", fields));
    at_once(guesses).await;
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'code-wrong'").await, 5);
    // And then not even the right one.
    let mut browser = browser;
    browser.post("/auth/sign-in-code/enter/", &[("otp", &code)]).await;
    assert!(!browser.is_signed_in().await);
}

async fn a_code_dies_with_whatever_changes_the_account(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut thief = ask(site, MINE).await;
    let code = code_of(site, MINE, 1).await;
    ann.change_password(PASSWORD, NEW_PASSWORD).await;
    thief.post("/auth/sign-in-code/enter/", &[("otp", &code)]).await;
    assert!(!thief.is_signed_in().await, "after a new password");
    for (number, change) in [
        (2, "UPDATE users SET blocked_at = created_at"),
        (3, "UPDATE users SET blocked_at = NULL, email = 'b@example.org', email_canon = 'b@example.org'"),
    ] {
        site.sql("UPDATE users SET blocked_at = NULL").await;
        site.wait(minutes(2)).await;
        let mut thief = ask(site, MINE).await;
        let code = code_of(site, MINE, number).await;
        site.sql(change).await;
        thief.post("/auth/sign-in-code/enter/", &[("otp", &code)]).await;
        thief.see("This code can't be used any more");
        assert!(!thief.is_signed_in().await, "after {change}");
    }
}

async fn strangers_guess_ten_times_a_day_and_keep_nobody_out(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.press("Sign out").await;
    let mut guesses = 0;
    let mut thief = site.visitor();
    for _ in 0..3 {
        thief = ask(site, MINE).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE kind = 'sign-in-code-request'", 0).await;
        for _ in 0..5 {
            thief.post("/auth/sign-in-code/enter/", &[("otp", "000000")]).await;
            guesses += i32::from(thief.page().status == 422);
        }
        site.wait(minutes(2)).await;
    }
    assert_eq!(guesses, 10);
    thief.status(429).see("Too many wrong codes. Try again in");
    // Its owner has a device of theirs, and a password.
    ann.visit("/auth/sign-in-code/").await;
    ann.fill("Email address", MINE).press("Email me a code").await;
    site.until("SELECT COUNT(*) FROM outbox WHERE kind = 'sign-in-code-request'", 0).await;
    site.wait(seconds(0)).await;
    let codes: Vec<_> =
        site.mail.all_to(MINE).into_iter().filter(|mail| mail.subject.ends_with("sign-in code")).collect();
    ann.fill("Code", &codes.last().unwrap().code()).press("Sign in").await;
    ann.status(200).see("@annalee");
    let mut elsewhere = site.visitor();
    elsewhere.sign_in("annalee", PASSWORD).await;
    elsewhere.status(200).see("@annalee");
}

async fn what_somebody_wanted_is_there_after_the_code(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut browser = site.visitor();
    browser.visit("/auth/sign-in-code/?next=/user-profile/sessions/").await;
    browser.fill("Email address", MINE).press("Email me a code").await;
    browser.fill("Code", &code_of(site, MINE, 1).await).press("Sign in").await;
    assert_eq!(browser.path(), "/user-profile/sessions/");
    // A form that was typed, by the button of the sign-in page.
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee");
    site.sql("UPDATE sessions SET ended_at = created_at").await;
    ann.press("Save").await;
    let (_, rest) = ann.page().body.split_once("name=\"carried\" value=\"").expect("a form");
    let carried = rest.split('"').next().expect("its end").to_owned();
    site.wait(minutes(2)).await;
    ann.post("/auth/sign-in-code/", &[("carried", &carried), ("username", MINE)]).await;
    assert_eq!(ann.written("Email address"), MINE);
    ann.press("Email me a code").await;
    ann.fill("Code", &code_of(site, MINE, 2).await).press("Sign in").await;
    assert_eq!(ann.written("Name"), "Ann Lee");
}

#[test]
fn where_codes_are_off_nobody_signs_in_with_one() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("SIGN_IN_BY_CODE", "off".to_owned())])).await;
        site.appoint(Role::User, "annalee").await;
        let mut browser = site.visitor();
        browser.visit("/auth/sign-in/user/").await;
        assert!(!browser.page().sees("code"), "{}", browser.page());
        for path in ["/auth/sign-in-code/", "/auth/sign-in-code/enter/"] {
            browser.visit(path).await;
            browser.status(404);
            browser.post(path, &[("ask", "on"), ("email", MINE), ("otp", "000000")]).await;
            browser.status(404);
        }
        browser.sign_in("annalee", OTHER_PASSWORD).await;
        browser.see("@annalee");
        site.stop().await;
    });
}
