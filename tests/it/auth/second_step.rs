//! The second step of signing in: a stolen password is not a stolen account, and a lost phone is not a lost one.

use std::collections::HashMap;

use latchkey::identity::Role;
use secrecy::ExposeSecret as _;

use crate::harness::{
    Authenticator, Enrolled, OTHER_PASSWORD, PASSWORD, Site, Visitor, World, at_once, codes_on, hours,
    minutes, run_alone, seconds, stories,
};

stories! {
    signing_in_takes_the_password_and_a_code,
    a_code_works_once_and_those_before_it_never_again,
    a_clock_that_is_off_by_half_a_minute_is_no_hindrance,
    a_recovery_code_works_once_and_its_person_is_told,
    five_wrong_codes_end_a_sign_in_and_alarm_the_owner,
    whoever_knows_the_password_can_lock_nobody_out,
    a_sign_in_that_waits_dies_with_whatever_changes_the_account,
    a_sign_in_that_waits_is_of_one_browser_and_ten_minutes,
    a_trusted_device_is_asked_for_no_code_until_it_is_trusted_no_more,
    a_new_password_by_mail_still_takes_a_code,
    every_way_in_asks_for_the_code,
    two_hundred_uses_of_one_code_let_one_in,
    a_code_raced_by_a_new_password_or_a_block_lets_nobody_in,
    whoever_lost_everything_waits_and_then_signs_in,
    a_thief_with_password_and_mailbox_waits_in_vain,
    what_somebody_wanted_is_there_after_the_code,
    an_app_at_hand_stops_what_a_thief_began,
    a_wait_that_nobody_came_back_from_is_over,
    keys_of_an_older_secret_still_work,
}

const MINE: &str = "annalee@example.org";
const NEW_PASSWORD: &str = "copper meadow lantern";

async fn signing_in_takes_the_password_and_a_code(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    browser.status(200).see("Enter your code").see("annalee");
    assert_eq!(browser.path(), "/auth/two-factor/");
    assert!(!browser.is_signed_in().await, "the password alone is no session");
    browser.visit("/auth/two-factor/").await;
    browser.fill("Code", "").press("Sign in").await;
    browser.status(422);
    assert!(browser.problem("Code").starts_with("Enter the 6 digits from your authenticator app"));
    browser.fill("Code", &ann.app.code(site)).press("Sign in").await;
    browser.status(200).see("@annalee");
    browser.visit("/user-profile/sessions/").await;
    browser.see("with your password and a code");
    // Whoever does not know the password does not learn that there is more.
    let mut stranger = site.visitor();
    stranger.sign_in("annalee", "wrong password here").await;
    assert!(stranger.problem("Username or email address").starts_with("Wrong username or password"));
}

async fn a_code_works_once_and_those_before_it_never_again(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let (before, code) = (ann.app.code_off_by(site, -30), ann.app.code(site));
    ann.sign_in(site, "annalee").await.see("@annalee");
    let mut thief = ann.at_second_step(site, "annalee").await;
    for used in [&code, &before] {
        thief.fill("Code", used).press("Sign in").await;
        assert!(thief.status(422).problem("Code").starts_with("You've already used that code"));
    }
    site.wait(seconds(30)).await;
    thief.fill("Code", &ann.app.code(site)).press("Sign in").await;
    thief.see("@annalee");
}

async fn a_clock_that_is_off_by_half_a_minute_is_no_hindrance(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    for off in [-90, -60, 60, 90] {
        let mut browser = ann.at_second_step(site, "annalee").await;
        browser.fill("Code", &ann.app.code_off_by(site, off)).press("Sign in").await;
        assert!(browser.status(422).problem("Code").contains("check your phone's clock"), "{off}");
    }
    for off in [-30, 0, 30] {
        site.wait(minutes(2)).await;
        let mut browser = ann.at_second_step(site, "annalee").await;
        browser.fill("Code", &ann.app.code_off_by(site, off)).press("Sign in").await;
        browser.status(200).see("@annalee");
    }
    // While it is set up, the person is told: the key is theirs.
    let mut bob = site.member("bobbob").await;
    bob.visit("/user-profile/two-factor/authenticators/new/").await;
    let app = Authenticator::of_page(&bob);
    bob.fill("6-digit code", &app.code_off_by(site, 180)).press("Add the app").await;
    assert!(bob.status(422).problem("6-digit code").starts_with("Your phone's clock may be wrong"));
    assert_eq!(Authenticator::of_page(&bob).key, app.key, "it has been scanned");
}

