//! Sign-up: what is told, what is never told, and what becomes of two people who want the same.

use std::collections::HashMap;

use latchkey::identity::Role;
use reqwest::RequestBuilder;

use crate::harness::{
    OTHER_PASSWORD, PASSWORD, Site, Visitor, World, at_once, hours, minutes, run_alone, seconds, stories,
};

/// A sign-up as a script would send it.
fn request(visitor: &Visitor, name: &str, address: &str) -> RequestBuilder {
    let form =
        [("username", name), ("email", address), ("password", PASSWORD), ("confirm_password", PASSWORD)];
    visitor.posting("/auth/sign-up/user/", &form)
}

async fn post(visitor: &Visitor, name: &str, address: &str) -> reqwest::Response {
    request(visitor, name, address).send().await.unwrap()
}

stories! {
    what_is_wrong_is_told_at_once_and_nothing_typed_is_lost_but_passwords,
    a_guessable_password_is_refused_with_the_reason,
    a_merchant_signs_up_at_a_door_of_their_own,
    a_taken_username_is_told_in_any_spelling,
    an_address_with_an_account_looks_like_any_other_and_its_owner_is_told_once_an_hour,
    who_mistyped_corrects_it_in_the_same_browser,
    a_double_click_is_a_repeat,
    a_name_is_free_again_when_the_code_of_its_sign_up_ran_out,
    an_unconfirmed_sign_up_does_not_hold_its_address,
    what_happens_after_a_sign_up_does_not_tell_whether_its_address_has_an_account,
    wrong_passwords_before_a_sign_up_do_not_tell_either,
    a_corrected_sign_up_is_confirmed_with_the_corrected_password,
    no_stranger_ends_a_sign_up_that_is_under_way,
    who_came_too_early_gets_a_code_by_sending_the_form_again_later,
    signing_up_is_no_way_around_a_block,
    a_block_keeps_no_address_from_its_owner_and_can_be_undone,
    a_taken_name_is_no_other_door_to_guess_at,
    accounts_that_nobody_confirms_go_away,
    ten_sign_ups_from_one_address_and_then_one_every_six_minutes,
}

async fn what_is_wrong_is_told_at_once_and_nothing_typed_is_lost_but_passwords(site: &Site) {
    let mut ann = site.visitor();
    ann.visit("/auth/sign-up/user/").await;
    ann.fill("Username", "a b")
        .fill("Email address", "<ann>")
        .fill("Password", "short")
        .fill("Repeat the password", "other");
    ann.press("Create account").await;
    ann.status(422).see("There is a problem");
    assert_eq!(ann.written("Username"), "a b");
    assert_eq!(ann.written("Email address"), "<ann>");
    assert_eq!(ann.written("Password"), "");
    for label in ["Username", "Email address", "Password", "Repeat the password"] {
        assert_ne!(ann.problem(label), "", "{label}");
    }
    assert!(!ann.page().body.contains("short"));
}

async fn a_guessable_password_is_refused_with_the_reason(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalena", "annalena@example.org", "annalena2026").await;
    ann.status(422);
    assert!(
        ann.problem("Password").contains("contains your name, your email address"),
        "{}",
        ann.problem("Password")
    );
    ann.sign_up("annalena", "annalena@example.org", "qwertyuiop").await;
    assert!(ann.problem("Password").contains("easy to guess"), "{}", ann.problem("Password"));
}

async fn a_merchant_signs_up_at_a_door_of_their_own(site: &Site) {
    let mut mia = site.visitor();
    mia.visit("/auth/sign-up/merchant/").await;
    mia.see("Create your merchant account");
    mia.fill("Username", "mialee").fill("Email address", "mia@example.org");
    mia.fill("Password", PASSWORD).fill("Repeat the password", PASSWORD).press("Create account").await;
    let code = site.code_to("mia@example.org").await;
    mia.fill("Code", &code).press("Confirm").await;
    mia.status(200).see("@mialee Merchant");
    for role in ["staff", "superuser", "admin", "User"] {
        let mut stranger = site.visitor();
        stranger.visit(&format!("/auth/sign-up/{role}/")).await;
        stranger.status(404);
    }
}

