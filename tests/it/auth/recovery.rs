//! Forgotten passwords: one answer for everybody, one use for each link.

use latchkey::identity::Role;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, Visitor, at_once, hours, minutes, seconds, stories};

async fn forget(visitor: &mut Visitor, login: &str) {
    visitor.visit("/auth/forgot-password/").await;
    visitor.fill("Username or email address", login).press("Send the link").await;
}

async fn reset(visitor: &mut Visitor, link: &str, password: &str) {
    visitor.visit(link).await;
    visitor
        .fill("New password", password)
        .fill("Repeat the new password", password)
        .press("Change password")
        .await;
}

stories! {
    one_and_the_same_page_for_every_input,
    a_link_works_once_and_ends_every_session,
    of_two_hundred_uses_of_a_link_at_once_one_counts,
    a_link_runs_out_and_a_further_one_leaves_it_open,
    a_link_for_one_thing_is_worth_nothing_for_another,
    an_unconfirmed_person_gets_the_link_to_confirm_and_a_blocked_one_nothing,
    one_that_is_used_ends_the_others,
    strangers_ask_for_links_and_the_owner_has_one_that_works,
    a_known_device_is_mailed_a_link_whatever_strangers_asked_for,
    no_sign_in_with_the_old_password_outlives_a_reset,
    superusers_come_back_to_their_own_door,
}

async fn one_and_the_same_page_for_every_input(site: &Site) {
    site.member("annalee").await;
    site.visitor().sign_up("unconf", "unconf@example.org", PASSWORD).await;
    site.member("blocky").await;
    site.sql(
        "UPDATE users SET blocked_at = '2026-01-01 00:00:00', blocked_reason = 'x' WHERE username = 'blocky'",
    )
    .await;
    let mut pages = Vec::new();
    for login in [
        "annalee",
        "annalee@example.org",
        "nobody1",
        "nobody1@example.org",
        "unconf",
        "blocky",
        "\u{1f511} <b>",
    ] {
        let mut visitor = site.visitor();
        forget(&mut visitor, login).await;
        let mut headers: Vec<String> = visitor.page().headers.keys().map(ToString::to_string).collect();
        headers.sort();
        pages.push((visitor.path().to_owned(), visitor.page().status, headers, visitor.page().body.clone()));
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]));
    let mut visitor = site.visitor();
    forget(&mut visitor, "  ").await;
    visitor.status(422).see("Enter your username or email address.");
}

async fn a_link_works_once_and_ends_every_session(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut visitor = site.visitor();
    forget(&mut visitor, "annalee").await;
    let mail = site.mail_to("annalee@example.org").await;
    assert!(mail.text.contains("for 20 minutes"), "{}", mail.text);
    let link = mail.link("/auth/reset-password/");
    for _ in 0..5 {
        visitor.visit(&link).await;
        visitor.status(200).see("Choose a new password");
    }
    visitor
        .fill("New password", "short")
        .fill("Repeat the new password", "other")
        .press("Change password")
        .await;
    visitor.status(422);
    assert!(ann.is_signed_in().await, "nothing has happened yet");
    reset(&mut visitor, &link, OTHER_PASSWORD).await;
    visitor.see("Your password has been changed.").see("Sign in");
    assert!(!visitor.is_signed_in().await, "it does not sign in");
    assert!(!ann.is_signed_in().await);
    visitor.visit(&link).await;
    visitor.status(410).see("This link has already been used");
    visitor.follow("Request a new link").await;
    visitor.status(200);
    let notice = site.mail_to("annalee@example.org").await;
    assert_eq!(notice.subject, "Your password has been changed");
    assert!(
        !notice.text.contains("/auth/reset-password/") && notice.html.matches("href").count() == 1,
        "no live link in it"
    );
    visitor.sign_in("annalee", PASSWORD).await;
    visitor.status(422);
    visitor.sign_in("annalee", OTHER_PASSWORD).await;
    visitor.status(200);
}

async fn of_two_hundred_uses_of_a_link_at_once_one_counts(site: &Site) {
    site.member("annalee").await;
    forget(&mut site.visitor(), "annalee").await;
    let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    let uses = (0..200).map(|number| {
        let password = format!("{PASSWORD} {number}");
        site.visitor().posting(&link, &[("password", &password), ("confirm_password", &password)])
    });
    let answers = at_once(uses.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 303).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 303 | 410 | 429 | 503)), "{answers:?}");
    assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'password-reset'").await, 1);
}

async fn a_link_runs_out_and_a_further_one_leaves_it_open(site: &Site) {
    site.member("annalee").await;
    let mut visitor = site.visitor();
    forget(&mut visitor, "annalee").await;
    let first = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    site.wait(minutes(2)).await;
    forget(&mut visitor, "annalee").await;
    let second = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    visitor.visit(&first).await;
    visitor.status(200);
    site.wait(minutes(21)).await;
    visitor.visit(&second).await;
    visitor.status(410).see("This link has expired");
    for unknown in [
        second.replace("/auth/reset-password/", "/auth/reset-password/x"),
        second[..second.len() - 4].to_owned() + "abc/",
    ] {
        visitor.visit(&unknown).await;
        visitor.status(404).see("This link doesn't work");
    }
}

async fn a_link_for_one_thing_is_worth_nothing_for_another(site: &Site) {
    site.member("annalee").await;
    let mut visitor = site.visitor();
    forget(&mut visitor, "annalee").await;
    let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
    visitor.visit(&link.replace("reset-password", "undo-email")).await;
    visitor.status(404);
    visitor.visit(&link.replace("reset-password", "verify-otp")).await;
    visitor.status(404);
}

