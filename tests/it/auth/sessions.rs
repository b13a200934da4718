//! Sessions: how long they live, and that nothing brings a dead one back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use latchkey::identity::Role;
use reqwest::Method;

use crate::harness::{
    OTHER_PASSWORD, PASSWORD, Redis, Site, Visitor, World, hours, minutes, run_alone, stories,
};

const COOKIE: &str = "latchkey";

async fn post(visitor: &Visitor, path: &str) -> reqwest::Response {
    visitor.request(Method::POST, path).send().await.unwrap()
}

stories! {
    signing_out_ends_the_session_for_every_copy_of_its_cookie,
    a_request_in_flight_does_not_bring_a_session_back,
    every_sign_in_gets_an_id_of_its_own,
    an_idle_session_ends_and_one_in_use_ends_after_a_day,
    staff_sessions_are_short,
    one_account_has_twenty_sessions_at_most,
    giving_the_password_again_leads_on_and_counts_wrong_ones,
    two_session_cookies_are_none,
}

async fn signing_out_ends_the_session_for_every_copy_of_its_cookie(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut thief = ann.twin();
    assert!(thief.is_signed_in().await);
    let out = post(&ann, "/auth/sign-out/").await;
    assert_eq!(out.headers()["clear-site-data"], "\"cache\"");
    ann.send(ann.request(Method::GET, "/user-profile/"), "/user-profile/").await;
    assert!(!thief.is_signed_in().await);
    assert!(!ann.is_signed_in().await);
    thief.visit("/user-profile/update/").await;
    assert_eq!(thief.path(), "/auth/sign-in/user/?next=/user-profile/update/");
    assert_eq!(post(&thief, "/user-profile/update/").await.headers()["location"], "/auth/sign-in/user/");
}

async fn a_request_in_flight_does_not_bring_a_session_back(site: &Site) {
    let mut rounds_ended = 0;
    for round in 0..20 {
        let ann = site.member(&format!("person{round}")).await;
        let reads = (0..10).map(|_| ann.request(Method::GET, "/user-profile/").send());
        let renewals = (0..5).map(|_| ann.request(Method::POST, "/auth/refresh/").send());
        let (out, ..) = tokio::join!(
            ann.request(Method::POST, "/auth/sign-out/").send(),
            join_all(reads),
            join_all(renewals)
        );
        // Where a renewal was first, the cookie that signs out is dead already, and the session lives on.
        let ended = out.unwrap().headers().contains_key("clear-site-data");
        rounds_ended += u32::from(ended);
        let live = site.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await;
        assert!(!ended || live == 0, "round {round}: {live} sessions live");
        assert!(!ann.twin().is_signed_in().await, "round {round}");
        site.sql("UPDATE sessions SET ended_at = created_at").await;
    }
    assert!(rounds_ended > 0, "some sign-outs came in time");
}

async fn every_sign_in_gets_an_id_of_its_own(site: &Site) {
    site.member("annalee").await;
    let mut ann = site.visitor();
    ann.set_cookie(COOKIE, "planted");
    ann.sign_in("annalee", PASSWORD).await;
    let first = ann.cookie(COOKIE).unwrap().to_owned();
    assert_ne!(first, "planted");
    ann.visit("/user-profile/").await;
    ann.post("/auth/refresh/", &[]).await;
    ann.see("Your session has been renewed.");
    let renewed = ann.cookie(COOKIE).unwrap().to_owned();
    assert_ne!(first, renewed);
    let mut old = site.visitor();
    old.set_cookie(COOKIE, &first);
    assert!(!old.is_signed_in().await, "the id before is worth nothing");
    assert!(ann.is_signed_in().await);
}

async fn an_idle_session_ends_and_one_in_use_ends_after_a_day(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut idle = ann.twin();
    for _ in 0..4 {
        site.wait(minutes(50)).await;
        assert!(ann.is_signed_in().await);
        site.until_seen().await;
    }
    idle.visit("/").await;
    site.wait(minutes(61)).await;
    assert!(!ann.is_signed_in().await);
    ann.sign_in("annalee", PASSWORD).await;
    for _ in 0..47 {
        site.wait(minutes(30)).await;
        ann.visit("/user-profile/").await;
        site.until_seen().await;
    }
    assert!(ann.is_signed_in().await);
    ann.post("/auth/refresh/", &[]).await;
    site.wait(minutes(31)).await;
    assert!(!ann.is_signed_in().await, "renewing does not move the end");
}