async fn a_taken_username_is_told_in_any_spelling(site: &Site) {
    site.member("annalee").await;
    let mut bob = site.visitor();
    bob.sign_up("AnnaLee", "bob@example.org", PASSWORD).await;
    bob.status(422);
    assert_eq!(bob.problem("Username"), "That username is taken. Choose another.");
    bob.sign_up("admin", "bob@example.org", PASSWORD).await;
    assert_ne!(bob.problem("Username"), "", "reserved names are nobody's");
}

async fn an_address_with_an_account_looks_like_any_other_and_its_owner_is_told_once_an_hour(site: &Site) {
    site.member("annalee").await;
    site.wait(minutes(2)).await;
    let (mut bob, mut eve) = (site.visitor(), site.visitor());
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    eve.sign_up("evelyn", "ANNALEE@example.org", PASSWORD).await;
    let alike = |visitor: &Visitor, address: &str| visitor.page().text().replace(address, "-");
    assert_eq!(alike(&eve, "ANNALEE@example.org"), alike(&bob, "bob@example.org"));

    let told = site.mail_to("annalee@example.org").await;
    assert_eq!(told.subject, "You already have an account");
    assert!(!told.text.contains("evelyn"), "a stranger's words are not mailed to others");
    eve.fill("Code", "123456").press("Confirm").await;
    eve.status(422).see("You have 4 tries left");
    eve.press("Send a new code").await;
    eve.see("You can request another code in");
    site.wait(minutes(2)).await;
    eve.press("Send a new code").await;
    eve.see("We've sent you a new code.");

    // Its name and password behave like those of any account that waits for its code.
    let mut elsewhere = site.visitor();
    elsewhere.sign_in("evelyn", PASSWORD).await;
    elsewhere.see("Confirm your email address");

    site.wait(minutes(20)).await;
    site.visitor().sign_up("another1", "annalee@example.org", PASSWORD).await;
    site.wait(minutes(50)).await;
    site.visitor().sign_up("another2", "annalee@example.org", PASSWORD).await;
    site.mail_to("annalee@example.org").await;
    assert_eq!(site.mail.all_to("annalee@example.org").len(), 3, "one code, two notices");
    assert_eq!(site.mail.all_to("ANNALEE@example.org").len(), 0);
}

async fn who_mistyped_corrects_it_in_the_same_browser(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@exmaple.org", PASSWORD).await;
    ann.follow("Change it").await;
    ann.fill("Username", "annalee").fill("Email address", "ann@example.org");
    ann.fill("Password", OTHER_PASSWORD)
        .fill("Repeat the password", OTHER_PASSWORD)
        .press("Create account")
        .await;
    ann.status(200).see("ann@example.org");
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Welcome!");
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
    ann.press("Sign out").await;
    ann.sign_in("annalee", OTHER_PASSWORD).await;
    ann.status(200);
}

async fn a_double_click_is_a_repeat(site: &Site) {
    let ann = site.visitor();
    let click = || request(&ann, "annalee", "ann@example.org");
    let answers = at_once([click(), click()]).await;
    assert!(!answers[0].location.is_empty() && answers[0].location == answers[1].location, "{answers:?}");
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
    site.mail_to("ann@example.org").await;
}

async fn a_name_is_free_again_when_the_code_of_its_sign_up_ran_out(site: &Site) {
    let (mut ann, mut bob) = (site.visitor(), site.visitor());
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let link = ann.path().to_owned();
    bob.sign_up("annalee", "bob@example.org", PASSWORD).await;
    bob.status(422);
    site.wait(minutes(11)).await;
    bob.sign_up("annalee", "bob@example.org", PASSWORD).await;
    bob.status(200).see("bob@example.org");
    ann.visit(&link).await;
    ann.status(410).see("This sign-up has expired");
    ann.follow("Sign up again").await;
    ann.status(200);
}

