//! Passkeys: signing in without a password, and instead of a code.

use std::collections::HashMap;

use latchkey::identity::Role;

use crate::harness::{
    Authenticator, Enrolled, OTHER_PASSWORD, PASSWORD, Passkey, Site, WithPasskey, World, at_once, codes_on,
    hours, minutes, run_alone, seconds, stories,
};

stories! {
    a_passkey_signs_its_person_in_and_they_are_told_of_it,
    after_the_password_a_passkey_is_enough,
    an_answer_counts_once_at_its_own_page_and_for_ten_minutes,
    two_hundred_uses_of_one_answer_let_one_in,
    answers_of_others_are_refused_and_say_nothing,
    a_copied_passkey_is_refused,
    the_last_way_in_is_not_removed_by_accident,
    a_passkey_stands_for_password_and_code_where_somebody_is_asked_who_they_are,
    whoever_may_not_sign_in_may_not_with_a_passkey,
    a_passkey_raced_by_its_removal_or_a_block_lets_nobody_in,
    a_thiefs_passkey_goes_when_the_owner_says_it_was_not_them,
    a_thief_whose_passkey_was_the_first_is_thrown_out,
    after_a_new_password_a_passkey_needs_it_once,
    a_passkey_at_hand_stops_what_somebody_began_who_says_it_is_lost,
    what_somebody_typed_is_there_after_signing_in_with_a_passkey,
    a_passkey_is_enough_where_a_second_step_is_asked_for,
}

const MINE: &str = "annalee@example.org";
const NEW_PASSWORD: &str = "copper meadow lantern";
const WRONG: &str = "That passkey isn't linked to an account here.";
const LATE: &str = "That took too long. Try again.";
const SIGNED_IN: &str = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";

async fn a_passkey_signs_its_person_in_and_they_are_told_of_it(site: &Site) {
    let mut ann = site.member("annalee").await;
    let passkey = Passkey::add(site, &mut ann, "My phone").await;
    ann.see("Your passkey has been added. Two-step sign-in is now on.").see("Save your recovery codes");
    assert_eq!(codes_on(&ann).len(), 10);
    let mail = loop {
        let mail = site.mail_to(MINE).await;
        if mail.subject == "Passkey added: two-step sign-in is on" {
            break mail;
        }
    };
    assert!(mail.text.contains("The passkey “My phone” was added to your account"), "{}", mail.text);
    assert!(mail.text.contains("/auth/secure-account/"), "{}", mail.text);

    let mut browser = site.visitor();
    browser.visit("/auth/sign-in/user/").await;
    browser.see("Sign in with a passkey");
    passkey.sign_in(&mut browser).await;
    browser.status(200).see("@annalee");
    browser.visit("/user-profile/sessions/").await;
    browser.see("with a passkey");
    browser.visit("/auth/whoami/").await;
    assert!(browser.page().body.contains("\"second_factor\":true"), "{}", browser.page());
    browser.visit("/user-profile/activity/").await;
    browser.see("You added a passkey My phone");
    browser.visit("/user-profile/two-factor/").await;
    browser.see("My phone").see("Last used");
    // A new device: its owner is told, however it was signed in.
    assert!(site.mail.alarm_to(MINE).await.text.contains("/auth/secure-account/"));
    // The password alone is not enough any more.
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    thief.status(200).see("Use a passkey to sign in as annalee, or enter a code.");
    assert!(!thief.is_signed_in().await);
}

async fn after_the_password_a_passkey_is_enough(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    ann.passkey.use_on(&mut browser).await;
    browser.status(200).see("@annalee");
    browser.visit("/user-profile/sessions/").await;
    browser.see("with your password and a passkey");
    // A recovery code still gets them in.
    let mut paper = site.visitor();
    paper.sign_in("annalee", PASSWORD).await;
    paper.fill("Code", &ann.recovery_codes[0]).press("Sign in").await;
    paper.status(200).see("@annalee");
}

