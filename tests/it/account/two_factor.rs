//! One's own second step of signing in: set up, managed, asked for by the site, and reset by staff.

use latchkey::identity::Role;

use crate::harness::{
    AtApplication, Authenticator, Enrolled, OTHER_PASSWORD, PASSWORD, Site, Visitor, World, at_once,
    codes_on, hours, minutes, run_alone, seconds, stories,
};

stories! {
    somebody_sets_it_up_by_the_words_on_the_pages,
    a_second_app_can_be_added_and_the_first_one_removed,
    turning_it_off_takes_password_and_code,
    acts_against_people_take_a_code_of_the_last_ten_minutes,
    a_superuser_turns_it_off_with_a_reason,
    an_owner_whose_thief_turned_it_on_gets_the_account_back_after_the_wait,
    sign_ins_raced_by_setting_it_up_leave_no_session_without_a_code,
    recovery_under_way_is_shown_and_stopped_inside,
    a_thief_who_moved_the_address_cannot_keep_the_second_step,
    taking_an_account_back_leaves_its_owner_the_app_they_had,
    a_wait_that_a_thief_began_is_the_owners_once_they_take_the_account_back,
    devices_made_known_before_it_was_turned_on_have_no_guesses_of_their_own,
    a_page_with_a_key_may_stay_open_while_an_app_is_installed,
    a_page_with_a_key_that_was_open_for_too_long_begins_again_after_the_password,
    email_and_deletion_take_a_code_too,
    whoever_is_signed_in_and_lost_everything_waits_too,
    its_person_is_told_of_every_change,
}

const MINE: &str = "annalee@example.org";
/// The way into an application, for a browser that its proxy sent.
const ENTER_VAULT: &str =
    "/auth/enter/?to=https://vault.example.org/&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const ENTER_OPS: &str =
    "/auth/enter/?to=https://ops.example.org/&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NEW_PASSWORD: &str = "copper meadow lantern";

async fn somebody_sets_it_up_by_the_words_on_the_pages(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/").await;
    ann.follow("Set up two-step sign-in").await;
    ann.see("Off").see("Add a passkey, or use a code from an app on your phone");
    ann.follow("Set up an authenticator app").await;
    ann.see("Scan this QR code").see("Use the key instead");
    assert!(ann.page().body.contains("<svg class=\"qr\""), "drawn here");
    let app = Authenticator::of_page(&ann);
    ann.fill("6-digit code", "12 34 5").press("Add the app").await;
    assert_eq!(ann.status(422).problem("6-digit code"), "Enter the 6 digits your app shows.");
    assert_eq!(Authenticator::of_page(&ann).key, app.key, "what was scanned stays");
    ann.fill("6-digit code", &app.code(site)).fill("Name", "My phone").press("Add the app").await;
    ann.status(200).see("Save your recovery codes");
    assert_eq!(codes_on(&ann).len(), 10);
    let (file, path) = ann.submission("Download as a file");
    let mut browser = ann.twin();
    let text = browser.send(file, &path).await.body.clone();
    assert!(codes_on(&ann).iter().all(|code| text.contains(code.as_str())), "{text}");
    ann.follow("I've saved my codes").await;
    ann.see("On").see("My phone").see("10 of 10 left");
    let kept = site.texts("SELECT sealed_key AS text FROM authenticators").await;
    assert!(!kept[0].contains(&app.key));
    ann.visit("/user-profile/activity/").await;
    ann.see("You added an authenticator app");
}

