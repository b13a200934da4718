//! Chromium with scripts off: the journey, two tabs, Back, and every page and state looked at by axe, by the Nu validator, at 320
//! and 1280 pixels and 400 percent, light and dark.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use latchkey::identity::Role;

use crate::admin::{open, superuser};
use crate::harness::{
    Browser, Look, OTHER_PASSWORD, PASSWORD, Site, Visitor, note_missing, nu, program, run_alone, tool,
};

fn is_possible() -> bool {
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

fn in_chromium(story: impl AsyncFnOnce(&Site, &Browser)) {
    if !is_possible() {
        return;
    }
    run_alone(async || {
        let site = Site::start(HashMap::from([("RATE_LIMITS", "off".to_owned())])).await;
        let page = Browser::start(&site.url).await;
        story(&site, &page).await;
        drop(page);
        site.stop().await;
    });
}

async fn sign_in(page: &Browser, role: &str, name: &str, password: &str) {
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

/// A path with what it stands for, and who looks at it.
type Pages = Vec<(String, &'static str)>;

/// A site on which there is something to see: long names and addresses, other scripts, everything that waits or failed.
async fn furnish(site: &Site) -> (Visitor, Visitor, Pages) {
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
    ann.visit("/user-profile/").await;
    let mut pages: Pages = Vec::new();
    let open_to_all = [
        "/",
        "/auth/sign-up/user/",
        "/auth/sign-up/merchant/",
        "/auth/sign-in/user/",
        "/auth/sign-in/staff/",
        "/auth/forgot-password/",
        "/preferences/",
        "/nowhere/",
        &verify,
        &reset,
        "/auth/reset-password/x/y/",
    ];
    let own = [
        "/user-profile/",
        "/user-profile/update/",
        "/user-profile/change-email/",
        "/user-profile/change-picture/",
        "/user-profile/update-password/",
        "/auth/confirm-password/",
        "/admin/",
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
    ];
    pages.extend(open_to_all.map(|path| (path.to_owned(), "stranger")));
    pages.extend(own.map(|path| (path.to_owned(), "person")));
    pages.extend(admin.map(|path| (path.to_owned(), "superuser")));
    (ann, chief, pages)
}

#[test]
fn axe_finds_nothing_and_nothing_is_wider_than_the_window() {
    in_chromium(async |site, page| {
        let (.., pages) = furnish(site).await;
        let mut wrong = Vec::new();
        let mut looked_at = 0;
        for (who, role, name, password) in [
            ("stranger", "", "", ""),
            ("person", "user", "annalee", PASSWORD),
            ("superuser", "superuser", "chief", OTHER_PASSWORD),
        ] {
            if !role.is_empty() {
                page.forget_cookies().await;
                sign_in(page, role, name, password).await;
            }
            for (path, _) in pages.iter().filter(|(_, whose)| *whose == who) {
                page.goto(path).await;
                for (width, look) in
                    [(320, Look::Light), (320, Look::Dark), (1280, Look::Light), (1280, Look::Dark)]
                {
                    page.resize(width, 800).await;
                    page.look(look).await;
                    looked_at += 1;
                    let found = page.axe().await.into_iter().chain(page.overflow().await);
                    wrong.extend(found.map(|what| format!("{path} {width} {look:?}: {what}")));
                }
                // 400 percent of a window of 1280 by 1024.
                page.resize(320, 256).await;
                wrong
                    .extend(page.overflow().await.into_iter().map(|what| format!("{path} at 400 %: {what}")));
            }
        }
        // What is wrong in a form, too.
        page.forget_cookies().await;
        for (path, button) in [
            ("/auth/sign-up/user/", "Create account"),
            ("/auth/sign-up/user/", "Suggest a password"),
            ("/auth/sign-in/user/", "Sign in"),
            ("/auth/forgot-password/", "Send the link"),
        ] {
            page.goto(path).await;
            page.press(button).await;
            for look in [Look::Light, Look::Dark] {
                page.look(look).await;
                looked_at += 1;
                wrong.extend(
                    page.axe().await.into_iter().map(|what| format!("{path} refused {look:?}: {what}")),
                );
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let how = "axe-core: WCAG 2.2 A and AA, best practice, contrast of AAA; 320 and 1280 pixels, light and dark";
        record(
            "Faults that axe finds",
            how,
            &format!("0 in {looked_at} views of {} pages and states", pages.len() + 4),
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
               full_name_canon, phone, about, created_at, password_changed_at, theme, time_zone, email_since) \
             WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60) \
             SELECT printf('01900000-0000-7000-8000-%012d', n), 'person' || n, 'person' || n, \
               'person' || n || '@example.org', n, \
               '!', 'user', '2026-01-01 00:00:00', 'Ann Lee', 'ann lee', '', '', '2026-02-01 00:00:00', '2026-01-01 00:00:00', 'system', 'UTC', '2026-01-01 00:00:00' FROM c",
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
        let (mut ann, mut chief, pages) = furnish(&site).await;
        let mut stranger = site.visitor();
        let mut files = BTreeMap::new();
        for (number, (path, who)) in pages.iter().enumerate() {
            let visitor = match *who {
                "stranger" => &mut stranger,
                "person" => &mut ann,
                _ => &mut chief,
            };
            visitor.visit(path).await;
            let name: String =
                path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
            files.insert(format!("{number}{name}.html"), visitor.page().body.clone());
        }
        for (path, button) in [("/auth/sign-up/user/", "Create account"), ("/auth/sign-in/user/", "Sign in")]
        {
            stranger.visit(path).await;
            stranger.press(button).await;
            files.insert(format!("refused{}.html", path.replace('/', "-")), stranger.page().body.clone());
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
                bytes += request.send().await.unwrap().bytes().await.unwrap().len();
            }
            assert!(
                files.len() <= 2 && bytes <= 12 * 1024,
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
        page.forget_cookies().await;
        sign_in(page, Role::Superuser.as_str(), "chief", OTHER_PASSWORD).await;
        shoot("overview-dark", "/admin/", Look::Dark, 1280).await;
        shoot("accounts", "/admin/users/", Look::Light, 1280).await;
        shoot("accounts-phone", "/admin/users/", Look::Light, 375).await;
    });
}