async fn an_answer_counts_once_at_its_own_page_and_for_ten_minutes(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    let mut waiting = site.visitor();
    waiting.sign_in("annalee", PASSWORD).await;
    // An answer given to the sign-in page is none to the second step, and the other way round.
    let mut page = site.visitor();
    page.visit("/auth/passkey/").await;
    let (alone, after) = (ann.passkey.answer(&page), ann.passkey.answer(&waiting));
    let (at_page, at_step) = (question(&page), question(&waiting));
    waiting.post("/auth/two-factor/", &[("passkey", &alone), ("question", &at_page)]).await;
    waiting.status(422).see(LATE);
    page.post("/auth/passkey/", &[("passkey", &after), ("question", &at_step)]).await;
    page.status(422).see(LATE);
    // Nor is it one to another question of the same page.
    page.visit("/auth/passkey/").await;
    page.post("/auth/passkey/", &[("passkey", &alone), ("question", &question(&page))]).await;
    page.status(422).see(WRONG);
    // Once.
    let mut twin = page.twin();
    page.post("/auth/passkey/", &[("passkey", &alone), ("question", &at_page)]).await;
    page.status(200).see("@annalee");
    twin.post("/auth/passkey/", &[("passkey", &alone), ("question", &at_page)]).await;
    twin.status(422).see(LATE);
    // And not after ten minutes.
    let mut late = site.visitor();
    late.visit("/auth/passkey/").await;
    let (answer, asked) = (ann.passkey.answer(&late), question(&late));
    site.wait(minutes(10)).await;
    late.post("/auth/passkey/", &[("passkey", &answer), ("question", &asked)]).await;
    late.status(422).see(LATE);
    ann.passkey.use_on(&mut late).await;
    late.status(200).see("@annalee");
}

/// The question of a page, under seal.
fn question(visitor: &crate::harness::Visitor) -> String {
    let (_, rest) = visitor.page().body.split_once("name=\"question\" value=\"").expect("a question");
    rest.split('"').next().expect("its end").to_owned()
}

async fn two_hundred_uses_of_one_answer_let_one_in(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    let mut page = site.visitor();
    page.visit("/auth/passkey/").await;
    let (answer, asked) = (ann.passkey.answer(&page), question(&page));
    let before = site.count(SIGNED_IN).await;
    let visitors: Vec<_> = (0..200).map(|_| site.visitor()).collect();
    let fields = [("passkey", answer.as_str()), ("question", asked.as_str())];
    let answers = at_once(visitors.iter().map(|visitor| visitor.posting("/auth/passkey/", &fields))).await;
    let let_in = answers.iter().filter(|answer| answer.status == 303).count();
    assert_eq!((let_in, site.count(SIGNED_IN).await - before), (1, 1));
}

async fn answers_of_others_are_refused_and_say_nothing(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    let mut bob = site.member("bobbob").await;
    let mut bobs = Passkey::add(site, &mut bob, "").await;
    let before = site.count(SIGNED_IN).await;
    let mut stranger = site.visitor();
    let refused = async |stranger: &mut crate::harness::Visitor, passkey: &Passkey, why: &str| {
        stranger.visit("/auth/passkey/").await;
        passkey.use_on(stranger).await;
        assert!(stranger.status(422).page().sees(WRONG), "{why}: {}", stranger.page());
    };
    // One that was never added, for an account that there is and for one that there is not.
    let mut unknown = Passkey::at(site);
    unknown.handle.clone_from(&ann.passkey.handle);
    refused(&mut stranger, &unknown, "unknown").await;
    unknown.handle = vec![7; 16];
    refused(&mut stranger, &unknown, "of nobody").await;
    unknown.handle = Vec::new();
    refused(&mut stranger, &unknown, "without a name").await;
    // Somebody's own, in another's name.
    let bob_handle = bobs.handle.clone();
    bobs.handle.clone_from(&ann.passkey.handle);
    refused(&mut stranger, &bobs, "of somebody else").await;
    let mut waiting = site.visitor();
    waiting.sign_in("annalee", PASSWORD).await;
    bobs.use_on(&mut waiting).await;
    waiting.status(422).see(WRONG);
    // At a page that looks like ours, and on a device that nobody has unlocked.
    let mut phished = ann.passkey;
    let here = std::mem::replace(&mut phished.origin, "https://localhost.example".to_owned());
    refused(&mut stranger, &phished, "at another site").await;
    phished.origin = here;
    phished.framed = true;
    refused(&mut stranger, &phished, "in a page of somebody else's").await;
    phished.framed = false;
    let own = std::mem::replace(&mut phished.handle, bob_handle);
    waiting.visit("/auth/two-factor/").await;
    phished.use_on(&mut waiting).await;
    waiting.status(422).see(WRONG);
    phished.handle = own;
    phished.verifies = false;
    refused(&mut stranger, &phished, "without its person").await;
    phished.verifies = true;
    // What no browser sends.
    for nonsense in ["x", "{}", "[]", "null", "{\"id\":1}"] {
        stranger.visit("/auth/passkey/").await;
        stranger.choose("passkey", nonsense).press("Use a passkey").await;
        assert!(stranger.status(422).page().sees(WRONG), "{nonsense}");
    }
    assert_eq!(site.count(SIGNED_IN).await, before);
    // Its owner finds the tries among their activity; and no neighbour's tries keep them out.
    assert!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'sign-in-failed'").await >= 4);
    let mut elsewhere = stranger.other_browser();
    phished.sign_in(&mut elsewhere).await;
    elsewhere.status(200).see("@annalee");
}