async fn a_recovery_code_works_once_and_its_person_is_told(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    assert_eq!(ann.recovery_codes.len(), 10);
    for (used, code) in ann.recovery_codes.iter().enumerate() {
        let mut browser = ann.at_second_step(site, "annalee").await;
        // As somebody reads it from paper.
        browser.fill("Code", &code.to_uppercase().replace('-', " ")).press("Sign in").await;
        browser.status(200).see("@annalee");
        let mail = site.mail_to(MINE).await;
        assert_eq!(mail.subject, "A recovery code was used");
        let left = 9 - used;
        assert_eq!(
            mail.text.contains("/user-profile/two-factor/recovery-codes/"),
            left <= 3,
            "{left} left: {}",
            mail.text
        );
        let mut again = ann.at_second_step(site, "annalee").await;
        again.fill("Code", code).press("Sign in").await;
        assert!(again.status(422).problem("Code").starts_with("That code isn't right"));
        site.wait(minutes(10)).await;
    }
    let mut browser = ann.sign_in(site, "annalee").await;
    browser.visit("/user-profile/two-factor/").await;
    browser.see("0 of 10 left");
    browser.visit("/user-profile/two-factor/recovery-codes/").await;
    browser.press("Make new recovery codes").await;
    let new = codes_on(&browser);
    assert!(new.len() == 10 && new.iter().all(|code| !ann.recovery_codes.contains(code)));
    // Shown once.
    browser.visit("/user-profile/two-factor/recovery-codes/").await;
    assert!(codes_on(&browser).is_empty());
}

async fn five_wrong_codes_end_a_sign_in_and_alarm_the_owner(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    for left in (1..5).rev() {
        thief.fill("Code", "000000").press("Sign in").await;
        assert!(thief.problem("Code").contains(&format!("You have {left} ")), "{}", thief.page());
    }
    thief.fill("Code", "000000").press("Sign in").await;
    thief.see("You entered too many wrong codes");
    thief.visit("/auth/two-factor/").await;
    assert_eq!(thief.path(), "/auth/sign-in/user/");
    let alarm = site.mail_to(MINE).await;
    assert!(alarm.text.contains("entered your password"), "{}", alarm.text);
}

async fn whoever_knows_the_password_can_lock_nobody_out(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await;
    for _ in 0..3 {
        let mut thief = ann.at_second_step(site, "annalee").await;
        for _ in 0..5 {
            thief.post("/auth/two-factor/", &[("code", "000000")]).await;
        }
    }
    let mut thief = ann.at_second_step(site, "annalee").await;
    thief.fill("Code", "000000").press("Sign in").await;
    thief.status(429).see("use a recovery code now");
    // On a device of theirs the owner is counted apart.
    ann.visitor.press("Sign out").await;
    ann.visitor.sign_in("annalee", PASSWORD).await;
    ann.visitor.fill("Code", &ann.app.code(site)).press("Sign in").await;
    ann.visitor.status(200).see("@annalee");
    // On a new one a recovery code lets them in, and so does a new password with the code of the app.
    let mut new_device = ann.at_second_step(site, "annalee").await;
    new_device.fill("Code", &ann.recovery_codes[0]).press("Sign in").await;
    new_device.status(200).see("@annalee");
    ann.visitor.change_password(PASSWORD, NEW_PASSWORD).await;
    site.wait(seconds(30)).await;
    let mut another = site.visitor();
    another.sign_in("annalee", NEW_PASSWORD).await;
    another.fill("Code", &ann.app.code(site)).press("Sign in").await;
    another.status(200).see("@annalee");
}

