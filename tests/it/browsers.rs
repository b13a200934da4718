//! Chromium with scripts off: the journey, two tabs, Back.

use std::process::Command;

use latchkey::identity::Role;

use crate::harness::{
    Authenticator, Browser, Enrolled, Look, OTHER_PASSWORD, PASSWORD, Site, minutes, note_missing, program,
    run_alone, seconds, tool,
};

/// Whether this machine has what these tests need; it must where all services are.
pub fn is_possible() -> bool {
    let has_browser =
        program("chromedriver", "chromium-driver").is_some() && program("chromium", "chromium").is_some();
    let has_tools = tool("axe-core/axe.min.js").is_file();
    assert!(
        has_tools || std::env::var_os("REQUIRE_SERVICES").is_none(),
        "axe-core is missing: npm ci --ignore-scripts --prefix tests/tools"
    );
    if !has_tools {
        note_missing("npm");
    }
    has_browser && has_tools
}

/// Shows a site of its own in Chromium.
pub fn in_chromium(story: impl AsyncFnOnce(&Site, &Browser)) {
    in_chromium_with(&[], story);
}

/// The same with more settings.
pub fn in_chromium_with(settings: &[(&'static str, &str)], story: impl AsyncFnOnce(&Site, &Browser)) {
    if !is_possible() {
        return;
    }
    run_alone(async || {
        let usual = ("RATE_LIMITS", "off");
        let settings = settings.iter().chain([&usual]);
        let site = Site::start(settings.map(|(name, value)| (*name, (*value).to_owned())).collect()).await;
        let page = Browser::start(&site.url).await;
        story(&site, &page).await;
        drop(page);
        site.stop().await;
    });
}

pub async fn sign_in(page: &Browser, role: &str, name: &str, password: &str) {
    page.goto(&format!("/auth/sign-in/{role}/")).await;
    page.fill("Username or email address", name).await.fill("Password", password).await;
    page.press("Sign in").await;
}

#[test]
fn the_journey_without_a_script() {
    in_chromium(async |site, page| {
        page.goto("/").await;
        page.follow("Create an account").await.press("Create account").await;
        assert_eq!(page.title().await, "Error: Create your account · Latchkey");
        assert!(page.focused().await.contains("There is a problem"), "{}", page.focused().await);
        page.fill("Username", "annalee").await.fill("Email address", "ann@example.org").await;
        page.press("Show password").await;
        page.fill("Password", PASSWORD).await.press("Create account").await;
        let mail = site.mail_to("ann@example.org").await;
        let link = mail.text.split_whitespace().find(|word| word.contains("?code=")).unwrap().to_owned();
        page.goto(&link).await;
        page.press("Confirm").await;
        assert_eq!(page.title().await, "Welcome! Your email address is confirmed. – Your profile · Latchkey");
        page.follow("Add your name").await.fill("Name", "Ann Lee").await;
        page.press("Save").await;
        assert!(page.text().await.contains("Your changes have been saved."));
        // Once: a reload is the page itself.
        page.goto("/user-profile/").await;
        assert!(!page.text().await.contains("Your changes have been saved."));
    });
}

#[test]
fn a_form_of_one_tab_is_not_taken_for_who_signed_in_in_another() {
    in_chromium(async |site, page| {
        site.member("annalee").await;
        site.member("bertrand").await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.goto("/user-profile/update/").await;
        page.fill("Name", "Ann Lee").await;
        let first = page.tab().await;
        page.open_tab().await;
        page.goto("/").await;
        page.run("document.querySelector('.menu').open = true").await;
        page.press("Sign out").await;
        sign_in(page, "user", "bertrand", PASSWORD).await;
        page.go_to_tab(&first).await;
        page.press("Save").await;
        let text = page.text().await;
        assert!(
            text.contains("You're now signed in as bertrand") && text.contains("Nothing was changed"),
            "{text}"
        );
        assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE full_name <> ''").await, 0);
    });
}

#[test]
fn a_form_over_a_sign_out_is_filled_again_and_back_shows_no_account() {
    in_chromium(async |site, page| {
        site.member("annalee").await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.goto("/user-profile/update/").await;
        page.fill("Name", "Ann Lee").await;
        site.sql("UPDATE sessions SET ended_at = created_at").await;
        page.press("Save").await;
        page.fill("Username or email address", "annalee").await.fill("Password", PASSWORD).await;
        page.press("Sign in").await;
        assert!(page.text().await.contains("You'd been signed out. Check and save."));
        page.press("Save").await;
        assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE full_name = 'Ann Lee'").await, 1);
        page.run("document.querySelector('.menu').open = true").await;
        page.press("Sign out").await;
        page.back().await;
        assert!(page.path().await.starts_with("/auth/sign-in/"), "{}", page.path().await);
    });
}

#[test]
fn one_s_account_is_in_one_s_own_hands_without_a_script() {
    in_chromium(async |site, page| {
        site.member("annalee").await;
        let sees = async |text: &str| {
            let all = page.text().await;
            assert!(all.contains(text), "“{text}” in {all}");
        };
        sign_in(page, "user", "annalee", PASSWORD).await;
        // A device that is not known: its owner is told.
        let alarm = site.mail.alarm_to("annalee@example.org").await.link("/auth/secure-account/");
        page.goto("/user-profile/sessions/").await;
        sees("This device").await;
        page.goto("/user-profile/activity/").await;
        sees("You signed in").await;
        page.goto("/privacy/data/").await;
        sees("If you delete your account, we keep it for 7 days").await;
        page.goto("/user-profile/update/").await;
        page.fill("Name", "Ann Lee").await.press("Save").await;
        sees("You can undo this until").await;
        page.press("Undo").await;
        sees("Your change has been undone.").await;
        page.goto("/user-profile/").await;
        page.follow("Download your data").await;
        // It is no page.
        page.run("document.querySelector('main form button').click()").await;
        let told = site.mail_to("annalee@example.org").await;
        assert_eq!(told.subject, "Your data has been downloaded");
        page.goto("/user-profile/").await;
        page.follow("Delete your account").await;
        page.fill("To confirm, enter your username", "annalee")
            .await
            .fill("Current password", PASSWORD)
            .await;
        page.press("Delete my account").await;
        sees("your account will be deleted in 7 days").await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.press("Keep my account").await;
        sees("Your account won't be deleted.").await;
        page.goto(&alarm).await;
        sees("Activity since that sign-in").await;
        page.press("This wasn't me").await;
        sees("Now choose a new password that you don't use anywhere else.").await;
        page.fill("New password", OTHER_PASSWORD).await.fill("Repeat the new password", OTHER_PASSWORD).await;
        page.press("Change password").await;
        sign_in(page, "user", "annalee", OTHER_PASSWORD).await;
        sees("@annalee").await;
    });
}

/// What a phone reads from the QR code of a page.
fn scan(picture: &[u8]) -> Option<String> {
    let zbarimg = program("zbarimg", "zbar-tools")?;
    let file = tempfile::Builder::new().suffix(".png").tempfile().expect("a file");
    std::fs::write(file.path(), picture).expect("a file");
    let read = Command::new(zbarimg).args(["--quiet", "--raw"]).arg(file.path()).output().expect("zbarimg");
    Some(String::from_utf8_lossy(&read.stdout).trim().to_owned())
}

#[test]
fn two_step_sign_in_needs_no_script_and_phones_read_its_qr_code() {
    in_chromium(async |site, page| {
        site.member("annalee").await;
        let sees = async |text: &str| {
            let all = page.text().await;
            assert!(all.contains(text), "“{text}” in {all}");
        };
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.follow("Set up two-step sign-in").await.follow("Set up an authenticator app").await;
        let key = page.run("return document.querySelector('code.key').textContent").await;
        let app = Authenticator { key: key.as_str().expect("a key").replace(' ', "") };
        for (width, look) in [(320, Look::Light), (1280, Look::Dark)] {
            page.resize(width, 800).await;
            page.look(look).await;
            if let Some(url) = scan(&page.screenshot().await) {
                assert!(url.starts_with("otpauth://totp/Latchkey:annalee?secret="), "{url}");
                assert!(url.contains(&app.key), "{url}");
            }
        }
        page.fill("6-digit code", &app.code(site)).await.press("Add the app").await;
        sees("Save your recovery codes").await;
        let code = page.run("return document.querySelector('.codes code').textContent").await;
        page.follow("I've saved my codes").await;
        sees("Authenticator apps").await;
        page.run("document.querySelector('header form button').click()").await;
        site.wait(seconds(30)).await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        sees("Enter your code").await;
        page.fill("Code", &app.code(site)).await.press("Sign in").await;
        sees("@annalee").await;
        page.forget_cookies().await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.fill("Code", code.as_str().expect("a code")).await.press("Sign in").await;
        sees("@annalee").await;
        page.forget_cookies().await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.follow("Can't get a code?").await;
        page.press("Turn it off in 3 days").await;
        sees("You can sign in with just your password from").await;
        let told = loop {
            let told = site.mail_to("annalee@example.org").await;
            if told.text.contains("/auth/keep-two-factor/") {
                break told;
            }
        };
        page.goto(&told.link("/auth/keep-two-factor/")).await;
        page.press("Keep two-step sign-in").await;
        sees("Two-step sign-in stays on.").await;
    });
}

/// Opens a page with its script, as axe and narrow windows see it, and leaves scripts on.
async fn is_usable(page: &Browser, path: &str) {
    page.goto(path).await;
    for (width, look) in [(320, Look::Light), (320, Look::Dark), (1280, Look::Dark), (1280, Look::Light)] {
        page.resize(width, 800).await;
        page.look(look).await;
        let wrong: Vec<_> = page.axe().await.into_iter().chain(page.overflow().await).collect();
        assert!(wrong.is_empty(), "{path} {width} {look:?}: {}", wrong.join("\n"));
    }
    page.allow_scripts(true).await;
}

#[test]
fn a_passkey_signs_in_alone_and_after_the_password() {
    in_chromium(async |site, page| {
        site.member("annalee").await;
        let sees = async |text: &str| {
            let all = page.text().await;
            assert!(all.contains(text), "“{text}” in {all}");
        };
        let leave = async || page.run("document.querySelector('header form button').click()").await;
        let reader = page.have_passkeys().await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.goto("/user-profile/two-factor/passkeys/new/").await;
        // Without the script, the page says what to do instead.
        sees("You can't use a passkey in this browser.").await;
        page.allow_scripts(true).await;
        is_usable(page, "/user-profile/two-factor/passkeys/new/").await;
        assert!(!page.text().await.contains("You can't use a passkey"));
        page.fill("Passkey name", "My laptop").await.press("Add a passkey").await;
        sees("Save your recovery codes").await;
        page.follow("I've saved my codes").await;
        sees("My laptop").await;

        // Alone.
        leave().await;
        is_usable(page, "/auth/passkey/").await;
        page.goto("/auth/sign-in/user/?next=/user-profile/sessions/").await;
        page.press("Sign in with a passkey").await.press("Use a passkey").await;
        assert_eq!(page.path().await, "/user-profile/sessions/");
        sees("with a passkey").await;

        // After the password.
        leave().await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        is_usable(page, "/auth/two-factor/").await;
        page.press("Use a passkey").await;
        sees("@annalee").await;
        is_usable(page, "/auth/confirm-password/").await;

        // In place of password and code, where somebody is asked who they are.
        site.wait(minutes(11)).await;
        page.goto("/user-profile/update-password/").await;
        sees("Confirm it's you").await;
        page.press("Use a passkey").await;
        assert_eq!(page.path().await, "/user-profile/update-password/");

        // A finger that is not known is nobody's.
        leave().await;
        page.know_finger(&reader, false).await;
        page.goto("/auth/passkey/").await;
        page.run("document.querySelector('#passkey button').click()").await;
        while !page.text().await.contains("No passkey was used. Try again") {}
        assert_eq!(page.path().await, "/auth/passkey/");
    });
}

#[test]
fn without_passkeys_no_page_has_a_script() {
    in_chromium_with(&[("PASSKEYS", "off")], async |site, page| {
        site.member("annalee").await;
        page.allow_scripts(true).await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.goto("/user-profile/two-factor/").await;
        assert!(!page.text().await.contains("asskey"));
        for path in ["/user-profile/two-factor/passkeys/new/", "/auth/passkey/"] {
            let mut visitor = site.visitor();
            visitor.visit(path).await;
            assert!(!visitor.page().body.contains("<script"), "{path}");
        }
        page.forget_cookies().await;
        page.goto("/auth/passkey/").await;
        assert!(page.text().await.contains("Page not found"), "{}", page.text().await);
    });
}

/// Opens the first account of a list.
async fn open_first(page: &Browser) {
    let path = page.run("return document.querySelector('a.me').getAttribute('href')").await;
    page.goto(path.as_str().expect("an account")).await;
}

#[test]
fn policy_staff_and_trusted_devices_need_no_script_either() {
    in_chromium_with(&[("REQUIRE_TWO_FACTOR", "superuser")], async |site, page| {
        let ann = Enrolled::new(site, "annalee").await;
        site.member("bobbob").await;
        site.appoint(Role::Superuser, "chief").await;
        let sees = async |text: &str| {
            let all = page.text().await;
            assert!(all.contains(text), "“{text}” in {all}");
        };
        // Whoever has to, sets it up before anything else opens.
        sign_in(page, "superuser", "chief", OTHER_PASSWORD).await;
        sees("Your account needs two-step sign-in. Set it up to continue.").await;
        page.follow("Set up an authenticator app").await;
        let key = page.run("return document.querySelector('code.key').textContent").await;
        let app = Authenticator { key: key.as_str().expect("a key").replace(' ', "") };
        page.fill("6-digit code", &app.code(site)).await.press("Add the app").await;
        page.follow("I've saved my codes").await;
        // Staff see who has what, remind people, and turn it off for whoever is stuck.
        page.goto("/admin/users/?two_factor=off&q=bobbob").await;
        open_first(page).await;
        page.press("Ask to set up two-step sign-in").await;
        while site.mail_to("bobbob@example.org").await.subject != "Set up two-step sign-in" {}
        page.goto("/admin/users/?two_factor=on&q=annalee").await;
        open_first(page).await;
        sees("1 app, 0 passkeys, 10 recovery codes left").await;
        page.run("document.querySelector('#reason-reset-two-factor').value = 'Phone lost'").await;
        page.press("Turn off two-step sign-in").await;
        sees("Two-step sign-in turned off").await;
        // A device is trusted, and then it is not.
        page.forget_cookies().await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.goto("/user-profile/two-factor/authenticators/new/").await;
        let key = page.run("return document.querySelector('code.key').textContent").await;
        let app = Authenticator { key: key.as_str().expect("a key").replace(' ', "") };
        assert_ne!(app.key, ann.app.key);
        page.fill("6-digit code", &app.code(site)).await.press("Add the app").await;
        page.run("document.querySelector('header form button').click()").await;
        site.wait(seconds(30)).await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        page.run("document.querySelector('#trust').click()").await;
        page.fill("Code", &app.code(site)).await.press("Sign in").await;
        page.run("document.querySelector('header form button').click()").await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        sees("@annalee").await;
        page.goto("/user-profile/sessions/").await;
        sees("Trusted devices").await;
        page.run("document.querySelector('#trusted ~ ul button').click()").await;
        page.goto("/user-profile/sessions/").await;
        page.run("document.querySelector('header form button').click()").await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        sees("Enter your code").await;
    });
}