async fn a_second_app_can_be_added_and_the_first_one_removed(site: &Site) {
    let Enrolled { mut visitor, app, .. } = Enrolled::new(site, "annalee").await;
    visitor.visit("/user-profile/two-factor/").await;
    visitor.follow("Add another authenticator app").await;
    let tablet = Authenticator::of_page(&visitor);
    visitor.fill("6-digit code", &tablet.code(site)).fill("Name", "Tablet").press("Add the app").await;
    visitor.see("The authenticator app has been added.").see("Tablet");
    visitor.press("Remove – Authenticator app").await;
    visitor.see("has been removed");
    assert!(!visitor.page().sees("Remove – "), "the last one stays");
    site.wait(seconds(30)).await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    browser.fill("Code", &app.code(site)).press("Sign in").await;
    browser.status(422);
    browser.fill("Code", &tablet.code(site)).press("Sign in").await;
    browser.status(200).see("@annalee");
}

async fn turning_it_off_takes_password_and_code(site: &Site) {
    let Enrolled { mut visitor, app, .. } = Enrolled::new(site, "annalee").await;
    site.wait(minutes(11)).await;
    visitor.visit("/user-profile/two-factor/").await;
    visitor.press("Turn off two-step sign-in").await;
    visitor.see("Enter your password and a code to confirm this action").see("Turn off two-step sign-in");
    visitor.fill("Current password", PASSWORD).fill("Code", "000000").press("Confirm").await;
    assert!(visitor.status(422).problem("Code").starts_with("That code isn't right"));
    visitor
        .fill("Current password", "wrong password here")
        .fill("Code", &app.code(site))
        .press("Confirm")
        .await;
    assert_eq!(visitor.problem("Current password"), "That isn't your current password.");
    visitor.fill("Current password", PASSWORD).fill("Code", &app.code(site)).press("Confirm").await;
    visitor.status(200).see("Two-step sign-in has been turned off.");
    assert_eq!(site.mail_to(MINE).await.subject, "Two-step sign-in is off");
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    browser.see("@annalee");
    assert_eq!(site.count("SELECT COUNT(*) FROM recovery_codes").await, 0);
}

/// A superuser with a second step, signed in with it.
async fn chief(site: &Site) -> (Visitor, Authenticator) {
    site.appoint(Role::Superuser, "chief").await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let Enrolled { visitor, app, .. } = Enrolled::with(site, "chief", chief).await;
    (visitor, app)
}

async fn id_of(site: &Site) -> String {
    site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0)
}

async fn acts_against_people_take_a_code_of_the_last_ten_minutes(site: &Site) {
    site.member("annalee").await;
    let (mut chief, app) = chief(site).await;
    site.wait(minutes(11)).await;
    let id = id_of(site).await;
    chief.post(&format!("/admin/users/{id}/block/"), &[("reason", "Spam")]).await;
    chief.see("Enter your password and a code");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    assert!(chief.status(422).problem("Code").starts_with("Enter the 6 digits"));
    chief.fill("Current password", OTHER_PASSWORD).fill("Code", &app.code(site)).press("Confirm").await;
    chief.see("Account blocked");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 1);
}

async fn a_superuser_turns_it_off_with_a_reason(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await;
    let (mut chief, _) = chief(site).await;
    let id = id_of(site).await;
    chief.visit("/admin/users/?two_factor=on").await;
    chief.see("annalee");
    chief.visit(&format!("/admin/users/{id}/")).await;
    chief.see("1 app, 0 passkeys, 10 recovery codes left");
    chief.visit("/admin/users/?two_factor=off").await;
    assert!(!chief.page().sees("annalee"));
    let path = format!("/admin/users/{id}/reset-two-factor/");
    chief.post(&path, &[("reason", "")]).await;
    chief.status(422).see("Enter a reason");
    chief.post(&path, &[("reason", "Phone lost, called back")]).await;
    chief.see("Two-step sign-in turned off");
    let mail = site.mail_to(MINE).await;
    assert!(mail.text.contains("Reason: Phone lost, called back"), "{}", mail.text);
    assert!(!ann.visitor.is_signed_in().await);
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    browser.see("@annalee");
    browser.visit("/user-profile/activity/").await;
    browser.see("An administrator turned off two-step sign-in").see("Phone lost, called back");
    chief.post(&format!("/admin/users/{id}/remind-two-factor/"), &[]).await;
    chief.see("An email is on its way.");
    assert_eq!(site.mail_to(MINE).await.subject, "Set up two-step sign-in");
}