async fn a_sign_in_that_waits_dies_with_whatever_changes_the_account(site: &Site) {
    site.appoint(Role::Superuser, "chief").await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let mut ann = Enrolled::new(site, "annalee").await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    ann.visitor.change_password(PASSWORD, NEW_PASSWORD).await;
    thief.fill("Code", &ann.app.code(site)).press("Sign in").await;
    thief.see("That took too long");
    assert!(!thief.is_signed_in().await, "after a new password");

    let mut thief = site.visitor();
    thief.sign_in("annalee", NEW_PASSWORD).await;
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    chief.visit(&format!("/admin/users/{id}/")).await;
    site.sql("UPDATE users SET blocked_at = created_at, blocked_reason = 'Test' WHERE username = 'annalee'")
        .await;
    thief.fill("Code", &ann.app.code(site)).press("Sign in").await;
    thief.see("That took too long");
    assert!(!thief.is_signed_in().await, "after a block");
}

async fn a_sign_in_that_waits_is_of_one_browser_and_ten_minutes(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let waiting = ann.at_second_step(site, "annalee").await;
    let code = ann.app.code(site);
    let mut other = site.visitor();
    other.post("/auth/two-factor/", &[("code", &code)]).await;
    assert_eq!(other.path(), "/auth/sign-in/user/", "a browser that gave no password");
    let mut late = waiting.twin();
    site.wait(minutes(10)).await;
    late.post("/auth/two-factor/", &[("code", &ann.app.code(site))]).await;
    late.see("That took too long");
    // Used, it is used up, whatever became of its cookie.
    let waiting = ann.at_second_step(site, "annalee").await;
    let mut copy = waiting.twin();
    let mut first = waiting.twin();
    first.post("/auth/two-factor/", &[("code", &ann.app.code(site))]).await;
    first.see("@annalee");
    site.wait(seconds(30)).await;
    copy.post("/auth/two-factor/", &[("code", &ann.app.code(site))]).await;
    copy.see("That took too long");
}

async fn a_trusted_device_is_asked_for_no_code_until_it_is_trusted_no_more(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await;
    let mut phone = ann.at_second_step(site, "annalee").await;
    phone.fill("Code", &ann.app.code(site)).tick("Trust this device").press("Sign in").await;
    phone.see("@annalee");
    let sign_in_again = async |phone: &mut Visitor| {
        phone.visit("/user-profile/").await;
        phone.press("Sign out").await;
        phone.sign_in("annalee", PASSWORD).await;
    };
    sign_in_again(&mut phone).await;
    phone.see("@annalee");
    phone.visit("/user-profile/sessions/").await;
    phone.see("on a device you trust");
    // Elsewhere a code is asked for.
    ann.at_second_step(site, "annalee").await;
    phone.visit("/user-profile/sessions/").await;
    phone.see("Trusted devices").see("This device");
    phone.press("Stop trusting – Unknown browser").await;
    phone.see("ask for a code next time");
    sign_in_again(&mut phone).await;
    phone.see("Enter your code");
    // So does signing that device out from another one.
    phone.fill("Code", &ann.app.code_off_by(site, 30)).tick("Trust this device").press("Sign in").await;
    let mut desk = ann.at_second_step(site, "annalee").await;
    desk.fill("Code", &ann.recovery_codes[0]).press("Sign in").await;
    desk.post("/user-profile/sessions/end-others/", &[]).await;
    phone.sign_in("annalee", PASSWORD).await;
    phone.see("Enter your code");
    site.wait(minutes(2)).await;
    // Thirty days, and a new password, end it as well.
    phone.fill("Code", &ann.app.code_off_by(site, 30)).tick("Trust this device").press("Sign in").await;
    site.wait(hours(30 * 24)).await;
    phone.sign_in("annalee", PASSWORD).await;
    phone.see("Enter your code");
    phone.fill("Code", &ann.app.code(site)).tick("Trust this device").press("Sign in").await;
    phone.see("@annalee");
    phone.change_password(PASSWORD, NEW_PASSWORD).await;
    phone.visit("/user-profile/").await;
    phone.press("Sign out").await;
    phone.sign_in("annalee", NEW_PASSWORD).await;
    phone.see("Enter your code");
    ann.visitor = phone;
}

async fn reset_password(site: &Site, visitor: &mut Visitor, password: &str) {
    let links = || {
        let mails = site.mail.all_to(MINE).into_iter();
        mails.filter(|mail| mail.text.contains("/auth/reset-password/")).collect::<Vec<_>>()
    };
    let before = links().len();
    visitor.post("/auth/forgot-password/", &[("username", "annalee")]).await;
    while links().len() == before {
        site.mail_to(MINE).await;
    }
    let link = links()[before].link("/auth/reset-password/");
    visitor.visit(&link).await;
    visitor.fill("New password", password).fill("Repeat the new password", password);
    visitor.press("Change password").await;
    visitor.status(200);
}