async fn a_copied_passkey_is_refused(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    for (count, is_let_in) in [(5, true), (6, true), (6, false), (3, false), (7, true)] {
        ann.passkey.counter.set(count);
        let mut browser = site.visitor();
        ann.passkey.sign_in(&mut browser).await;
        assert_eq!(browser.page().status == 200, is_let_in, "{count}: {}", browser.page());
    }
}

async fn the_last_way_in_is_not_removed_by_accident(site: &Site) {
    let mut ann = WithPasskey::new(site, "annalee").await;
    let rows = "SELECT COUNT(*) FROM passkeys";
    ann.visitor.visit("/user-profile/two-factor/").await;
    ann.visitor.see("You can't remove your only passkey.");
    assert!(!ann.visitor.page().body.contains("/remove/"));
    let id = site.texts("SELECT id AS text FROM passkeys").await.remove(0);
    ann.visitor.post(&format!("/user-profile/two-factor/passkeys/{id}/remove/"), &[]).await;
    assert_eq!(site.count(rows).await, 1);
    // The same one is not added twice.
    ann.visitor.visit("/user-profile/two-factor/passkeys/new/").await;
    let again = ann.passkey.make(&ann.visitor);
    ann.visitor.choose("passkey", &again).press("Add a passkey").await;
    ann.visitor.status(422).see("We couldn't add your passkey.");
    // Beside an app it goes, and the app then stays.
    ann.visitor.visit("/user-profile/two-factor/authenticators/new/").await;
    let app = Authenticator::of_page(&ann.visitor);
    ann.visitor.fill("6-digit code", &app.code(site)).press("Add the app").await;
    ann.visitor.press("Remove – My phone").await;
    ann.visitor.see("The passkey has been removed.").see("To replace it, add the new app first.");
    assert_eq!(site.count(rows).await, 0);
    while site.mail_to(MINE).await.subject != "Two-step sign-in has been changed" {}
    let mut browser = site.visitor();
    ann.passkey.sign_in(&mut browser).await;
    browser.status(422).see(WRONG);
}

async fn a_passkey_stands_for_password_and_code_where_somebody_is_asked_who_they_are(site: &Site) {
    let mut ann = WithPasskey::new(site, "annalee").await;
    site.wait(minutes(11)).await;
    for path in ["/user-profile/update-password/", "/user-profile/change-email/", "/user-profile/delete/"] {
        ann.visitor.visit(path).await;
        assert!(ann.visitor.path().starts_with("/auth/confirm-password/"), "{}", ann.visitor.path());
        ann.passkey.use_on(&mut ann.visitor).await;
        assert_eq!(ann.visitor.path(), path);
        site.wait(minutes(11)).await;
    }
    // An act that waits for it is done.
    ann.visitor.visit("/user-profile/two-factor/").await;
    ann.visitor.press("Turn off two-step sign-in").await;
    ann.visitor.see("Confirm it's you").see("Turn off two-step sign-in");
    ann.passkey.use_on(&mut ann.visitor).await;
    ann.visitor.see("Two-step sign-in has been turned off.");
    assert_eq!(site.count("SELECT COUNT(*) FROM passkeys").await, 0);
    let mut browser = site.visitor();
    ann.passkey.sign_in(&mut browser).await;
    browser.status(422).see(WRONG);
}

async fn whoever_may_not_sign_in_may_not_with_a_passkey(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    site.sql("UPDATE users SET blocked_at = created_at, blocked_reason = 'Test'").await;
    let mut browser = site.visitor();
    ann.passkey.sign_in(&mut browser).await;
    browser.status(403).see("Your account is blocked").see("Test");
    assert!(!browser.is_signed_in().await);
    site.sql("UPDATE users SET blocked_at = NULL, blocked_reason = ''").await;
    // Whoever leaves is asked whether they stay.
    let leaving = "UPDATE users SET leaves_at = '2999-01-01 00:00:00'";
    site.sql(leaving).await;
    ann.passkey.sign_in(&mut browser).await;
    browser.status(200).see("Keep my account");
}