async fn an_owner_whose_thief_turned_it_on_gets_the_account_back_after_the_wait(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/").await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    let alarm = site.mail.alarm_to(MINE).await;
    let thiefs = Enrolled::with(site, "annalee", thief).await;
    assert!(!ann.is_signed_in().await);
    ann.visit(&alarm.link("/auth/secure-account/")).await;
    ann.press("This wasn't me").await;
    ann.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
    ann.press("Change password").await;
    let mut thief = thiefs.visitor;
    assert!(!thief.is_signed_in().await, "the thief is out at once");
    thief.sign_in("annalee", PASSWORD).await;
    thief.status(422);
    ann.sign_in("annalee", NEW_PASSWORD).await;
    ann.see("Enter your code").see("The password will be enough to sign in");
    site.wait(hours(72)).await;
    ann.sign_in("annalee", NEW_PASSWORD).await;
    ann.status(200).see("Set up an authenticator app");
    assert!(ann.is_signed_in().await);
}

async fn sign_ins_raced_by_setting_it_up_leave_no_session_without_a_code(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/two-factor/authenticators/new/").await;
    let app = Authenticator::of_page(&ann);
    ann.fill("6-digit code", &app.code(site));
    let (enrolment, _) = ann.submission("Add the app");
    let fields = [("username", "annalee"), ("password", PASSWORD)];
    let sign_ins = (0..30).map(|_| site.visitor().posting("/auth/sign-in/user/", &fields));
    at_once(std::iter::once(enrolment).chain(sign_ins)).await;
    let live = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND factor_at IS NULL";
    assert_eq!(site.count(live).await, 0);
    assert_eq!(site.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 1);
}

async fn recovery_under_way_is_shown_and_stopped_inside(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await;
    let mut thief = ann.at_second_step(site, "annalee").await;
    thief.post("/auth/two-factor/lost/", &[]).await;
    ann.visitor.visit("/user-profile/").await;
    ann.visitor.see("Someone asked us to turn off two-step sign-in");
    ann.visitor.visit("/user-profile/two-factor/").await;
    ann.visitor.press("Keep two-step sign-in").await;
    ann.visitor.see("Two-step sign-in stays on.");
    site.wait(hours(80)).await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", PASSWORD).await;
    browser.see("Enter your code");
}

/// Whoever takes an account back is told where the owner reads it, and nobody else can stop the wait.
async fn a_thief_who_moved_the_address_cannot_keep_the_second_step(site: &Site) {
    site.member("annalee").await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    let alarm = site.mail.alarm_to(MINE).await;
    let mut thief = Enrolled::with(site, "annalee", thief).await.visitor;
    super::change_email(site, &mut thief, PASSWORD, "thief@example.org").await;
    let mut ann = site.visitor();
    ann.visit(&alarm.link("/auth/secure-account/")).await;
    ann.see("turn off two-step sign-in after a few days");
    ann.press("This wasn't me").await;
    ann.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
    ann.press("Change password").await;
    site.wait(minutes(1)).await;
    let keeps = |address: &str| {
        let mails = site.mail.all_to(address).into_iter();
        mails.filter(|mail| mail.text.contains("/auth/keep-two-factor/")).count()
    };
    assert_eq!((keeps(MINE), keeps("thief@example.org")), (1, 0));
    site.wait(hours(72)).await;
    ann.sign_in("annalee", NEW_PASSWORD).await;
    assert!(ann.is_signed_in().await);
}

