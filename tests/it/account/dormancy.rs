//! Accounts that nobody uses: told twice, then blocked or deleted, and whoever signs in is left alone.

use std::time::Duration;

use latchkey::housekeeping::sweep;
use latchkey::identity::Role;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Sandbox, Site, World, hours, run_alone};

const MINE: &str = "annalee@example.org";

fn days(count: u64) -> Duration {
    hours(24 * count)
}

/// A site where accounts are dormant after 400 days, in every kind of database.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn everywhere(action: &str, story: impl AsyncFn(&Site, &Sandbox)) {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let site = sandbox.site_with(&[("DORMANT_AFTER_DAYS", "400"), ("DORMANT_ACTION", action)]).await;
            story(&site, &sandbox).await;
            site.stop().await;
        });
    }
}

/// Lets days pass, one after the other, with what housekeeping does on each.
async fn live(site: &Site, count: u64) {
    site.wait(days(count)).await;
    sweep(&site.app).await.unwrap();
}

#[test]
fn people_are_told_thirty_and_seven_days_before_and_then_the_account_is_blocked() {
    everywhere("block", async |site: &Site, _: &Sandbox| {
        let mut ann = site.member("annalee").await;
        live(site, 369).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE kind = 'unused-account'").await, 0);
        live(site, 2).await;
        let first = site.mail_to(MINE).await;
        assert!(first.subject.contains("will be blocked"), "{}", first.subject);
        live(site, 21).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE dormancy_notices = 1").await, 1);
        live(site, 2).await;
        let second = site.mail_to(MINE).await;
        assert!(second.text.contains("sign in before"), "{}", second.text);
        live(site, 5).await;
        ann.visit("/auth/sign-in/user/").await;
        assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE blocked_at IS NOT NULL").await, 0);
        live(site, 2).await;
        ann.sign_in("annalee", PASSWORD).await;
        ann.status(403).see("Your account has been blocked").see("Nobody had signed in for a long time.");
        // An administrator lets them in again, and it begins anew.
        site.appoint(Role::Superuser, "keeper").await;
        let mut keeper = site.visitor();
        keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
        keeper.visit("/admin/users/?q=annalee").await;
        keeper.follow("annalee").await;
        keeper.press("Unblock").await;
        live(site, 300).await;
        ann.sign_in("annalee", PASSWORD).await;
        ann.status(200).see("@annalee");
    });
}

#[test]
fn signing_in_ends_it_at_any_time() {
    everywhere("delete", async |site: &Site, _: &Sandbox| {
        let mut ann = site.member("annalee").await;
        live(site, 371).await;
        assert!(site.mail_to(MINE).await.subject.contains("will be deleted"));
        live(site, 24).await;
        site.mail_to(MINE).await;
        ann.sign_in("annalee", PASSWORD).await;
        ann.status(200).see("@annalee");
        live(site, 10).await;
        live(site, 350).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'dormancy-told'").await, 2);
        for wait in [20, 24, 8] {
            live(site, wait).await;
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 0, "told twice again, and then deleted");
        assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'account-left'").await, 1);
    });
}

#[test]
fn two_instances_tell_people_once() {
    everywhere("block", async |site: &Site, sandbox: &Sandbox| {
        for name in ["annalee", "bobbob", "charlie"] {
            site.member(name).await;
        }
        let other = sandbox.site_with(&[("DORMANT_AFTER_DAYS", "400")]).await;
        site.wait(days(371)).await;
        other.wait(days(371)).await;
        let (first, second) = futures_util::join!(sweep(&site.app), sweep(&other.app));
        first.unwrap();
        second.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE kind = 'unused-account'").await, 3);
        assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'dormancy-told'").await, 3);
        other.stop().await;
    });
}

#[test]
fn whoever_turns_it_on_for_old_accounts_gives_them_the_whole_notice() {
    everywhere("delete", async |site: &Site, sandbox: &Sandbox| {
        site.member("annalee").await;
        site.wait(days(371)).await;
        sweep(&site.app).await.unwrap();
        site.mail_to(MINE).await;
        // Off for a while: what was said holds no more.
        let off = sandbox.site_with(&[]).await;
        off.wait(days(800)).await;
        sweep(&off.app).await.unwrap();
        assert_eq!(off.count("SELECT COUNT(*) FROM users WHERE dormancy_notices = 0").await, 1);
        off.stop().await;
        live(site, 500).await;
        site.mail_to(MINE).await;
        live(site, 22).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE dormancy_notices = 1").await, 1);
        live(site, 2).await;
        live(site, 8).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 0);
    });
}

#[test]
fn nobody_is_deleted_who_was_told_of_a_block_nor_sooner_than_the_settings_say_by_now() {
    everywhere("block", async |site: &Site, sandbox: &Sandbox| {
        site.member("annalee").await;
        for wait in [371, 24] {
            live(site, wait).await;
        }
        site.mail_to(MINE).await;
        site.mail_to(MINE).await;
        for changed in [("DORMANT_ACTION", "delete"), ("DORMANT_AFTER_DAYS", "500")] {
            let usual = [("DORMANT_AFTER_DAYS", "400"), ("DORMANT_ACTION", "block")];
            let settings = usual.map(|(name, value)| if name == changed.0 { changed } else { (name, value) });
            let other = sandbox.site_with(&settings).await;
            other.wait(days(404)).await;
            sweep(&other.app).await.unwrap();
            let stays = "SELECT COUNT(*) FROM users WHERE blocked_at IS NULL AND leaves_at IS NULL";
            assert_eq!(other.count(stays).await, 1, "{changed:?}");
            assert_eq!(
                other.count("SELECT COUNT(*) FROM users WHERE dormancy_notices > 1").await,
                0,
                "{changed:?}"
            );
            other.stop().await;
            site.sql("UPDATE users SET dormancy_notices = 2, dormant_action = 'block', dormant_at = (SELECT MAX(at) FROM events)").await;
        }
    });
}

#[test]
fn a_device_that_stays_signed_in_and_is_used_counts() {
    let long = [("SESSION_IDLE_SECONDS", "31536000"), ("SESSION_ABSOLUTE_SECONDS", "31536000")];
    let settings = [("DORMANT_AFTER_DAYS", "60"), ("DORMANT_ACTION", "delete"), long[0], long[1]];
    run_alone(async || {
        let Some(sandbox) = World::Embedded.sandbox() else { return };
        let site = sandbox.site_with(&settings).await;
        let mut ann = site.member("annalee").await;
        for _ in 0..10 {
            live(&site, 20).await;
            assert!(ann.is_signed_in().await);
            site.until_seen().await;
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE kind = 'unused-account'").await, 0);
        site.stop().await;
    });
}

#[test]
fn the_last_superuser_who_can_sign_in_stays() {
    everywhere("delete", async |site: &Site, _: &Sandbox| {
        for name in ["keeper", "second"] {
            site.appoint(Role::Superuser, name).await;
        }
        for wait in [371, 24, 8, 1] {
            live(site, wait).await;
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
    });
}