async fn a_passkey_raced_by_its_removal_or_a_block_lets_nobody_in(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    for (change, undo) in [
        ("UPDATE users SET blocked_at = created_at", "UPDATE users SET blocked_at = NULL"),
        ("UPDATE passkeys SET user_id = user_id, credential_digest = 'x'", "UPDATE passkeys SET name = ''"),
    ] {
        let mut page = site.visitor();
        page.visit("/auth/passkey/").await;
        let answer = ann.passkey.answer(&page);
        let (sent, path) = page.choose("passkey", &answer).submission("Use a passkey");
        let before = site.count(SIGNED_IN).await;
        site.sql(change).await;
        page.send(sent, &path).await;
        assert!(page.page().status >= 400, "{change}: {}", page.page());
        assert_eq!(site.count(SIGNED_IN).await, before, "{change}");
        site.sql(undo).await;
    }
}

async fn a_thiefs_passkey_goes_when_the_owner_says_it_was_not_them(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    site.wait(hours(80)).await;
    let mut thief = ann.sign_in(site, "annalee").await;
    let alarm = site.mail.alarm_to(MINE).await;
    let thiefs = Passkey::add(site, &mut thief, "").await;
    let mut owner = site.visitor();
    owner.visit(&alarm.link("/auth/secure-account/")).await;
    owner.press("This wasn't me").await;
    owner.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
    owner.press("Change password").await;
    thiefs.sign_in(&mut thief).await;
    thief.status(422).see(WRONG);
    site.wait(seconds(30)).await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", NEW_PASSWORD).await;
    browser.fill("Code", &ann.app.code(site)).press("Sign in").await;
    browser.status(200).see("@annalee");
}

async fn a_thief_whose_passkey_was_the_first_is_thrown_out(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.wait(hours(80)).await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    let alarm = site.mail.alarm_to(MINE).await;
    let thiefs = Passkey::add(site, &mut thief, "").await;
    // The owner uses whichever link they find, also that of a sign-in after it.
    let mut again = site.visitor();
    thiefs.sign_in(&mut again).await;
    again.status(200);
    ann.visit(&alarm.link("/auth/secure-account/")).await;
    ann.press("This wasn't me").await;
    ann.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
    ann.press("Change password").await;
    for _ in 0..2 {
        thiefs.sign_in(&mut thief).await;
        thief.status(422).see("Your password has changed since you last used this passkey");
        assert!(!thief.is_signed_in().await && !again.is_signed_in().await);
    }
    // Nor do they come back with a code from the mailbox, which they may still read.
    let before = site.mail.all_to(MINE).len();
    thief.visit("/auth/sign-in-code/").await;
    thief.fill("Email address", MINE).press("Email me a code").await;
    let code = loop {
        let new = site.mail.all_to(MINE).split_off(before);
        if let Some(mail) = new.iter().find(|mail| mail.subject.ends_with("sign-in code")) {
            break mail.code();
        }
        site.mail_to(MINE).await;
    };
    thief.fill("Code", &code).press("Sign in").await;
    thiefs.use_on(&mut thief).await;
    thief.status(422).see("Your password has changed since you last used this passkey");
    assert!(!thief.is_signed_in().await);
    // And cannot stop what lets the owner in.
    site.wait(hours(73)).await;
    ann.sign_in("annalee", NEW_PASSWORD).await;
    ann.status(200);
    assert!(ann.is_signed_in().await);
    assert_eq!(site.count("SELECT COUNT(*) FROM passkeys").await, 0);
}

async fn after_a_new_password_a_passkey_needs_it_once(site: &Site) {
    let mut ann = WithPasskey::new(site, "annalee").await;
    ann.visitor.change_password(PASSWORD, NEW_PASSWORD).await;
    let mut browser = site.visitor();
    ann.passkey.sign_in(&mut browser).await;
    browser.status(422).see("Sign in with your password and the passkey once");
    browser.follow("Sign in with your password").await;
    // Where somebody is signed in already, it says who they are as before.
    site.wait(minutes(11)).await;
    ann.visitor.visit("/user-profile/update-password/").await;
    ann.passkey.use_on(&mut ann.visitor).await;
    assert_eq!(ann.visitor.path(), "/user-profile/update-password/");
    browser.sign_in("annalee", NEW_PASSWORD).await;
    ann.passkey.use_on(&mut browser).await;
    browser.status(200).see("@annalee");
    let mut elsewhere = site.visitor();
    ann.passkey.sign_in(&mut elsewhere).await;
    elsewhere.status(200).see("@annalee");
}