async fn taking_an_account_back_leaves_its_owner_the_app_they_had(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    site.wait(hours(80)).await;
    let mut thief = ann.sign_in(site, "annalee").await;
    let alarm = site.mail.alarm_to(MINE).await;
    thief.visit("/user-profile/two-factor/authenticators/new/").await;
    let thiefs = Authenticator::of_page(&thief);
    thief.fill("6-digit code", &thiefs.code(site)).press("Add the app").await;
    let mut owner = site.visitor();
    owner.visit(&alarm.link("/auth/secure-account/")).await;
    owner.press("This wasn't me").await;
    owner.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
    owner.press("Change password").await;
    site.wait(seconds(30)).await;
    let mut browser = site.visitor();
    browser.sign_in("annalee", NEW_PASSWORD).await;
    browser.fill("Code", &thiefs.code(site)).press("Sign in").await;
    browser.status(422);
    browser.fill("Code", &ann.app.code(site)).press("Sign in").await;
    browser.status(200).see("@annalee");
}

async fn a_wait_that_a_thief_began_is_the_owners_once_they_take_the_account_back(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.wait(hours(80)).await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    let alarm = site.mail.alarm_to(MINE).await;
    let mut thief = Enrolled::with(site, "annalee", thief).await.visitor;
    thief.post("/auth/two-factor/lost/", &[]).await;
    let keeps = || {
        let mails = site.mail.all_to(MINE).into_iter();
        mails.filter(|mail| mail.text.contains("/auth/keep-two-factor/")).collect::<Vec<_>>()
    };
    while keeps().is_empty() {
        site.mail_to(MINE).await;
    }
    let thiefs = keeps()[0].link("/auth/keep-two-factor/");
    ann.visit(&alarm.link("/auth/secure-account/")).await;
    ann.press("This wasn't me").await;
    ann.fill("New password", NEW_PASSWORD).fill("Repeat the new password", NEW_PASSWORD);
    ann.press("Change password").await;
    thief.visit(&thiefs).await;
    thief.status(410);
    site.wait(hours(73)).await;
    assert_eq!(keeps().len(), 2, "the owner has a link of their own");
    ann.sign_in("annalee", NEW_PASSWORD).await;
    assert!(ann.is_signed_in().await);
}

async fn devices_made_known_before_it_was_turned_on_have_no_guesses_of_their_own(site: &Site) {
    let ann = site.member("annalee").await;
    let mut thiefs = Vec::new();
    for _ in 0..3 {
        let mut thief = site.visitor();
        thief.sign_in("annalee", PASSWORD).await;
        thiefs.push(thief);
    }
    let ann = Enrolled::with(site, "annalee", ann).await;
    let mut refused = 0;
    for number in 0..6 {
        let thief = &mut thiefs[number % 3];
        thief.sign_in("annalee", PASSWORD).await;
        for _ in 0..4 {
            refused += u32::from(thief.post("/auth/two-factor/", &[("code", "000000")]).await.status == 429);
        }
    }
    assert!(refused >= 12, "ten for all of them: {refused}");
    // And the owner hears of it, though no sign-in saw five.
    site.wait(minutes(1)).await;
    let mails = site.mail.all_to(MINE);
    assert!(mails.iter().any(|mail| mail.subject == "Someone may know your password"));
    drop(ann);
}

async fn a_page_with_a_key_may_stay_open_while_an_app_is_installed(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/two-factor/authenticators/new/").await;
    let app = Authenticator::of_page(&ann);
    site.wait(minutes(40)).await;
    ann.fill("6-digit code", &app.code(site)).press("Add the app").await;
    ann.status(200).see("Two-step sign-in is on.").see("Save your recovery codes");
}

async fn a_page_with_a_key_that_was_open_for_too_long_begins_again_after_the_password(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/two-factor/authenticators/new/").await;
    let app = Authenticator::of_page(&ann);
    site.wait(minutes(40)).await;
    ann.twin().visit("/user-profile/").await;
    site.until_seen().await;
    site.wait(minutes(21)).await;
    ann.fill("6-digit code", &app.code(site)).press("Add the app").await;
    ann.fill("Current password", PASSWORD).press("Confirm").await;
    ann.status(200).see("Scan this QR code");
    assert_ne!(Authenticator::of_page(&ann).key, app.key);
}