async fn an_unconfirmed_sign_up_does_not_hold_its_address(site: &Site) {
    let (mut eve, mut ann) = (site.visitor(), site.visitor());
    eve.sign_up("evelyn", "ann@example.org", PASSWORD).await;
    let squatted = eve.path().to_owned();
    let first = site.code_to("ann@example.org").await;

    // Within the minute no further code may be mailed there for the same network: the earlier sign-up stays.
    let mut again = eve.other_browser();
    again.sign_up("evelyn2", "ann@example.org", OTHER_PASSWORD).await;
    again.fill("Code", &first).press("Confirm").await;
    again.status(422).see("That code isn't right.");
    eve.visit(&squatted).await;
    eve.status(200);

    ann.sign_up("annalee2", "ann@example.org", OTHER_PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("@annalee2");
    eve.visit(&squatted).await;
    eve.status(410);
}

async fn what_happens_after_a_sign_up_does_not_tell_whether_its_address_has_an_account(site: &Site) {
    site.member("ownerson").await;
    site.wait(hours(2)).await;
    let mut seen = Vec::new();
    for (name, address) in [("seekerone", "ownerson@example.org"), ("seekertwo", "free@example.org")] {
        let mut eve = site.visitor();
        eve.sign_up(name, address, PASSWORD).await;
        let page = eve.path().to_owned();
        for _ in 0..5 {
            eve.fill("Code", "000000").press("Confirm").await;
        }
        for login in [address, name] {
            site.wait(minutes(2)).await;
            let mut other = site.visitor();
            other.visit("/auth/forgot-password/").await;
            other.fill("Username or email address", login).press("Send the link").await;
            site.wait(seconds(1)).await;
            eve.visit(&page).await;
            seen.push(eve.page().text().replace(address, "-").replace(|c: char| c.is_ascii_digit(), "#"));
            eve.press("Send a new code").await;
            seen.push(eve.page().text().replace(address, "-").replace(|c: char| c.is_ascii_digit(), "#"));
        }
        // Wrong passwords for the name, then for the address.
        for _ in 0..5 {
            site.visitor().sign_in(name, OTHER_PASSWORD).await;
        }
        let mut last = site.visitor();
        last.sign_in(address, OTHER_PASSWORD).await;
        seen.push(format!("{} {}", last.page().status, last.page().sees("Too many attempts")));
    }
    assert_eq!(seen[..5], seen[5..]);
    assert!(seen[0].contains("Code") && seen[4] == "422 false", "{seen:#?}");
}

async fn wrong_passwords_before_a_sign_up_do_not_tell_either(site: &Site) {
    site.member("ownerson").await;
    site.wait(minutes(2)).await;
    let mut seen = Vec::new();
    for (name, address) in [("seekerone", "ownerson@example.org"), ("seekertwo", "free@example.org")] {
        for _ in 0..5 {
            site.visitor().sign_in(address, OTHER_PASSWORD).await;
        }
        site.visitor().sign_up(name, address, PASSWORD).await;
        let mut last = site.visitor();
        last.sign_in(address, OTHER_PASSWORD).await;
        seen.push(last.page().status);
    }
    assert_eq!(seen, [429, 429]);
}

async fn a_corrected_sign_up_is_confirmed_with_the_corrected_password(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    // Within the minute: the code that is on its way stays the only one.
    ann.sign_up("annabel", "ann@example.org", OTHER_PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Welcome!").see("@annabel");
    // Before the one about a sign-in on another device.
    assert_eq!(site.mail.all_to("ann@example.org").len(), 1);
    let mut phone = site.visitor();
    phone.sign_in("annabel", PASSWORD).await;
    phone.status(422);
    phone.sign_in("annabel", OTHER_PASSWORD).await;
    phone.status(200);
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
}

async fn who_came_too_early_gets_a_code_by_sending_the_form_again_later(site: &Site) {
    let mut ann = site.visitor();
    ann.other_browser().sign_up("evelyn", "ann@example.org", PASSWORD).await;
    site.code_to("ann@example.org").await;
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    site.wait(minutes(2)).await;
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Welcome!");
}

async fn no_stranger_ends_a_sign_up_that_is_under_way(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    let mut strangers = Vec::new();
    for number in 0..3 {
        let mut stranger = site.visitor();
        stranger.sign_up(&format!("stranger{number}"), "ann@example.org", OTHER_PASSWORD).await;
        stranger.status(200);
        strangers.push((stranger, site.code_to("ann@example.org").await));
    }
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("Welcome!").see("@annalee").see("ann@example.org");
    // What was mailed for them confirms nothing any more, and signs nobody in.
    for (mut stranger, code) in strangers {
        stranger.fill("Code", &code).press("Confirm").await;
        assert!(!stranger.is_signed_in().await);
    }
    let owners =
        "SELECT COUNT(*) FROM users WHERE email_canon = 'ann@example.org' AND verified_at IS NOT NULL";
    assert_eq!(site.count(owners).await, 1);
    site.wait(minutes(2)).await;
    let mut elsewhere = site.visitor();
    elsewhere.sign_in("ann@example.org", PASSWORD).await;
    elsewhere.status(200).see("@annalee");
}

async fn signing_up_is_no_way_around_a_block(site: &Site) {
    site.visitor().sign_up("evelyn", "eve@example.org", PASSWORD).await;
    site.code_to("eve@example.org").await;
    site.sql("UPDATE users SET blocked_at = created_at, blocked_reason = 'x'").await;
    site.wait(minutes(20)).await;
    let mut eve = site.visitor();
    eve.sign_up("evelyn2", "eve@example.org", PASSWORD).await;
    eve.status(200);
    site.wait(hours(80)).await;
    latchkey::housekeeping::sweep(&site.app).await.unwrap();
    assert_eq!(site.mail.all_to("eve@example.org").len(), 1);
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 1);
}

/// A stranger signs up with somebody's address, and is blocked before anybody confirmed it.
async fn a_block_keeps_no_address_from_its_owner_and_can_be_undone(site: &Site) {
    site.appoint(Role::Superuser, "supervisor").await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "supervisor", OTHER_PASSWORD).await;
    let mut rude = site.visitor();
    rude.sign_up("rudename", "ann@example.org", PASSWORD).await;
    site.code_to("ann@example.org").await;
    chief.visit("/admin/users/?q=rudename").await;
    chief.follow("rudename").await;
    let person = chief.path().to_owned();
    let post = async |chief: &mut Visitor, act: &str| {
        chief.post(&format!("{person}{act}/"), &[("reason", "a rude name")]).await;
        chief.status(200);
    };
    post(&mut chief, "block").await;
    site.wait(minutes(20)).await;
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.see("@annalee");

    // One whose address is their own, and whose block was a mistake.
    chief.sign_in_at("/auth/sign-in/superuser/", "supervisor", OTHER_PASSWORD).await;
    let mut bob = site.visitor();
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    site.code_to("bob@example.org").await;
    chief.visit("/admin/users/?q=bobbob").await;
    chief.follow("bobbob").await;
    let person = chief.path().to_owned();
    chief.post(&format!("{person}block/"), &[("reason", "a mistake")]).await;
    chief.post(&format!("{person}unblock/"), &[]).await;
    chief.status(200).see("Account unblocked.");
    site.wait(minutes(20)).await;
    let mut bob = site.visitor();
    bob.sign_in("bobbob", PASSWORD).await;
    bob.see("Confirm your email address");
    let code = site.code_to("bob@example.org").await;
    bob.fill("Code", &code).press("Confirm").await;
    bob.see("@bobbob");
}