async fn a_new_password_by_mail_still_takes_a_code(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut thief = site.visitor();
    reset_password(site, &mut thief, NEW_PASSWORD).await;
    assert!(!thief.is_signed_in().await);
    thief.sign_in("annalee", NEW_PASSWORD).await;
    thief.status(200).see("Enter your code");
    assert!(!thief.is_signed_in().await);
    drop(ann);
}

/// Each way to a session, and what stands at its end for who knows the password and no code.
async fn every_way_in_asks_for_the_code(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await;
    // The sign-in page of another role, and its button.
    let mut browser = site.visitor();
    browser.sign_in_at("/auth/sign-in/merchant/", "annalee", PASSWORD).await;
    browser.press("Continue as a user").await;
    browser.see("Enter your code");
    // By email address, and on a device that signed in before.
    browser.sign_in(MINE, PASSWORD).await;
    browser.see("Enter your code");
    ann.visitor.visit("/user-profile/").await;
    ann.visitor.press("Sign out").await;
    ann.visitor.sign_in("annalee", PASSWORD).await;
    ann.visitor.see("Enter your code");
    // What needs a session answers as to a stranger.
    for path in [
        "/user-profile/",
        "/user-profile/two-factor/",
        "/auth/confirm-password/",
        "/auth/enter/?to=https://wiki.example.org/&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        browser.visit(path).await;
        assert!(browser.path().starts_with("/auth/sign-in/") || browser.page().status >= 400, "{path}");
    }
    browser.visit("/auth/whoami/").await;
    browser.see("\"signed_in\":false");
    // A session from before is over, remembered or not.
    let mut bob = site.member("bobbob").await;
    let mut remembered = site.visitor();
    remembered.visit("/auth/sign-in/user/").await;
    remembered.fill("Username or email address", "bobbob").fill("Password", PASSWORD);
    remembered.tick("Stay signed in on this device").press("Sign in").await;
    assert!(remembered.is_signed_in().await);
    bob.visit("/user-profile/").await;
    Enrolled::with(site, "bobbob", bob).await;
    assert!(!remembered.is_signed_in().await, "it gave the password alone");
}

async fn two_hundred_uses_of_one_code_let_one_in(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    // One step, one authenticator code.
    let waiting = ann.at_second_step(site, "annalee").await;
    let code = ann.app.code(site);
    let request = |visitor: &Visitor, code: &str| visitor.posting("/auth/two-factor/", &[("code", code)]);
    let answers = at_once((0..200).map(|_| request(&waiting, &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.location == "/user-profile/").count(), 1);
    // Many steps, one recovery code.
    let mut steps = Vec::new();
    for _ in 0..20 {
        steps.push(ann.at_second_step(site, "annalee").await);
    }
    let code = &ann.recovery_codes[0];
    let answers = at_once((0..200).map(|number| request(&steps[number % 20], code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.location == "/user-profile/").count(), 1);
    let begun = "SELECT COUNT(*) FROM sessions WHERE signed_in_by LIKE 'password-%' AND ended_at IS NULL";
    assert_eq!(site.count(begun).await, 2);
}

/// Somebody with the password and the code of now, at the moment in which the owner, or staff, acts.
async fn a_code_raced_by_a_new_password_or_a_block_lets_nobody_in(site: &Site) {
    site.appoint(Role::Superuser, "chief").await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let new =
        [("current_password", PASSWORD), ("password", NEW_PASSWORD), ("confirm_password", NEW_PASSWORD)];
    for round in 0..8 {
        let name = format!("person{round}");
        let owner = Enrolled::new(site, &name).await;
        let thief = owner.at_second_step(site, &name).await;
        let guess = thief.posting("/auth/two-factor/", &[("code", &owner.app.code(site))]);
        let is_block = round % 2 == 0;
        let act = if is_block {
            let whose = "SELECT id AS text FROM users WHERE role = 'user' ORDER BY id DESC";
            let id = site.texts(whose).await.remove(0);
            chief.posting(&format!("/admin/users/{id}/block/"), &[("reason", "Stolen")])
        } else {
            owner.visitor.posting("/user-profile/update-password/", &new)
        };
        let answers = at_once([guess, act]).await;
        assert_eq!(answers[1].status, 303, "{answers:?}");
        let live = "SELECT COUNT(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.role = 'user' AND s.ended_at IS NULL";
        assert_eq!(site.count(live).await, i64::from(!is_block), "{answers:?}");
        site.sql("UPDATE sessions SET ended_at = created_at WHERE user_id IN (SELECT id FROM users WHERE role = 'user')").await;
    }
}

#[test]
fn ten_thousand_guesses_are_five() {
    for world in World::ALL {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            // No other limit is in the way.
            let site = sandbox.site_with(&[("RATE_LIMITS", "off")]).await;
            let ann = Enrolled::new(&site, "annalee").await;
            let waiting = ann.at_second_step(&site, "annalee").await;
            let right = ann.app.code(&site);
            let guesses: Vec<String> =
                (0..10_001).map(|number| format!("{number:06}")).filter(|guess| *guess != right).collect();
            for burst in guesses.chunks(500) {
                let sent = burst.iter().map(|guess| waiting.posting("/auth/two-factor/", &[("code", guess)]));
                at_once(sent).await;
            }
            assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'factor-wrong'").await, 5);
            site.stop().await;
        });
    }
}