async fn email_and_deletion_take_a_code_too(site: &Site) {
    let ann = Enrolled::new(site, "annalee").await;
    let mut phone = ann.at_second_step(site, "annalee").await;
    phone.fill("Code", &ann.app.code(site)).tick("Trust this device").press("Sign in").await;
    phone.visit("/user-profile/").await;
    phone.press("Sign out").await;
    phone.sign_in("annalee", PASSWORD).await;
    let fields = [("email", "other@example.org"), ("username", "annalee"), ("current_password", PASSWORD)];
    for path in ["/user-profile/change-email/", "/user-profile/delete/"] {
        phone.post(path, &fields).await;
        assert!(phone.status(422).problem("Code").starts_with("Enter the 6 digits"), "{path}");
    }
    let new =
        [("current_password", PASSWORD), ("password", NEW_PASSWORD), ("confirm_password", NEW_PASSWORD)];
    phone.post("/user-profile/update-password/", &new).await;
    assert!(phone.status(422).problem("Code").starts_with("Enter the 6 digits"));
    site.wait(seconds(30)).await;
    phone.visit("/user-profile/change-email/").await;
    phone.fill("New email address", "other@example.org").fill("Current password", PASSWORD);
    phone.fill("Code", &ann.app.code(site)).press("Send the code").await;
    phone.status(200).see("We've sent a code");
}

async fn whoever_is_signed_in_and_lost_everything_waits_too(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await.visitor;
    site.wait(minutes(11)).await;
    ann.visit("/user-profile/two-factor/").await;
    ann.press("Turn off two-step sign-in").await;
    ann.follow("Can't get a code?").await;
    ann.press("Turn it off in 3 days").await;
    ann.see("You can sign in with just your password from");
    site.wait(hours(72)).await;
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(200).see("Set up an authenticator app");
}

async fn its_person_is_told_of_every_change(site: &Site) {
    let mut ann = Enrolled::new(site, "annalee").await.visitor;
    let subject = async || site.mail_to(MINE).await.subject;
    ann.visit("/user-profile/two-factor/authenticators/new/").await;
    let app = Authenticator::of_page(&ann);
    ann.fill("6-digit code", &app.code(site)).fill("Name", "Tablet").press("Add the app").await;
    assert_eq!(subject().await, "New authenticator app");
    ann.press("Remove – Tablet").await;
    assert_eq!(subject().await, "Two-step sign-in has been changed");
    ann.visit("/user-profile/two-factor/recovery-codes/").await;
    ann.press("Make new recovery codes").await;
    assert_eq!(subject().await, "Two-step sign-in has been changed");
    ann.visit("/user-profile/two-factor/").await;
    ann.press("Turn off two-step sign-in").await;
    assert_eq!(subject().await, "Two-step sign-in is off");
}

/// A site that asks staff and superusers for a second step from that day on.
async fn with_policy(required: &str, story: impl AsyncFn(&Site)) {
    for world in World::ALL {
        let Some(sandbox) = world.sandbox() else { continue };
        let site = sandbox.site_with(&[("REQUIRE_TWO_FACTOR", required)]).await;
        story(&site).await;
        site.stop().await;
    }
}