async fn a_taken_name_is_no_other_door_to_guess_at(site: &Site) {
    site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
    let mut eve = site.visitor();
    // Ten from one network, whatever is typed, and all look alike.
    for number in 0..9 {
        eve.sign_up("annalee", "ann@example.org", &format!("{OTHER_PASSWORD} {number}")).await;
        eve.status(422).see("That username is taken");
    }
    eve.sign_up("annalee", "ann@example.org", OTHER_PASSWORD).await;
    eve.status(422);
    eve.sign_up("annalee", "ann@example.org", PASSWORD).await;
    eve.status(429);
    // It cost its holder nothing.
    let mut ann = site.visitor();
    ann.sign_in("annalee", PASSWORD).await;
    ann.see("Confirm your email address");
}

async fn accounts_that_nobody_confirms_go_away(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    site.mail_to("ann@example.org").await;
    let link = ann.path().to_owned();
    site.wait(hours(73)).await;
    latchkey::housekeeping::sweep(&site.app).await.unwrap();
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 0);
    for query in [
        "SELECT COUNT(*) FROM outbox WHERE recipient LIKE '%ann@example.org%'",
        "SELECT COUNT(*) FROM verifications",
        "SELECT COUNT(*) FROM mail_budgets WHERE email LIKE '%ann@example.org%'",
    ] {
        assert_eq!(site.count(query).await, 0, "{query}");
    }
    ann.visit(&link).await;
    ann.status(410);
}

