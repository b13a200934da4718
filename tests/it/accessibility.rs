//! Every page and state looked at by axe, by the Nu validator, at 320 and 1280 pixels and 400 percent, light and dark; and how much
//! a first visit loads.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use latchkey::identity::Role;

use crate::admin::{open, superuser};
use crate::browsers::{in_chromium, is_possible, sign_in};
use crate::harness::{
    AtApplication, Enrolled, Look, OTHER_PASSWORD, PASSWORD, Passkey, Site, Visitor, nu, program, run_alone,
};

/// Holds a figure in `docs/accessibility.md`, or writes it there with `UPDATE_DOCS=1`.
fn record(what: &str, how: &str, figure: &str) {
    static DOCUMENT: Mutex<()> = Mutex::new(());
    let _turn = DOCUMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/accessibility.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let row = format!("| {what} | {how} | {figure} |");
    if std::env::var_os("UPDATE_DOCS").is_none() {
        assert!(text.contains(&row), "docs/accessibility.md lacks: {row} (UPDATE_DOCS=1 writes it)");
        return;
    }
    let (head, rest) = text.split_once("<!-- figures -->\n").unwrap();
    let (rows, foot) = rest.split_once("<!-- /figures -->").unwrap();
    let start = format!("| {what} |");
    let mut rows: Vec<&str> = rows.lines().filter(|line| !line.starts_with(&start)).collect();
    rows.push(&row);
    rows.sort_unstable();
    let text = format!("{head}<!-- figures -->\n{}\n<!-- /figures -->{foot}", rows.join("\n"));
    std::fs::write(path, text).unwrap();
}

/// Who looks at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Stranger,
    Person,
    Superuser,
    /// Who gave the password, and is asked for a code.
    Halfway,
    /// Who signed in with a code.
    Enrolled,
}

/// A page, and what was done there to come to what is looked at.
struct Scene {
    who: Who,
    path: String,
    fill: &'static [(&'static str, &'static str)],
    /// Nothing, where the page itself is looked at.
    press: &'static str,
}

impl Scene {
    fn page(who: Who, path: &str) -> Self {
        Self { who, path: path.to_owned(), fill: &[], press: "" }
    }

    fn name(&self) -> String {
        let name = format!("{} {}", self.path, self.press);
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect()
    }
}

