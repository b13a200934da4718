//! What makes pages kind: nothing typed is lost, nobody takes somebody else's form for theirs, errors say that they are errors,
//! every address leads somewhere.

use std::collections::HashMap;

use latchkey::identity::Role;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use scraper::{Html, Selector};

use crate::admin::{open, superuser};
use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, hours, minutes, pictures, run_alone, stories};

stories! {
    what_was_typed_when_the_session_ended_is_there_after_signing_in,
    a_form_is_never_taken_for_somebody_else,
    an_act_that_waits_for_the_password_names_itself_and_is_done,
    what_waits_for_the_password_of_one_is_never_done_by_another,
    the_right_password_at_another_page_goes_on_with_one_button,
    the_button_works_in_this_browser_for_two_minutes_and_for_this_password,
    the_sign_in_page_used_last_is_the_one_to_come_back_to,
    a_refused_form_says_so_in_title_and_focus,
    an_address_that_only_takes_forms_leads_to_the_page_that_has_one,
    an_error_page_keeps_the_header_of_whoever_is_looking,
    too_many_attempts_show_the_form_again,
    a_text_browser_is_known_by_the_page_that_it_comes_from,
    the_path_of_a_cookie_stands_in_front,
    theme_and_time_zone_are_kept_with_the_account_or_in_the_browser,
    what_is_typed_can_be_shown_and_is_then_typed_once,
    whoever_has_no_idea_gets_three,
    the_link_in_the_mail_fills_the_code_in,
    whoever_mistyped_their_address_finds_the_rest_typed,
    deleting_takes_the_name_and_deleting_many_the_number,
    what_browsers_ask_for_by_name_is_there,
    every_form_of_somebody_signed_in_names_its_owner,
    another_part_of_a_picture_can_be_kept_by_its_person_alone,
    what_waits_for_the_password_is_done_once_and_in_its_own_session,
    what_was_ticked_when_the_session_ended_is_ticked_after_signing_in,
    a_form_that_is_too_long_to_keep_is_told,
    what_stands_in_a_path_is_no_way_to_another_one,
    a_browser_that_keeps_no_cookie_is_told,
    the_overview_says_what_needs_attention_and_nothing_else,
}

fn title(visitor: &Visitor) -> String {
    let page = Html::parse_document(&visitor.page().body);
    let title = page.select(&Selector::parse("title").unwrap()).next().unwrap();
    title.text().collect::<String>()
}

/// A field of the page by its name.
fn value_of(visitor: &Visitor, name: &str) -> Option<String> {
    let page = Html::parse_document(&visitor.page().body);
    let field = page.select(&Selector::parse(&format!("[name={name}]")).unwrap()).next()?;
    field.attr("value").map(str::to_owned)
}

async fn what_was_typed_when_the_session_ended_is_there_after_signing_in(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    site.wait(minutes(61)).await;
    ann.fill("Name", "Ann <Lee>").fill("About you", "Two\nlines").press("Save").await;
    assert!(ann.path().starts_with("/auth/sign-in/user/"), "{}", ann.path());
    assert!(!ann.path().contains("Lee"), "nothing stands in the address: {}", ann.path());
    ann.see("we'll bring back what you typed");
    ann.fill("Username or email address", "annalee").fill("Password", PASSWORD).press("Sign in").await;
    assert_eq!(ann.path(), "/user-profile/update/");
    ann.see("You'd been signed out. Check and save.");
    assert_eq!((ann.written("Name").as_str(), ann.written("About you").as_str()), ("Ann <Lee>", "Two lines"));
    ann.press("Save").await;
    ann.status(200).see("Ann <Lee>");
    // Once: the page is itself again afterwards.
    ann.visit("/user-profile/update/").await;
    assert!(!ann.page().sees("You'd been signed out"));
}