async fn an_unconfirmed_person_gets_the_link_to_confirm_and_a_blocked_one_nothing(site: &Site) {
    site.visitor().sign_up("unconf", "unconf@example.org", PASSWORD).await;
    site.code_to("unconf@example.org").await;
    site.wait(minutes(2)).await;
    let mut visitor = site.visitor();
    forget(&mut visitor, "unconf@example.org").await;
    let mail = site.mail_to("unconf@example.org").await;
    visitor.visit(&mail.link("/auth/verify-otp/")).await;
    visitor.fill("Your password", PASSWORD).fill("Code", &mail.code()).press("Confirm").await;
    visitor.see("Welcome!");
    site.sql("UPDATE users SET blocked_at = '2026-01-01 00:00:00', blocked_reason = 'x'").await;
    site.wait(minutes(2)).await;
    forget(&mut visitor, "unconf").await;
    site.wait(minutes(2)).await;
    assert_eq!(site.mail.all_to("unconf@example.org").len(), 2, "nothing for who is blocked");
}

async fn one_that_is_used_ends_the_others(site: &Site) {
    site.member("annalee").await;
    let mut visitor = site.visitor();
    let mut links = Vec::new();
    for _ in 0..2 {
        forget(&mut visitor, "annalee").await;
        links.push(site.mail_to("annalee@example.org").await.link("/auth/reset-password/"));
        site.wait(minutes(2)).await;
    }
    reset(&mut visitor, &links[0], OTHER_PASSWORD).await;
    visitor.visit(&links[1]).await;
    visitor.status(410).see("This link no longer works");
}

async fn strangers_ask_for_links_and_the_owner_has_one_that_works(site: &Site) {
    site.member("annalee").await;
    let mut stranger = site.visitor();
    for _ in 0..3 {
        forget(&mut stranger, "annalee").await;
    }
    site.wait(minutes(2)).await;
    assert_eq!(links_to_ann(site), 1, "one a minute");
    for _ in 0..8 {
        forget(&mut stranger, "ANNALEE@example.org").await;
        site.wait(minutes(2)).await;
    }
    assert_eq!(links_to_ann(site), 3, "for one network");
    forget(&mut site.visitor(), "annalee").await;
    site.wait(minutes(1)).await;
    assert_eq!(links_to_ann(site), 4, "another one is not refused for it");
    site.wait(minutes(30)).await;
    for _ in 0..30 {
        forget(&mut site.visitor(), "annalee").await;
        site.wait(seconds(20)).await;
    }
    assert_eq!(links_to_ann(site), 4 + 5, "all together, within twenty minutes");
    // No more come for a while, but those that came still work.
    let newest = site.mail.all_to("annalee@example.org").pop().unwrap().link("/auth/reset-password/");
    let mut ann = site.visitor();
    ann.visit(&newest).await;
    ann.status(200).see("annalee");
    site.wait(hours(24)).await;
    forget(&mut site.visitor(), "annalee").await;
    site.wait(minutes(1)).await;
    assert_eq!(links_to_ann(site), 4 + 5 + 1);
}

async fn a_known_device_is_mailed_a_link_whatever_strangers_asked_for(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.press("Sign out").await;
    for _ in 0..20 {
        forget(&mut site.visitor(), "annalee").await;
        site.wait(seconds(20)).await;
    }
    let before = links_to_ann(site);
    forget(&mut ann, "annalee").await;
    site.wait(minutes(1)).await;
    assert_eq!(links_to_ann(site), before + 1);
}

async fn no_sign_in_with_the_old_password_outlives_a_reset(site: &Site) {
    site.member("annalee").await;
    for round in 0..10 {
        let (old, new) = if round % 2 == 0 { (PASSWORD, OTHER_PASSWORD) } else { (OTHER_PASSWORD, PASSWORD) };
        let mut ann = site.visitor();
        forget(&mut ann, "annalee").await;
        let link = site.mail_to("annalee@example.org").await;
        let link =
            if link.subject.contains("changed") { site.mail_to("annalee@example.org").await } else { link };
        ann.visit(&link.link("/auth/reset-password/")).await;
        ann.fill("New password", new).fill("Repeat the new password", new);
        let (reset, _) = ann.submission("Change password");
        let thieves = (0..30).map(|_| {
            let thief = site.visitor();
            thief.posting("/auth/sign-in/user/", &[("username", "annalee"), ("password", old)])
        });
        let answers = at_once(thieves.collect::<Vec<_>>().into_iter().chain([reset])).await;
        assert_eq!(answers.last().unwrap().status, 303);
        let left = "SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL";
        assert_eq!(site.count(left).await, 0, "round {round}");
        site.wait(hours(1)).await;
    }
}

async fn superusers_come_back_to_their_own_door(site: &Site) {
    site.appoint(Role::Superuser, "supervisor").await;
    let mut visitor = site.visitor();
    forget(&mut visitor, "supervisor").await;
    let link = site.mail_to("supervisor@example.org").await.link("/auth/reset-password/");
    reset(&mut visitor, &link, PASSWORD).await;
    assert!(visitor.path().starts_with("/auth/sign-in/superuser/"), "{}", visitor.path());
}

fn links_to_ann(site: &Site) -> usize {
    let mails = site.mail.all_to("annalee@example.org");
    mails.iter().filter(|mail| mail.subject == "Choose a new password").count()
}