/// Who does what where: fills in by label, and presses a button.
type State = (Who, &'static str, &'static [(&'static str, &'static str)], &'static str);

/// What pages become: refused, said to be done, shown as typed. Of each page at most one that changes something, at the end.
const STATES: &[State] = &[
    (Who::Stranger, "/auth/sign-up/user/", &[], "Create account"),
    (
        Who::Stranger,
        "/auth/sign-up/merchant/",
        &[("Username", "annalee"), ("Email address", "x")],
        "Create account",
    ),
    (Who::Stranger, "/auth/sign-up/user/", &[("Password", "half")], "Show password"),
    (Who::Stranger, "/auth/sign-up/user/", &[], "Suggest a password"),
    (Who::Stranger, "/auth/sign-in/user/", &[], "Sign in"),
    (
        Who::Stranger,
        "/auth/sign-in/staff/",
        &[("Username or email address", "annalee"), ("Password", "wrong")],
        "Sign in",
    ),
    (
        Who::Stranger,
        "/auth/sign-in/merchant/",
        &[("Username or email address", "annalee"), ("Password", PASSWORD)],
        "Sign in",
    ),
    (
        Who::Stranger,
        "/auth/sign-in/user/",
        &[("Username or email address", "merle"), ("Password", PASSWORD)],
        "Sign in",
    ),
    (Who::Stranger, "/auth/sign-in/user/", &[("Password", "half")], "Show password"),
    (Who::Stranger, "/auth/forgot-password/", &[], "Send the link"),
    (Who::Stranger, "/auth/forgot-password/", &[("Username or email address", "nobody")], "Send the link"),
    (Who::Stranger, "{reset}", &[], "Change password"),
    (Who::Stranger, "{reset}", &[], "Suggest a password"),
    (Who::Stranger, "{verify}", &[("Code", "12")], "Confirm"),
    (Who::Stranger, "/auth/sign-in-code/", &[("Email address", "x")], "Email me a code"),
    (Who::Stranger, "/auth/sign-in-code/", &[("Email address", "annalee@example.org")], "Email me a code"),
    (Who::Stranger, "/auth/sign-in-code/enter/", &[("Code", "1")], "Sign in"),
    (Who::Stranger, "/preferences/", &[], "Save"),
    (
        Who::Stranger,
        "/auth/sign-in/user/",
        &[("Username or email address", "leaver"), ("Password", PASSWORD)],
        "Sign in",
    ),
    (Who::Person, "/user-profile/delete/", &[], "Delete my account"),
    (Who::Person, "/user-profile/update/", &[("Username", "")], "Save"),
    (Who::Person, "/user-profile/update/", &[("Phone", "1"), ("Username", "chief")], "Save"),
    (Who::Person, "/user-profile/change-email/", &[], "Send the code"),
    (Who::Person, "/user-profile/change-picture/", &[], "Save"),
    (Who::Person, "/user-profile/update-password/", &[("Current password", "x")], "Change password"),
    (Who::Person, "/user-profile/update-password/", &[], "Suggest a password"),
    (Who::Person, "/auth/confirm-password/", &[("Current password", "x")], "Confirm"),
    (Who::Person, "/preferences/", &[], "Save"),
    (Who::Person, "/user-profile/update/", &[("Name", "Ann Lee")], "Save"),
    (
        Who::Person,
        "/user-profile/change-email/",
        &[("New email address", "lee@example.org"), ("Current password", PASSWORD)],
        "Send the code",
    ),
    (Who::Person, "/user-profile/change-email/", &[("Code", "1")], "Confirm"),
    (Who::Halfway, "/auth/two-factor/", &[], "Sign in"),
    (Who::Halfway, "/auth/two-factor/", &[("Code", "000000")], "Sign in"),
    (Who::Halfway, "/auth/two-factor/lost/", &[], "Turn it off in 3 days"),
    (Who::Halfway, "/auth/two-factor/", &[], "Sign in"),
    (Who::Enrolled, "/user-profile/two-factor/authenticators/new/", &[("6-digit code", "1")], "Add the app"),
    (Who::Enrolled, "/user-profile/two-factor/recovery-codes/", &[], "Make new recovery codes"),
    (Who::Enrolled, "/auth/confirm-password/", &[], "Confirm"),
    (Who::Superuser, "/admin/users/new/", &[], "Create account and send invitation"),
    (Who::Superuser, "{person}", &[], "Change role"),
    (Who::Superuser, "{person}", &[("Username", "")], "Save details"),
    (Who::Superuser, "{person}delete/", &[], "Delete account permanently"),
    (Who::Superuser, "/admin/users/", &[], "Continue"),
    (Who::Superuser, "/admin/events/", &[("Account", "nobody.here")], "Apply filters"),
];

/// Pages of one's own account.
const OWN: &[&str] = &[
    "/user-profile/",
    "/user-profile/update/",
    "/user-profile/change-email/",
    "/user-profile/change-picture/",
    "/user-profile/update-password/",
    "/user-profile/sessions/",
    "/user-profile/applications/",
    "/user-profile/activity/",
    "/user-profile/secure-account/",
    "/user-profile/download/",
    "/user-profile/delete/",
    "/user-profile/two-factor/",
    "/user-profile/two-factor/authenticators/new/",
    "/user-profile/two-factor/passkeys/new/",
    "/auth/confirm-password/",
    "/admin/",
    "/auth/sign-out/?to=https://wiki.example.org/",
];

/// To the wiki: strangers sign in first, and it is not for superusers.
const WAY_IN: &str =
    "/auth/enter/?to=https%3A//wiki.example.org/&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Somebody who leaves; returns the link that keeps their account.
async fn leave(site: &Site) -> String {
    let mut leaver = site.member("leaver").await;
    leaver.visit("/user-profile/delete/").await;
    leaver.fill("To confirm, enter your username", "leaver").fill("Current password", PASSWORD);
    leaver.press("Delete my account").await;
    site.mail_to("leaver@example.org").await.link("/auth/keep-account/")
}

/// Somebody with two-step sign-in, a passkey, and a device that they trust.
async fn enrol(site: &Site) -> Enrolled {
    let mut gina = Enrolled::new(site, "ginagrey").await;
    let mut phone = gina.at_second_step(site, "ginagrey").await;
    phone.fill("Code", &gina.recovery_codes[0]).tick("Trust this device").press("Sign in").await;
    Passkey::add(site, &mut gina.visitor, "Laptop").await;
    gina
}

/// A site on which there is something to see: long names and addresses, other scripts, everything that waits or failed.
async fn furnish(site: &Site) -> (Visitor, Visitor, Enrolled, Vec<Scene>) {
    let mut chief = superuser(site).await;
    let mut ann = site.member("annalee").await;
    let long = format!("{}@{}.example.org", "a".repeat(60), "b".repeat(40));
    let arabic = "فاطمة الزهراء";
    for (name, full_name) in [("merle", "Merle W. W. W. von der Wiesenmühle-Oberfeld"), ("fatima", arabic)] {
        site.member(name).await;
        let person = open(&mut chief, name).await;
        let about = "About\n".repeat(40);
        let fields = [("username", name), ("full_name", full_name), ("about", about.trim())];
        chief.post(&format!("{person}edit/"), &fields).await;
    }
    site.visitor().sign_up("longmail", &long, PASSWORD).await;
    site.mail_to(&long).await;
    let person = open(&mut chief, "merle").await;
    chief.post(&format!("{person}block/"), &[("reason", "Sold the same parcel three times.")]).await;
    let person = open(&mut chief, "fatima").await;
    let mut stranger = site.visitor();
    stranger.sign_up("waiting", "waiting@example.org", PASSWORD).await;
    let verify = stranger.path().to_owned();
    stranger.visit("/auth/forgot-password/").await;
    stranger.fill("Username or email address", "annalee").press("Send the link").await;
    let reset = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    let keep = leave(site).await;
    let gina = enrol(site).await;
    site.visitor().sign_in("annalee", PASSWORD).await;
    let secure = site.mail.alarm_to("annalee@example.org").await.link("/auth/secure-account/");
    AtApplication::new(site, "wiki.example.org").open(&mut ann, "/").await;
    ann.visit("/user-profile/").await;
    let open_to_all = [
        "/",
        "/auth/sign-up/user/",
        "/auth/sign-up/merchant/",
        "/auth/sign-in/user/",
        "/auth/sign-in/staff/",
        "/auth/forgot-password/",
        "/auth/passkey/",
        "/auth/sign-in-code/",
        "/preferences/",
        "/privacy/data/",
        "/nowhere/",
        &verify,
        &reset,
        &secure,
        &keep,
        "/auth/reset-password/x/y/",
        WAY_IN,
        "/auth/enter/?to=https://evil.example/",
        "/auth/sign-out/?to=https://wiki.example.org/",
        // As it stands on the host of an application.
        "/forward-auth",
    ];
    let [block, sessions, messages, audit] =
        ["delete/", "?tab=sessions", "?tab=messages", "?tab=events"].map(|part| format!("{person}{part}"));
    let admin = [
        "/admin/",
        "/admin/users/",
        "/admin/users/?q=zzz",
        "/admin/users/new/",
        &person,
        &block,
        &sessions,
        &messages,
        &audit,
        "/admin/otp-verifications/",
        "/admin/password-resets/",
        "/admin/mails/",
        "/admin/events/",
        "/admin/events/?from=2026-13-45",
        "/admin/apps/",
        "/admin/apps/wiki.example.org/",
        WAY_IN,
    ];
    let pages =
        |who: Who, paths: &[&str]| paths.iter().map(move |path| Scene::page(who, path)).collect::<Vec<_>>();
    let known = |path: &str| {
        path.replace("{person}", &person).replace("{reset}", &reset).replace("{verify}", &verify)
    };
    let states =
        STATES.iter().map(|(who, path, fill, press)| Scene { who: *who, path: known(path), fill, press });
    let mut scenes = pages(Who::Stranger, &open_to_all);
    scenes.extend(pages(Who::Person, OWN));
    scenes.extend(pages(Who::Superuser, &admin));
    scenes.extend(pages(Who::Halfway, &["/auth/two-factor/", "/auth/two-factor/lost/"]));
    scenes.extend(pages(
        Who::Enrolled,
        &["/user-profile/", "/user-profile/two-factor/", "/user-profile/two-factor/recovery-codes/"],
    ));
    scenes.extend(states);
    (ann, chief, gina, scenes)
}

#[test]
fn axe_finds_nothing_and_nothing_is_wider_than_the_window() {
    in_chromium(async |site, page| {
        let (.., gina, scenes) = furnish(site).await;
        let mut wrong = Vec::new();
        let mut looked_at = 0;
        for (who, role, name, password) in [
            (Who::Stranger, "", "", ""),
            (Who::Person, "user", "annalee", PASSWORD),
            (Who::Superuser, "superuser", "chief", OTHER_PASSWORD),
            (Who::Halfway, "user", "ginagrey", PASSWORD),
            (Who::Enrolled, "user", "ginagrey", PASSWORD),
        ] {
            if !role.is_empty() {
                page.forget_cookies().await;
                sign_in(page, role, name, password).await;
            }
            if who == Who::Enrolled {
                page.fill("Code", &gina.recovery_codes[1]).await;
                page.press("Sign in").await;
            }
            for scene in scenes.iter().filter(|scene| scene.who == who) {
                page.resize(1280, 800).await;
                page.goto(&scene.path).await;
                // As somebody who looks for a field unfolds what may hold it.
                page.run("document.querySelectorAll('main details').forEach(it => it.open = true)").await;
                for (label, text) in scene.fill {
                    page.fill(label, text).await;
                }
                if !scene.press.is_empty() {
                    page.press(scene.press).await;
                }
                for (width, look) in
                    [(320, Look::Light), (320, Look::Dark), (1280, Look::Light), (1280, Look::Dark)]
                {
                    page.resize(width, 800).await;
                    page.look(look).await;
                    looked_at += 1;
                    let found = page.axe().await.into_iter().chain(page.overflow().await);
                    wrong.extend(found.map(|what| format!("{} {width} {look:?}: {what}", scene.name())));
                }
                // 400 percent of a window of 1280 by 1024.
                page.resize(320, 256).await;
                let found = page.overflow().await.into_iter();
                wrong.extend(found.map(|what| format!("{} at 400 %: {what}", scene.name())));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let how = "axe-core: WCAG 2.2 A and AA, best practice, contrast of AAA; 320 and 1280 pixels, light and dark";
        record(
            "Faults that axe finds",
            how,
            &format!("0 in {looked_at} views of {} pages and states", scenes.len()),
        );
        record("Sideways scrolling", "at 320 pixels and at 400 % of 1280", "none");
    });
}

#[test]
fn fifty_people_are_no_long_way_on_a_phone_and_a_long_address_hides_nothing() {
    in_chromium(async |site, page| {
        superuser(site).await;
        site.sql(
            "INSERT INTO users (id, username, username_canon, email, email_canon, password_hash, role, verified_at, full_name, \
               full_name_canon, phone, about, created_at, password_changed_at, theme, time_zone, email_since, device_epoch, last_used_at, dormancy_notices) \
             WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60) \
             SELECT printf('01900000-0000-7000-8000-%012d', n), 'person' || n, 'person' || n, \
               'person' || n || '@example.org', n, \
               '!', 'user', '2026-01-01 00:00:00', 'Ann Lee', 'ann lee', '', '', '2026-02-01 00:00:00', '2026-01-01 00:00:00', 'system', 'UTC', '2026-01-01 00:00:00', 0, '2026-01-01 00:00:00', 0 FROM c",
        )
        .await;
        sign_in(page, "superuser", "chief", OTHER_PASSWORD).await;
        page.goto("/admin/users/").await;
        page.resize(375, 800).await;
        let height = page.run("return document.documentElement.scrollHeight").await.as_u64().unwrap();
        assert!(height < 6000, "{height} pixels");
        record("The list of accounts on a phone", "50 people at 375 pixels", "less than 6,000 pixels");
        site.sql(
            "UPDATE users SET email = replace(hex(zeroblob(28)), '0', 'a') || username || '@' || \
               replace(hex(zeroblob(20)), '0', 'b') || '.example.org'",
        )
        .await;
        page.goto("/admin/users/").await;
        for width in [320, 375, 820, 1024, 1280, 1600] {
            page.resize(width, 800).await;
            let hidden = "const it = document.querySelector('.wide'); return it.scrollWidth - it.clientWidth";
            assert_eq!(page.run(hidden).await, 0, "columns hidden at {width}");
            assert_eq!(page.overflow().await, Vec::<String>::new());
        }
    });
}

#[test]
fn the_validator_finds_neither_errors_nor_warnings() {
    if !is_possible() || program("java", "default-jre-headless").is_none() {
        return;
    }
    run_alone(async || {
        let site = Site::start(HashMap::from([("RATE_LIMITS", "off".to_owned())])).await;
        let (mut ann, mut chief, mut gina, scenes) = furnish(&site).await;
        let mut halfway = gina.at_second_step(&site, "ginagrey").await;
        let mut stranger = site.visitor();
        let mut files = BTreeMap::new();
        for (number, scene) in scenes.iter().enumerate() {
            let visitor = match scene.who {
                Who::Stranger => &mut stranger,
                Who::Person => &mut ann,
                Who::Superuser => &mut chief,
                Who::Halfway => &mut halfway,
                Who::Enrolled => &mut gina.visitor,
            };
            visitor.visit(&scene.path).await;
            for (label, text) in scene.fill {
                visitor.fill(label, text);
            }
            if !scene.press.is_empty() {
                visitor.press(scene.press).await;
            }
            let body = visitor.page().body.clone();
            // Programs that fill in forms press a button with a name if there is just one, whatever it is for.
            for form in body.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next()) {
                let named = form.split("<button").skip(1).filter_map(|rest| rest.split('>').next());
                let named = named.filter(|button| button.contains(" name=")).count();
                assert_ne!(named, 1, "{}: {form}", scene.name());
            }
            files.insert(format!("{number}{}.html", scene.name()), body);
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let wrong = nu(&files);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let figure = format!("0 errors, 0 warnings in {} pages and states", files.len());
        record("Validity", "the Nu Html Checker", &figure);
        site.stop().await;
    });
}

#[test]
fn a_first_visit_is_three_requests_and_twelve_kilobytes() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let stranger = site.visitor();
        let mut heaviest = 0;
        for path in ["/", "/auth/sign-in/user/", "/auth/sign-up/user/"] {
            let page =
                stranger.request(reqwest::Method::GET, path).send().await.unwrap().text().await.unwrap();
            let files: std::collections::BTreeSet<&str> =
                page.split('"').filter(|part| part.starts_with("/static/")).collect();
            let mut bytes = page.len();
            for file in &files {
                let request = stranger.request(reqwest::Method::GET, file).header("Accept-Encoding", "gzip");
                let answer = request.send().await.unwrap().error_for_status().unwrap();
                bytes += answer.bytes().await.unwrap().len();
            }
            assert!(
                files.len() == 2 && bytes <= 12 * 1024,
                "{path}: {} files and {bytes} bytes",
                files.len()
            );
            heaviest = heaviest.max(bytes.div_ceil(1024));
        }
        let figure = format!("3 requests, {heaviest} KB at most");
        record(
            "First visit",
            "welcome, sign-in and sign-up pages with style sheet and icon, compressed where they are",
            &figure,
        );
        site.stop().await;
    });
}