async fn ten_sign_ups_from_one_address_and_then_one_every_six_minutes(site: &Site) {
    let visitor = site.visitor();
    for number in 0..10 {
        let answer =
            post(&visitor.other_browser(), &format!("person{number}"), &format!("p{number}@example.org"))
                .await;
        assert_eq!(answer.status().as_u16(), 303, "{number}");
    }
    let refused = post(&visitor.other_browser(), "person10", "p10@example.org").await;
    assert_eq!(refused.status().as_u16(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(refused.text().await.unwrap().contains("Too many attempts"));
}

#[test]
fn two_hundred_sign_ups_at_once_for_one_address_make_one_account() {
    for world in World::ALL {
        crate::harness::run(*world, async |site: &Site| {
            let visitors: Vec<Visitor> = (0..200).map(|_| site.visitor()).collect();
            let names: Vec<String> = (0..200).map(|number| format!("person{number}")).collect();
            let sign_ups =
                visitors.iter().zip(&names).map(|(visitor, name)| request(visitor, name, "ann@example.org"));
            let statuses: Vec<u16> = at_once(sign_ups).await.iter().map(|answer| answer.status).collect();
            // All wait for the hashers; those beyond their queue would be told to come back.
            assert!(statuses.iter().all(|status| *status == 303), "{statuses:?}");
            let owners = site.count("SELECT COUNT(*) FROM users WHERE email_canon = 'ann@example.org'").await;
            assert_eq!(owners, 1);
            let codes = "SELECT COUNT(*) FROM verifications WHERE code_digest IS NOT NULL";
            let codes = site.count(codes).await;
            assert!((1..=20).contains(&codes), "as many as a mailbox bears: {codes}");
            site.mail_to("ann@example.org").await;
        });
    }
}

#[test]
fn sign_up_can_be_closed() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("SIGN_UP", "closed".to_owned())])).await;
        let mut ann = site.visitor();
        ann.visit("/auth/sign-up/user/").await;
        ann.status(403).see("Sign-up is closed");
        assert_eq!(post(&ann, "annalee", "ann@example.org").await.status().as_u16(), 403);
        ann.visit("/auth/sign-up/merchant/").await;
        ann.follow("Sign in").await;
        ann.status(200);
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 0);
        site.stop().await;
    });
}