async fn a_passkey_at_hand_stops_what_somebody_began_who_says_it_is_lost(site: &Site) {
    let ann = WithPasskey::new(site, "annalee").await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    thief.follow("Can't use your passkey or app?").await;
    thief.press("Turn it off in 3 days").await;
    let mut browser = site.visitor();
    ann.passkey.sign_in(&mut browser).await;
    browser.status(200);
    site.wait(hours(73)).await;
    thief.sign_in("annalee", PASSWORD).await;
    thief.see("Use a passkey to sign in as annalee");
    assert!(!thief.is_signed_in().await);
}

async fn what_somebody_typed_is_there_after_signing_in_with_a_passkey(site: &Site) {
    let mut ann = WithPasskey::new(site, "annalee").await;
    ann.visitor.visit("/user-profile/update/").await;
    ann.visitor.fill("Name", "Ann Lee");
    site.sql("UPDATE sessions SET ended_at = created_at").await;
    ann.visitor.press("Save").await;
    ann.visitor.see("we'll bring back what you typed");
    // A browser presses a button that leads elsewhere with all that the form holds.
    let (_, rest) = ann.visitor.page().body.split_once("name=\"carried\" value=\"").expect("a form");
    let carried = rest.split('"').next().expect("its end").to_owned();
    ann.visitor.post("/auth/passkey/", &[("carried", &carried)]).await;
    ann.passkey.use_on(&mut ann.visitor).await;
    ann.visitor.status(200);
    assert_eq!(ann.visitor.written("Name"), "Ann Lee");
}

async fn a_passkey_is_enough_where_a_second_step_is_asked_for(site: &Site) {
    site.appoint(Role::Superuser, "chief").await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let passkey = Passkey::add(site, &mut chief, "").await;
    let mut browser = site.visitor();
    passkey.sign_in(&mut browser).await;
    assert_eq!(browser.path(), "/admin/");
    // An act against somebody asks for nothing more within ten minutes.
    site.member("bobbob").await;
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'bobbob'").await.remove(0);
    browser.post(&format!("/admin/users/{id}/block/"), &[("reason", "Test")]).await;
    assert!(!browser.path().starts_with("/auth/confirm-password/"), "{}", browser.path());
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 1);
}

#[test]
fn where_passkeys_are_no_more_a_recovery_code_gets_their_people_in() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let ann = WithPasskey::new(&site, "annalee").await;
        let (folder, mail) = site.stop().await;
        let off = HashMap::from([("PASSKEYS", "off".to_owned())]);
        let site = Site::start_in(folder, mail, off).await;
        let mut browser = site.visitor();
        browser.visit("/auth/sign-in/user/").await;
        assert!(!browser.page().sees("passkey"));
        browser.sign_in("annalee", PASSWORD).await;
        browser.see("Enter your code");
        assert!(!browser.page().body.contains("<script"));
        browser.fill("Code", &ann.recovery_codes[0]).press("Sign in").await;
        browser.status(200).see("@annalee");
        browser.visit("/user-profile/two-factor/").await;
        browser.follow("Add an authenticator app").await;
        let app = Authenticator::of_page(&browser);
        browser.fill("6-digit code", &app.code(&site)).press("Add the app").await;
        // What does not count is no way in: the app stays.
        browser.see("To replace it, add the new app first.");
        site.stop().await;
    });
}

#[test]
fn two_instances_take_one_answer_once() {
    for world in [World::Postgres, World::ALL[World::ALL.len() - 1]] {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            // Both are the same site to a browser.
            let settings = [("PUBLIC_URL", "https://accounts.example.org"), ("ALLOWED_HOSTS", "127.0.0.1")];
            let (mut one, mut other) =
                (sandbox.site_with(&settings).await, sandbox.site_with(&settings).await);
            one.url = format!("http://{}", one.listens_at);
            other.url = format!("http://{}", other.listens_at);
            let ann = WithPasskey::new(&one, "annalee").await;
            let mut page = one.visitor();
            page.visit("/auth/passkey/").await;
            let (answer, asked) = (ann.passkey.answer(&page), question(&page));
            let before = one.count(SIGNED_IN).await;
            let fields = [("passkey", answer.as_str()), ("question", asked.as_str())];
            let requests = (0..200).map(|number| {
                let mut visitor = if number % 2 == 0 { one.visitor() } else { other.visitor() };
                visitor.go_to(if number % 2 == 0 { &one } else { &other });
                visitor.posting("/auth/passkey/", &fields)
            });
            let answers = at_once(requests).await;
            let let_in = answers.iter().filter(|answer| answer.location == "/user-profile/").count();
            assert_eq!((let_in, one.count(SIGNED_IN).await - before), (1, 1));
            one.stop().await;
            other.stop().await;
        });
    }
}