#[test]
#[ignore = "writes the pictures of the documentation: cargo test --test it screenshots -- --ignored"]
fn screenshots() {
    in_chromium(async |site, page| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
        std::fs::create_dir_all(&folder).unwrap();
        furnish(site).await;
        let shoot = async |name: &str, path: &str, look: Look, width: u32| {
            page.goto(path).await;
            page.resize(width, 800).await;
            page.look(look).await;
            std::fs::write(folder.join(format!("{name}.png")), page.screenshot().await).unwrap();
        };
        shoot("sign-up", "/auth/sign-up/user/", Look::Light, 1280).await;
        shoot("sign-up-phone-dark", "/auth/sign-up/user/", Look::Dark, 375).await;
        sign_in(page, "user", "annalee", PASSWORD).await;
        shoot("profile", "/user-profile/", Look::Light, 1280).await;
        shoot("devices-phone", "/user-profile/sessions/", Look::Light, 375).await;
        shoot("activity-dark", "/user-profile/activity/", Look::Dark, 1280).await;
        page.forget_cookies().await;
        sign_in(page, Role::Superuser.as_str(), "chief", OTHER_PASSWORD).await;
        shoot("overview-dark", "/admin/", Look::Dark, 1280).await;
        shoot("accounts", "/admin/users/", Look::Light, 1280).await;
        shoot("accounts-phone", "/admin/users/", Look::Light, 375).await;
    });
}