async fn staff_sessions_are_short(site: &Site) {
    site.appoint(Role::Superuser, "supervisor").await;
    let mut visitor = site.visitor();
    visitor.sign_in_at("/auth/sign-in/superuser/", "supervisor", OTHER_PASSWORD).await;
    site.wait(minutes(14)).await;
    assert!(visitor.is_signed_in().await);
    site.until_seen().await;
    site.wait(minutes(16)).await;
    visitor.visit("/admin/").await;
    assert_eq!(visitor.path(), "/auth/sign-in/superuser/?next=/admin/");
    visitor.sign_in_at("/auth/sign-in/superuser/", "supervisor", OTHER_PASSWORD).await;
    for _ in 0..47 {
        site.wait(minutes(10)).await;
        visitor.visit("/user-profile/").await;
        visitor.status(200).see("@supervisor");
        site.until_seen().await;
    }
    site.wait(minutes(10)).await;
    assert!(!visitor.is_signed_in().await, "eight hours are the end, however busy");
}

async fn one_account_has_twenty_sessions_at_most(site: &Site) {
    let mut first = site.member("annalee").await;
    let mut second = site.visitor();
    second.sign_in("annalee", PASSWORD).await;
    for _ in 0..19 {
        site.visitor().sign_in("annalee", PASSWORD).await;
    }
    assert_eq!(site.count("SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL").await, 20);
    assert!(!first.is_signed_in().await, "the oldest makes room");
    assert!(second.is_signed_in().await);
}

async fn giving_the_password_again_leads_on_and_counts_wrong_ones(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/auth/confirm-password/?next=/user-profile/change-email/").await;
    let before = ann.cookie(COOKIE).unwrap().to_owned();
    ann.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    ann.status(422).see("That isn't your current password.");
    ann.fill("Current password", PASSWORD).press("Confirm").await;
    assert_eq!(ann.path(), "/user-profile/change-email/");
    assert_ne!(ann.cookie(COOKIE).unwrap(), before);
    for _ in 0..4 {
        ann.visit("/auth/confirm-password/").await;
        ann.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
        ann.status(422);
    }
    ann.fill("Current password", PASSWORD).press("Confirm").await;
    ann.status(429);
}

async fn two_session_cookies_are_none(site: &Site) {
    let ann = site.member("annalee").await;
    let mut doubled = site.visitor();
    let both = format!("latchkey={}; latchkey=planted", ann.cookie(COOKIE).unwrap());
    let request = doubled.request(Method::GET, "/user-profile/").header("Cookie", both);
    doubled.send(request, "/user-profile/").await;
    assert!(doubled.path().starts_with("/auth/sign-in/"));
}

/// What somebody with a session cookie gets on a page.
async fn look(visitor: &Visitor, path: &str) -> (u16, Duration, bool) {
    let started = Instant::now();
    let answer = visitor.request(Method::GET, path).send().await.unwrap();
    let drops_cookie = answer.headers().get("set-cookie").is_some();
    (answer.status().as_u16(), started.elapsed(), drops_cookie)
}