async fn a_form_is_never_taken_for_somebody_else(site: &Site) {
    let mut browser = site.member("annalee").await;
    site.member("bertrand").await;
    browser.visit("/user-profile/update/").await;
    let mut other_tab = browser.twin();
    other_tab.press("Sign out").await;
    other_tab.sign_in("bertrand", PASSWORD).await;
    browser.take_cookies_of(&other_tab);
    browser.fill("Name", "Ann Lee").press("Save").await;
    browser
        .status(403)
        .see("You're now signed in as bertrand")
        .see("This form was annalee's. Nothing was changed.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE full_name <> ''").await, 0);
}

async fn an_act_that_waits_for_the_password_names_itself_and_is_done(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    site.wait(minutes(11)).await;
    chief.visit(&person).await;
    let fields = [("reason", "Sends <spam>."), ("for", &value_of(&chief, "for").unwrap())];
    chief.post(&format!("{person}block/"), &fields).await;
    assert!(
        chief.path().starts_with("/auth/confirm-password/") && !chief.path().contains("spam"),
        "{}",
        chief.path()
    );
    chief.see("Block annalee").see("Reason: Sends <spam>.");
    chief.fill("Current password", "wrong").press("Confirm").await;
    chief.status(422).see("Block annalee").see("Reason: Sends <spam>.");
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    chief.status(200).see("Account blocked and signed out everywhere.").see("Sends <spam>.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 1);
}

async fn what_waits_for_the_password_of_one_is_never_done_by_another(site: &Site) {
    let mut chief = superuser(site).await;
    site.appoint(Role::Superuser, "another").await;
    let mut other = site.visitor();
    site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    site.wait(minutes(11)).await;
    chief.visit(&person).await;
    let fields = [("reason", "x"), ("for", &value_of(&chief, "for").unwrap())];
    chief.post(&format!("{person}block/"), &fields).await;
    let carried = value_of(&chief, "carried").unwrap();
    other.sign_in_at("/auth/sign-in/superuser/", "another", OTHER_PASSWORD).await;
    let fields = [("current_password", OTHER_PASSWORD), ("carried", carried.as_str())];
    other.post("/auth/confirm-password/", &fields).await;
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
}

async fn the_right_password_at_another_page_goes_on_with_one_button(site: &Site) {
    site.appoint(Role::Superuser, "supervisor").await;
    let mut visitor = site.visitor();
    visitor.sign_in("supervisor", OTHER_PASSWORD).await;
    visitor.status(422).see("This is a superuser account");
    assert!(!visitor.page().body.contains(OTHER_PASSWORD));
    visitor.press("Continue as a superuser").await;
    assert_eq!(visitor.path(), "/admin/");
    visitor.status(200);
}

async fn the_button_works_in_this_browser_for_two_minutes_and_for_this_password(site: &Site) {
    site.appoint(Role::Staff, "stafford").await;
    let mut visitor = site.visitor();
    visitor.sign_in("stafford", OTHER_PASSWORD).await;
    let proof = value_of(&visitor, "continue_as").unwrap();
    let fields = [("continue_as", proof.as_str())];
    let mut thief = site.visitor();
    thief.post("/auth/sign-in/staff/", &fields).await;
    thief.status(422);
    assert!(!thief.is_signed_in().await);
    // At no other page than that of the account's role.
    let mut elsewhere = visitor.twin();
    elsewhere.post("/auth/sign-in/superuser/", &fields).await;
    elsewhere.status(422);
    let mut late = visitor.twin();
    site.wait(minutes(3)).await;
    late.post("/auth/sign-in/staff/", &fields).await;
    late.status(422).see("That took too long.");
    visitor.sign_in("stafford", OTHER_PASSWORD).await;
    site.sql("UPDATE users SET password_hash = '!' WHERE username = 'stafford'").await;
    visitor.press("Continue as staff").await;
    visitor.status(422);
    assert!(!visitor.is_signed_in().await);
}

async fn the_sign_in_page_used_last_is_the_one_to_come_back_to(site: &Site) {
    let mut chief = superuser(site).await;
    site.wait(minutes(16)).await;
    for page in ["/user-profile/", "/admin/users/"] {
        chief.visit(page).await;
        assert!(chief.path().starts_with("/auth/sign-in/superuser/"), "{}", chief.path());
    }
    let mut stranger = site.visitor();
    stranger.visit("/admin/").await;
    assert!(stranger.path().starts_with("/auth/sign-in/staff/"), "{}", stranger.path());
}

async fn a_refused_form_says_so_in_title_and_focus(site: &Site) {
    let mut stranger = site.visitor();
    stranger.visit("/auth/sign-up/user/").await;
    assert_eq!(title(&stranger), "Create your account · Latchkey");
    stranger.press("Create account").await;
    stranger.status(422).see("There is a problem");
    assert_eq!(title(&stranger), "Error: Create your account · Latchkey");
    let page = Html::parse_document(&stranger.page().body);
    let selector = Selector::parse(".summary[tabindex='-1'][autofocus]").unwrap();
    assert_eq!(page.select(&selector).count(), 1);
    let required = Selector::parse("input[required]").unwrap();
    assert_eq!(page.select(&required).count(), 4);
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann").press("Save").await;
    assert_eq!(title(&ann), "Your changes have been saved. – Your profile · Latchkey");
}

async fn an_address_that_only_takes_forms_leads_to_the_page_that_has_one(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    let leads = [
        (format!("{person}block/"), person.clone()),
        ("/admin/users/bulk/".to_owned(), "/admin/users/".to_owned()),
        ("/user-profile/change-email/verify/".to_owned(), "/user-profile/change-email/".to_owned()),
        ("/user-profile/change-email/resend/".to_owned(), "/user-profile/change-email/".to_owned()),
        ("/auth/refresh/".to_owned(), "/user-profile/".to_owned()),
    ];
    for (from, to) in leads {
        chief.visit(&from).await;
        assert_eq!((chief.page().status, chief.path()), (200, to.as_str()), "{from}");
    }
    chief.visit(&format!("{person}nonsense/")).await;
    chief.status(404);
    let mut stranger = site.visitor();
    stranger.sign_up("merle", "merle@example.org", PASSWORD).await;
    let page = stranger.path().to_owned();
    stranger.visit(&page.replace("verify-otp", "resend-otp")).await;
    assert_eq!((stranger.page().status, stranger.path()), (200, page.as_str()));
}

async fn an_error_page_keeps_the_header_of_whoever_is_looking(site: &Site) {
    let mut ann = site.member("annalee").await;
    for (path, status) in [("/nothing/", 404), ("/admin/", 403), ("/auth/reset-password/x/y/", 404)] {
        ann.visit(path).await;
        ann.status(status);
        assert!(ann.page().body.contains("Sign out"), "{path}");
    }
    let cross_site = HeaderMap::from_iter([(
        HeaderName::from_static("sec-fetch-site"),
        HeaderValue::from_static("cross-site"),
    )]);
    let request = ann.request(Method::POST, "/user-profile/update/").headers(cross_site);
    ann.send(request, "/user-profile/update/").await;
    ann.status(403);
    assert!(ann.page().body.contains("Sign out") && ann.page().body.contains("/user-profile/"));
    let mut stranger = site.visitor();
    stranger.visit("/nothing/").await;
    assert!(!stranger.page().body.contains("Sign out"));
}

async fn too_many_attempts_show_the_form_again(site: &Site) {
    site.member("annalee").await;
    let mut stranger = site.visitor();
    for _ in 0..6 {
        stranger.sign_in("annalee", "wrong password").await;
    }
    stranger.status(429).see("Too many attempts. Try again in").see("Forgot your password?");
    assert!(stranger.page().headers.contains_key("retry-after"));
    assert_eq!(stranger.written("Username or email address"), "annalee");
}

async fn a_text_browser_is_known_by_the_page_that_it_comes_from(site: &Site) {
    let ann = site.member("annalee").await;
    let send = |referer: String| {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let cookie = format!("latchkey={}", ann.cookie("latchkey").unwrap());
        let request = client.post(format!("{}/auth/refresh/", site.url)).header("Cookie", cookie);
        request.header("Referer", referer).header("X-Forwarded-For", "198.51.100.7").send()
    };
    assert_eq!(send("https://evil.example/".to_owned()).await.unwrap().status(), 403);
    assert_eq!(send(format!("https://evil.example/?{}/", site.url)).await.unwrap().status(), 403);
    assert_eq!(send(String::new()).await.unwrap().status(), 403);
    assert_eq!(send(format!("{}/user-profile/", site.url)).await.unwrap().status(), 303);
}

async fn the_path_of_a_cookie_stands_in_front(site: &Site) {
    site.member("annalee").await;
    let stranger = site.visitor();
    let fields = [("username", "annalee"), ("password", PASSWORD)];
    let answer = stranger.posting("/auth/sign-in/user/", &fields).send().await.unwrap();
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert!(cookies.len() >= 3);
    for cookie in cookies {
        let line = cookie.to_str().unwrap();
        assert!(line.split("; ").nth(1) == Some("Path=/"), "{line}");
    }
}

async fn theme_and_time_zone_are_kept_with_the_account_or_in_the_browser(site: &Site) {
    let mut stranger = site.visitor();
    stranger.visit("/preferences/").await;
    let fields = [("theme", "dark"), ("time_zone", "Asia/Tokyo")];
    stranger.post("/preferences/", &fields).await;
    stranger.status(200).see("Your changes have been saved.");
    stranger.visit("/").await;
    assert!(stranger.page().body.contains("data-theme=\"dark\""));
    stranger.post("/preferences/", &[("theme", "pink"), ("time_zone", "Mars/Olympus")]).await;
    stranger.status(422).see("Choose a theme.").see("Choose a time zone from the list.");
    let mut ann = site.member("annalee").await;
    ann.post("/preferences/", &[("theme", "contrast"), ("time_zone", "Europe/Berlin")]).await;
    let mut elsewhere = ann.other_browser();
    elsewhere.sign_in("annalee", PASSWORD).await;
    elsewhere.visit("/user-profile/").await;
    assert!(elsewhere.page().body.contains("data-theme=\"contrast\""));
    assert!(elsewhere.page().sees("CET") || elsewhere.page().sees("CEST"), "{}", elsewhere.page());
    assert!(elsewhere.page().body.contains("<time datetime=\""));
    let fields =
        [("current_password", PASSWORD), ("password", OTHER_PASSWORD), ("confirm_password", OTHER_PASSWORD)];
    elsewhere.post("/user-profile/update-password/", &fields).await;
    let mail = site.mail_to("annalee@example.org").await;
    assert!(mail.text.contains(" CET") || mail.text.contains(" CEST"), "{}", mail.text);
    assert!(mail.html.contains("<time datetime=\""));
}

async fn what_is_typed_can_be_shown_and_is_then_typed_once(site: &Site) {
    let mut ann = site.visitor();
    ann.visit("/auth/sign-up/user/").await;
    ann.fill("Username", "annalee").fill("Email address", "ann@example.org").fill("Password", "half");
    ann.press("Show password").await;
    ann.status(200);
    assert_eq!((ann.written("Username").as_str(), ann.written("Password").as_str()), ("annalee", ""));
    assert!(!ann.page().body.contains("confirm_password"), "whoever sees it types it once");
    ann.fill("Password", "short").press("Create account").await;
    ann.status(422);
    assert!(ann.page().body.contains("name=\"shown\""), "it stays shown");
    ann.fill("Password", PASSWORD).press("Create account").await;
    ann.status(200).see("We sent a 6-digit code to");
    let fields = [("username", "merle"), ("email", "m@example.org"), ("password", PASSWORD)];
    let hidden = [&fields[..], &[("confirm_password", "another one")]].concat();
    let shown = [&hidden[..], &[("shown", "on")]].concat();
    for fields in [&fields[..], &hidden, &shown] {
        ann.post("/auth/sign-up/user/", fields).await;
        ann.status(422).see("The passwords don't match.");
    }
}

async fn whoever_has_no_idea_gets_three(site: &Site) {
    let mut ann = site.visitor();
    ann.visit("/auth/sign-up/user/").await;
    ann.press("Suggest a password").await;
    ann.status(200);
    let page = Html::parse_document(&ann.page().body);
    let ideas: Vec<String> =
        page.select(&Selector::parse("code").unwrap()).map(|idea| idea.text().collect()).collect();
    assert_eq!(ideas.len(), 3);
    ann.fill("Username", "annalee").fill("Email address", "ann@example.org").fill("Password", &ideas[0]);
    ann.press("Create account").await;
    ann.status(200).see("We sent a 6-digit code to");
}

async fn the_link_in_the_mail_fills_the_code_in(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let mail = site.mail_to("ann@example.org").await;
    let link = mail.text.split_whitespace().find(|word| word.contains("?code=")).unwrap().to_owned();
    let code = link.split("?code=").nth(1).unwrap().to_owned();
    assert!(mail.subject.contains(&code), "{}", mail.subject);
    for _ in 0..3 {
        site.visitor().visit(&link).await;
    }
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE verified_at IS NOT NULL").await, 0);
    ann.visit(&link).await;
    assert_eq!(ann.written("Code"), code);
    ann.see("The code works for 10 minutes, until");
    ann.press("Confirm").await;
    ann.status(200).see("Welcome! Your email address is confirmed.");
    ann.visit("/auth/sign-up/user/?code=%3Cscript%3E").await;
    assert!(!ann.page().body.contains("<script>"));
}

async fn whoever_mistyped_their_address_finds_the_rest_typed(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@exmaple.org", PASSWORD).await;
    ann.follow("Change it").await;
    assert_eq!(ann.written("Username"), "annalee");
    assert_eq!(ann.written("Email address"), "ann@exmaple.org");
    let mut stranger = site.visitor();
    stranger.visit("/auth/sign-up/user/").await;
    assert_eq!(stranger.written("Username"), "");
}

async fn deleting_takes_the_name_and_deleting_many_the_number(site: &Site) {
    let mut chief = superuser(site).await;
    for name in ["annalee", "bertrand"] {
        site.member(name).await;
    }
    let person = open(&mut chief, "annalee").await;
    chief.visit(&format!("{person}delete/")).await;
    chief.fill("Reason", "Asked for it.").press("Delete account permanently").await;
    chief.status(422).see("The username doesn't match. Enter annalee to confirm.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 3);
    chief.post("/admin/users/bulk/", &[("act", "delete"), ("everybody", "on")]).await;
    chief.status(200).see("Delete 2 accounts?").see("We'll skip 1 account");
    chief.fill("Reason", "Asked for it.").fill("To confirm, enter the number of accounts", "3");
    chief.press("Delete 2 accounts").await;
    chief.status(422).see("The number of accounts doesn't match. Enter 2 to confirm.");
    chief.fill("To confirm, enter the number of accounts", "2").press("Delete 2 accounts").await;
    chief.status(200).see("2 accounts deleted.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
}

async fn what_browsers_ask_for_by_name_is_there(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/.well-known/change-password").await;
    assert_eq!(ann.path(), "/user-profile/update-password/");
    for (path, kind) in [
        ("/favicon.ico", "image/svg+xml"),
        ("/apple-touch-icon.png", "image/png"),
        ("/robots.txt", "text/plain; charset=utf-8"),
    ] {
        ann.visit(path).await;
        assert_eq!((ann.page().status, &ann.page().headers["content-type"]), (200, &kind.parse().unwrap()));
    }
}

async fn every_form_of_somebody_signed_in_names_its_owner(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    let pages = [
        "/user-profile/update/",
        "/user-profile/change-email/",
        "/user-profile/change-picture/",
        "/user-profile/update-password/",
        "/auth/confirm-password/",
        "/preferences/",
        "/admin/users/",
        "/admin/users/new/",
        &person,
        &format!("{person}delete/"),
    ];
    for path in pages {
        chief.visit(path).await;
        chief.status(200);
        let page = Html::parse_document(&chief.page().body);
        let mut forms = 0;
        for form in page.select(&Selector::parse("form[method=post]").unwrap()) {
            // Signing out is for whoever is signed in.
            if form.attr("action") == Some("/auth/sign-out/") {
                continue;
            }
            forms += 1;
            let owner = Selector::parse("input[type=hidden][name=for]").unwrap();
            assert_eq!(form.select(&owner).count(), 1, "{:?} on {path}", form.attr("action"));
        }
        assert!(forms > 0, "{path}");
    }
}

async fn another_part_of_a_picture_can_be_kept_by_its_person_alone(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/change-picture/crop/").await;
    assert_eq!(ann.path(), "/user-profile/change-picture/", "there is nothing to crop yet");
    ann.choose_file("Picture", "a.png", "image/png", &pictures::png(900, 300)).press("Save").await;
    assert_eq!(ann.path(), "/user-profile/change-picture/crop/");
    ann.see("Your picture has been updated.");
    let source =
        ann.request(reqwest::Method::GET, "/user-profile/change-picture/source/").send().await.unwrap();
    assert_eq!(
        source.headers()["cache-control"],
        "no-store",
        "its address stays when another picture is sent"
    );
    let (middle, cookie) = (pictures::address(&ann), ann.cookie("latchkey-crop").unwrap().to_owned());
    let mut other = site.member("bertrand").await;
    other.set_cookie("latchkey-crop", &cookie);
    other.visit("/user-profile/change-picture/source/").await;
    assert_eq!(other.path(), "/user-profile/change-picture/");
    ann.visit("/user-profile/change-picture/crop/").await;
    ann.choose("place", "0").choose("zoom", "2").press("Save crop").await;
    ann.see("Your picture has been updated.");
    assert_ne!(pictures::address(&ann), middle);
    assert!(ann.cookie("latchkey-crop").is_none());
    ann.set_cookie("latchkey-crop", &cookie);
    ann.post("/user-profile/change-picture/crop/", &[("place", "9"), ("zoom", "0")]).await;
    ann.status(400);
    // What nobody needs any more goes within hours.
    std::fs::remove_dir_all(site.folder.path().join("media")).unwrap();
    ann.post("/user-profile/change-picture/crop/", &[("place", "1"), ("zoom", "0")]).await;
    ann.see("That took too long. Choose the picture again to crop it.");
}

async fn what_waits_for_the_password_is_done_once_and_in_its_own_session(site: &Site) {
    let mut chief = superuser(site).await;
    let mut elsewhere = chief.other_browser();
    elsewhere.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    site.wait(minutes(11)).await;
    chief.post(&format!("{person}block/"), &[("reason", "x")]).await;
    let carried = value_of(&chief, "carried").unwrap();
    let fields = [("current_password", OTHER_PASSWORD), ("carried", carried.as_str())];
    elsewhere.post("/auth/confirm-password/", &fields).await;
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    chief.see("Account blocked");
    chief.post(&format!("{person}unblock/"), &[]).await;
    chief.see("Account unblocked.");
    chief.post("/auth/confirm-password/", &fields).await;
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
}

async fn what_was_ticked_when_the_session_ended_is_ticked_after_signing_in(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    site.member("bertrand").await;
    chief.visit("/admin/users/").await;
    chief.tick_box("Select annalee").fill("Action for selected accounts", "end-sessions");
    site.wait(minutes(16)).await;
    chief.press("Continue").await;
    chief.fill("Username or email address", "chief").fill("Password", OTHER_PASSWORD).press("Sign in").await;
    assert_eq!(chief.path(), "/admin/users/");
    chief.press("Continue").await;
    chief.see("Sign out 1 account?").see("annalee");
    assert!(!chief.page().sees("bertrand"));
}

async fn a_form_that_is_too_long_to_keep_is_told(site: &Site) {
    let mut chief = superuser(site).await;
    site.wait(minutes(11)).await;
    let ids: Vec<String> = (0..100).map(|n| format!("uid-01900000-0000-7000-8000-{n:012}")).collect();
    let mut fields = vec![("act", "block")];
    fields.extend(ids.iter().map(|id| (id.as_str(), "on")));
    chief.post("/admin/users/bulk/", &fields).await;
    chief.see("Your form was too long to keep, so nothing has changed.");
}

async fn what_stands_in_a_path_is_no_way_to_another_one(site: &Site) {
    let mut ann = site.member("annalee").await;
    for path in [
        "/auth/resend-otp/%0a/b/",
        "/auth/resend-otp/%22%3E%3Cb%3E/b/",
        "/admin/users/%0d%0aX/block/",
        "/auth/resend-otp/%c3%a9/b/",
    ] {
        ann.visit(path).await;
        ann.status(404).see("Page not found");
    }
    let answer = ann.request(Method::GET, "/admin/users?q=ann").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (308, &HeaderValue::from_static("/admin/users/?q=ann"))
    );
}

async fn a_browser_that_keeps_no_cookie_is_told(site: &Site) {
    site.member("annalee").await;
    let fields = [("username", "annalee"), ("password", PASSWORD)];
    let answer = site.visitor().posting("/auth/sign-in/user/", &fields).send().await.unwrap();
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    // As one that keeps none: a new one each time.
    let mut forgetful = site.visitor();
    forgetful.visit(&to).await;
    forgetful.see("Your browser did not keep our cookie.");
}

async fn the_overview_says_what_needs_attention_and_nothing_else(site: &Site) {
    site.visitor().sign_up("waiting", "waiting@example.org", PASSWORD).await;
    site.mail_to("waiting@example.org").await;
    let mut chief = superuser(site).await;
    chief.visit("/admin/").await;
    assert!(!chief.page().sees("Needs attention"));
    site.wait(hours(25)).await;
    site.sql("UPDATE outbox SET state = 'failed' WHERE kind = 'verify-email'").await;
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    chief.visit("/admin/").await;
    chief.see("Needs attention").see("1 person has waited for over a day to confirm their email address");
    chief.see("1 email couldn't be delivered");
    chief.follow("1 person has waited for over a day to confirm their email address").await;
    chief.see("waiting@example.org");
}

#[test]
fn a_site_has_its_own_name_colour_links_and_help_in_pages_and_mails() {
    run_alone(async || {
        let settings = HashMap::from([
            ("SITE_NAME", "Hof & Garten".to_owned()),
            ("ACCENT", "20".to_owned()),
            ("SUPPORT_EMAIL", "help@example.org".to_owned()),
            ("FOOTER_LINKS", "Imprint=https://example.org/imprint".to_owned()),
        ]);
        let site = Site::start(settings).await;
        let mut ann = site.visitor();
        ann.visit("/").await;
        assert_eq!(title(&ann), "Welcome · Hof & Garten");
        assert!(ann.page().body.contains("https://example.org/imprint"));
        assert!(ann.page().body.contains("mailto:help@example.org"));
        assert!(!ann.page().body.contains("Latchkey"));
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let mail = site.mail_to("ann@example.org").await;
        assert!(mail.subject.contains("Hof & Garten code"), "{}", mail.subject);
        assert!(!mail.text.contains("Latchkey") && !mail.html.contains("Latchkey"));
        assert!(mail.html.contains("prefers-color-scheme: dark"));
        site.stop().await;
    });
}

#[test]
fn where_sign_up_is_closed_nothing_invites_to_it() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("SIGN_UP", "closed".to_owned())])).await;
        let mut stranger = site.visitor();
        for path in ["/", "/auth/sign-in/user/", "/auth/sign-in/merchant/", "/auth/forgot-password/"] {
            stranger.visit(path).await;
            assert!(!stranger.page().body.contains("/auth/sign-up/"), "{path}");
        }
        site.stop().await;
    });
}