#[test]
fn until_the_day_there_is_a_reminder_and_from_then_on_nothing_else_opens() {
    run_alone(async || {
        with_policy("staff superuser from 2100-01-01", async |site| {
            site.appoint(Role::Staff, "keeper").await;
            let mut keeper = site.visitor();
            keeper.sign_in_at("/auth/sign-in/staff/", "keeper", OTHER_PASSWORD).await;
            keeper.status(200).see("Your account will need two-step sign-in from");
            assert_eq!(keeper.path(), "/admin/");
            let mut ann = site.member("annalee").await;
            ann.visit("/user-profile/").await;
            assert!(!ann.page().sees("will need two-step sign-in"));
        })
        .await;
        with_policy("staff superuser", async |site| {
            site.appoint(Role::Staff, "keeper").await;
            let mut keeper = site.visitor();
            keeper.sign_in_at("/auth/sign-in/staff/", "keeper", OTHER_PASSWORD).await;
            for path in [
                "/admin/",
                "/admin/users.csv",
                "/user-profile/",
                "/user-profile/download/",
                "/user-profile/update/",
            ] {
                keeper.visit(path).await;
                let is_led = keeper.path().starts_with("/user-profile/two-factor/");
                assert!(is_led || path.ends_with("download/"), "{path}: {}", keeper.page());
            }
            site.member("annalee").await;
            let (mut chief, _) = chief(site).await;
            chief.visit("/admin/users/?two_factor=due").await;
            chief.see("keeper").see("Needs two-step");
            assert!(!chief.page().sees("annalee") && !chief.page().sees("chief@"), "{}", chief.page());
            chief.visit("/admin/users.csv?two_factor=due").await;
            assert_eq!(chief.page().body.matches(",\"due\",").count(), 1, "{}", chief.page());
            keeper.visit("/auth/whoami/").await;
            keeper.see("\"signed_in\":false");
            keeper.post("/admin/users/x/block/", &[("reason", "Spam")]).await;
            assert_ne!(keeper.page().status, 422);
            keeper.visit(ENTER_OPS).await;
            assert!(keeper.path().starts_with("/user-profile/two-factor/?next="), "{}", keeper.path());
            keeper.see("Your account needs two-step sign-in. Set it up to continue.");
            // Set up, it goes on to where it was going.
            keeper.visit("/admin/users/?q=ann").await;
            keeper.follow("Set up an authenticator app").await;
            let app = Authenticator::of_page(&keeper);
            keeper.fill("6-digit code", &app.code(site)).press("Add the app").await;
            keeper.follow("I've saved my codes").await;
            assert_eq!(keeper.path(), "/admin/users/?q=ann");
            let mut enrolled = keeper;
            enrolled.visit("/auth/whoami/").await;
            enrolled.see("\"second_factor\":true");
            // Whoever has to have it cannot turn it off.
            enrolled.post("/user-profile/two-factor/turn-off/", &[]).await;
            assert_eq!(site.count("SELECT COUNT(*) FROM authenticators").await, 2);
        })
        .await;
    });
}

#[test]
fn an_application_can_ask_for_the_second_step() {
    let apps = "https://vault.example.org user factor; https://wiki.example.org user";
    run_alone(async || {
        let site = Site::start(std::collections::HashMap::from([("APPS", apps.to_owned())])).await;
        let mut ann = site.member("annalee").await;
        ann.visit(ENTER_VAULT).await;
        ann.see("needs two-step sign-in");
        assert_eq!(AtApplication::new(&site, "wiki.example.org").open(&mut ann, "/").await.status, 200);
        let ann = Enrolled::with(&site, "annalee", ann).await;
        let mut phone = ann.at_second_step(&site, "annalee").await;
        phone.fill("Code", &ann.app.code(&site)).tick("Trust this device").press("Sign in").await;
        let mut vault = AtApplication::new(&site, "vault.example.org");
        assert_eq!(vault.open(&mut phone, "/").await.status, 200);
        // On a trusted device the code comes with the application.
        phone.visit("/user-profile/").await;
        phone.press("Sign out").await;
        phone.sign_in("annalee", PASSWORD).await;
        phone.see("@annalee");
        phone.visit(ENTER_VAULT).await;
        phone.see("Enter your password again to open vault.example.org");
        site.wait(seconds(30)).await;
        phone.fill("Current password", PASSWORD).fill("Code", &ann.app.code(&site)).press("Confirm").await;
        let mut vault = AtApplication::new(&site, "vault.example.org");
        assert_eq!(vault.open(&mut phone, "/").await.status, 200);
        site.stop().await;
    });
}