#[test]
fn without_redis_public_pages_serve_and_with_it_the_same_cookie_is_signed_in_again() {
    let Some(mut redis) = Redis::start() else { return };
    run_alone(async || {
        let site = Site::start(HashMap::from([("REDIS_URL", redis.url())])).await;
        let mut ann = site.member("annalee").await;
        redis.stop();
        for _ in 0..10 {
            let stranger = site.visitor();
            assert_eq!(look(&stranger, "/").await.0, 200);
            assert_eq!(look(&stranger, "/auth/sign-in/user/").await.0, 200);
            assert_eq!(look(&ann, "/").await.0, 200);
            let (status, took, drops_cookie) = look(&ann, "/user-profile/").await;
            assert_eq!((status, drops_cookie), (503, false));
            assert!(took < Duration::from_secs(8), "{took:?}");
        }
        let mut bob = site.visitor();
        bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
        bob.status(200);
        let code = site.code_to("bob@example.org").await;
        bob.fill("Code", &code).press("Confirm").await;
        bob.status(503).see("We'll be right back");
        assert_eq!(site.visitor().visit("/readyz").await.body, "degraded: redis\n");

        redis.go_on();
        let back = Instant::now();
        while !ann.is_signed_in().await {
            assert!(
                back.elapsed() < Duration::from_secs(20),
                "not signed in again after {:?}",
                back.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        site.stop().await;
    });
}

#[test]
fn limits_hold_while_redis_is_away() {
    let Some(mut redis) = Redis::start() else { return };
    run_alone(async || {
        let site = Site::start(HashMap::from([("REDIS_URL", redis.url())])).await;
        site.member("annalee").await;
        redis.stop();
        let mut looked_at = 0;
        for _ in 0..20 {
            let mut eve = site.visitor();
            eve.sign_in("annalee", OTHER_PASSWORD).await;
            looked_at += u32::from(eve.page().status == 422);
        }
        assert_eq!(looked_at, 5);
        site.stop().await;
    });
}

#[test]
fn a_restored_redis_brings_no_session_back_that_was_signed_out() {
    let Some(redis) = Redis::start() else { return };
    run_alone(async || {
        let site = Site::start(HashMap::from([("REDIS_URL", redis.url())])).await;
        let mut ann = site.member("annalee").await;
        let mut copy = ann.twin();
        assert!(copy.is_signed_in().await);
        let backup = redis.back_up();
        ann.press("Sign out").await;
        redis.restore(&backup);
        assert!(backup.iter().any(|(key, _)| key.contains("session:")), "the old pointer is there again");
        assert!(!copy.is_signed_in().await);
        assert_eq!(copy.path(), "/auth/sign-in/user/?next=/user-profile/");
        site.stop().await;
    });
}

#[test]
fn remembered_sessions_last_for_weeks() {
    crate::harness::run(World::Embedded, async |site: &Site| {
        site.member("annalee").await;
        let mut ann = site.visitor();
        ann.visit("/auth/sign-in/user/").await;
        ann.fill("Username or email address", "annalee")
            .fill("Password", PASSWORD)
            .tick("Stay signed in on this device");
        ann.press("Sign in").await;
        for _ in 0..4 {
            site.wait(hours(6 * 24)).await;
            assert!(ann.is_signed_in().await);
            site.until_seen().await;
        }
        site.wait(hours(6 * 24)).await;
        assert!(!ann.is_signed_in().await, "thirty days are the end");
    });
}

#[test]
fn nobody_is_signed_out_by_another_secret_key() {
    for world in [World::Embedded, World::Redis] {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let (old, new) = ("k".repeat(64), "n".repeat(64));
            let mut settings = sandbox.settings.clone();
            let site = Site::start(settings.clone()).await;
            let mut ann = site.member("annalee").await;
            let mut lasting = site.visitor();
            lasting.visit("/auth/sign-in/user/").await;
            lasting
                .fill("Username or email address", "annalee")
                .fill("Password", PASSWORD)
                .tick("Stay signed in on this device");
            lasting.press("Sign in").await;
            let mut bob = site.visitor();
            bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
            let code = site.code_to("bob@example.org").await;
            let (folder, mail) = site.stop().await;

            settings.insert("SECRET_KEY", format!("{new},{old}"));
            let site = Site::start_in(folder, mail, settings.clone()).await;
            let before = ann.cookie(COOKIE).unwrap().to_owned();
            assert!(ann.go_to(&site).is_signed_in().await);
            assert_ne!(ann.cookie(COOKIE).unwrap(), before, "its cookie is sealed anew");
            let answer = lasting.go_to(&site).request(Method::GET, "/user-profile/").send().await.unwrap();
            assert!(
                answer.headers()["set-cookie"].to_str().unwrap().contains("; Max-Age="),
                "and lives as long as before"
            );
            bob.go_to(&site).fill("Code", &code).press("Confirm").await;
            bob.status(200).see("Welcome!");
            let (folder, mail) = site.stop().await;

            settings.insert("SECRET_KEY", new);
            let site = Site::start_in(folder, mail, settings).await;
            assert!(ann.go_to(&site).is_signed_in().await, "without the old key, too");
            assert!(!lasting.go_to(&site).is_signed_in().await, "who did not come by signs in anew");
            site.stop().await;
        });
    }
}