async fn lose_everything(visitor: &mut Visitor) {
    visitor.follow("Can't get a code?").await;
    visitor.see("If you saved your recovery codes");
    visitor.press("Turn it off in 3 days").await;
    visitor.status(200).see("You can sign in with just your password from");
}

async fn whoever_lost_everything_waits_and_then_signs_in(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut browser = ann.at_second_step(site, "annalee").await;
    lose_everything(&mut browser).await;
    let mail = site.mail_to(MINE).await;
    assert_eq!(mail.subject, "Did you ask to turn off two-step sign-in?");
    // Asking again changes nothing, and mails nobody.
    site.wait(hours(71)).await;
    let mut browser = ann.at_second_step(site, "annalee").await;
    browser.see("The password will be enough to sign in");
    browser.post("/auth/two-factor/lost/", &[]).await;
    site.wait(hours(1)).await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    browser.status(200).see("Set up an authenticator app");
    assert_eq!(browser.path(), "/user-profile/two-factor/");
    assert_eq!(site.mail_to(MINE).await.subject, "Two-step sign-in is off");
    // The old app and codes are nobody's now; a new one is set up like the first.
    Enrolled::with(site, "annalee", browser).await;
    let mut again = site.visitor();
    again.sign_in("annalee", PASSWORD).await;
    again.fill("Code", &ann.recovery_codes[3]).press("Sign in").await;
    again.status(422);
}

async fn a_thief_with_password_and_mailbox_waits_in_vain(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    // Every link in the mailbox, the newest first: none opens the account before the time is over.
    for mail in site.mail.all_to(MINE).iter().rev() {
        for path in ["/auth/secure-account/", "/auth/undo-email/"] {
            if mail.text.contains(path) {
                thief.visit(&mail.link(path)).await;
                thief.press("This wasn't me").await;
                thief.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
                thief.press("Change password").await;
            }
        }
    }
    thief.sign_in("annalee", NEW_PASSWORD).await;
    thief.see("Enter your code");
    assert!(!thief.is_signed_in().await);
    thief.post("/auth/two-factor/lost/", &[]).await;
    site.wait(hours(70)).await;
    // The owner reads one of the mails.
    let mails = site.mail.all_to(MINE);
    let told = mails.iter().find(|mail| mail.text.contains("/auth/keep-two-factor/")).expect("told");
    let mut owner = site.visitor();
    owner.visit(&told.link("/auth/keep-two-factor/")).await;
    owner.see("Keep two-step sign-in?");
    owner.press("Keep two-step sign-in").await;
    owner.status(200).see("Two-step sign-in stays on");
    site.wait(hours(10)).await;
    thief.sign_in("annalee", NEW_PASSWORD).await;
    thief.see("Enter your code");
    // With a new password the owner's app is as good as ever.
    reset_password(site, &mut ann.visitor, PASSWORD).await;
    let mut back = ann.sign_in(site, "annalee").await;
    assert!(back.is_signed_in().await, "{}", back.page());
}

async fn what_somebody_wanted_is_there_after_the_code(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut browser = site.visitor();
    browser.visit("/user-profile/activity/").await;
    browser.fill("Username or email address", "annalee").fill("Password", PASSWORD).press("Sign in").await;
    browser.fill("Code", &ann.app.code(site)).press("Sign in").await;
    assert_eq!(browser.path(), "/user-profile/activity/");
    // A form, too.
    browser.visit("/user-profile/update/").await;
    browser.fill("Name", "Ann Lee");
    let (request, path) = browser.submission("Save");
    site.sql("UPDATE sessions SET ended_at = created_at").await;
    browser.send(request, &path).await;
    browser.see("Sign in again and we'll bring back what you typed");
    browser.fill("Username or email address", "annalee").fill("Password", PASSWORD).press("Sign in").await;
    site.wait(seconds(30)).await;
    browser.fill("Code", &ann.app.code(site)).press("Sign in").await;
    assert_eq!(browser.written("Name"), "Ann Lee");
}

async fn an_app_at_hand_stops_what_a_thief_began(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    thief.post("/auth/two-factor/lost/", &[]).await;
    ann.sign_in(site, "annalee").await.see("@annalee");
    site.wait(hours(80)).await;
    thief.sign_in("annalee", PASSWORD).await;
    thief.see("Enter your code");
}

async fn a_wait_that_nobody_came_back_from_is_over(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    thief.post("/auth/two-factor/lost/", &[]).await;
    site.wait(hours(72 + 7 * 24)).await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    assert!(!thief.page().sees("The password will be enough"));
    // It can begin again, and is mailed again.
    thief.post("/auth/two-factor/lost/", &[]).await;
    thief.see("We've emailed you.");
}

async fn keys_of_an_older_secret_still_work(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut settings = HashMap::new();
    let database = site.app.config.database.place.expose_secret().to_owned();
    let url = if database.contains("://") { database } else { format!("sqlite://{database}") };
    settings.insert("DATABASE_URL", url);
    settings.insert("SECRET_KEY", format!("{},{}", "n".repeat(64), "k".repeat(64)));
    let rotated = Site::start(settings).await;
    rotated.wait(minutes(2)).await;
    let code = ann.app.code(&rotated);
    for code in [code.as_str(), ann.recovery_codes[0].as_str()] {
        let mut browser = rotated.visitor();
        browser.sign_in("annalee", PASSWORD).await;
        browser.fill("Code", code).press("Sign in").await;
        browser.status(200).see("@annalee");
    }
    rotated.stop().await;
}

#[test]
fn two_instances_take_one_code_once() {
    for world in [World::Postgres, World::ALL[World::ALL.len() - 1]] {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let (one, other) = (sandbox.site().await, sandbox.site().await);
            let ann = Enrolled::new(&one, "annalee").await;
            let mut steps = Vec::new();
            for _ in 0..20 {
                steps.push(ann.at_second_step(&one, "annalee").await);
            }
            let code = ann.app.code(&one);
            let requests = (0..200).map(|number| {
                let mut visitor = steps[number % 20].twin();
                if number % 2 == 1 {
                    visitor.go_to(&other);
                }
                visitor.posting("/auth/two-factor/", &[("code", &code)])
            });
            other.wait(seconds(30)).await;
            let answers = at_once(requests).await;
            assert_eq!(answers.iter().filter(|answer| answer.location == "/user-profile/").count(), 1);
            one.stop().await;
            other.stop().await;
        });
    }
}

#[test]
fn codes_are_those_of_oathtool() {
    let Some(oathtool) = crate::harness::program("oathtool", "oathtool") else { return };
    let app = Authenticator { key: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".to_owned() };
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        for _ in 0..20 {
            let now = site.app.clock.now().micros() / 1_000_000;
            let output = std::process::Command::new(&oathtool)
                .args(["--totp", "--base32", "--now", &format!("@{now}"), &app.key])
                .output()
                .expect("oathtool");
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), app.code(&site));
            site.wait(seconds(7919)).await;
        }
        site.stop().await;
    });
}
