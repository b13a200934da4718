//! Leaving: told before, days of grace with two ways back, and then nothing is left but a tombstone.

use std::collections::HashMap;

use latchkey::config::RedisPlace;
use latchkey::housekeeping::sweep;
use latchkey::identity::Role;
use secrecy::ExposeSecret as _;

use super::change_email;
use crate::harness::{
    AtApplication, MailServer, OTHER_PASSWORD, PASSWORD, Program, Site, Visitor, World, free_port, hours,
    minutes, pictures, run_alone, stories,
};

stories! {
    whoever_leaves_is_told_before_and_types_who_they_are,
    for_seven_days_a_sign_in_leads_to_the_way_back,
    the_farewell_mail_has_a_way_back,
    whoever_did_not_ask_for_it_takes_the_account_back_by_the_farewell_mail,
    whoever_asked_for_it_and_kept_it_has_not_shut_the_owner_out,
    after_seven_days_the_account_is_gone_and_its_names_are_free,
    the_last_superuser_cannot_leave,
    an_address_that_can_be_undone_keeps_the_account_for_as_long,
    an_old_address_has_no_longer_way_back_than_its_own_once_the_account_is_kept,
    administrators_see_who_leaves_and_keep_them_on_their_word,
    a_block_ends_the_leaving,
}

const MINE: &str = "annalee@example.org";

async fn leave(visitor: &mut Visitor, name: &str, password: &str) {
    visitor.visit("/user-profile/delete/").await;
    visitor.fill("To confirm, enter your username", name).fill("Current password", password);
    visitor.press("Delete my account").await;
}

fn days(count: u64) -> std::time::Duration {
    hours(24 * count)
}

async fn whoever_leaves_is_told_before_and_types_who_they_are(site: &Site) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/").await;
    ann.follow("Delete your account").await;
    ann.status(200).see("You then have 7 days to change your mind").see("Someone else can then sign up");
    ann.see("will still show your username and email address for up to 400 days");
    leave(&mut ann, "annalie", PASSWORD).await;
    ann.status(422).see("The username doesn't match");
    leave(&mut ann, "annalee", "not the password").await;
    ann.status(422).see("That isn't your current password.");
    assert_eq!(site.count("SELECT COUNT(*) FROM users WHERE leaves_at IS NOT NULL").await, 0);
    leave(&mut ann, " ANNALEE ", PASSWORD).await;
    ann.status(200).see("your account will be deleted in 7 days");
    assert!(!ann.is_signed_in().await);
}

async fn for_seven_days_a_sign_in_leads_to_the_way_back(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut phone = ann.other_browser();
    phone.sign_in("annalee", PASSWORD).await;
    leave(&mut ann, "annalee", PASSWORD).await;
    assert!(!phone.is_signed_in().await);
    site.wait(days(6)).await;
    phone.sign_in("annalee", PASSWORD).await;
    phone.status(200).see("Your account will be deleted").see("Keep my account");
    assert_eq!(phone.path(), "/user-profile/delete/");
    // Nothing else is theirs to use.
    for path in ["/user-profile/", "/user-profile/sessions/", "/user-profile/update/", "/auth/sign-up/user/"]
    {
        phone.visit(path).await;
        assert_eq!(phone.path(), "/user-profile/delete/", "{path}");
    }
    phone.post("/user-profile/update/", &[("username", "another1")]).await;
    assert_eq!(phone.path(), "/user-profile/delete/");
    // But to take their data with them, or to say that it was not them.
    site.wait(minutes(11)).await;
    phone.visit("/user-profile/delete/").await;
    phone.follow("Download your data").await;
    phone.press("Download your data").await;
    phone.fill("Current password", PASSWORD);
    let (request, _) = phone.submission("Confirm");
    assert_eq!(request.send().await.unwrap().headers()["content-type"], "application/zip");
    phone.sign_in("annalee", PASSWORD).await;
    phone.press("Sign out and let it be deleted").await;
    phone.see("You've signed out.");
    phone.sign_in("annalee", PASSWORD).await;
    phone.press("Keep my account").await;
    phone.status(200).see("Your account won't be deleted.").see("@annalee");
    site.wait(days(2)).await;
    sweep(&site.app).await.unwrap();
    phone.sign_in("annalee", PASSWORD).await;
    phone.status(200).see("@annalee");
    // The farewell and the download come before.
    for _ in 0..2 {
        site.mail_to(MINE).await;
    }
    let kept = site.mail_to(MINE).await;
    assert!(kept.text.contains("has been cancelled"), "{}", kept.text);
}

async fn the_farewell_mail_has_a_way_back(site: &Site) {
    let mut ann = site.member("annalee").await;
    leave(&mut ann, "annalee", PASSWORD).await;
    let mail = site.mail_to(MINE).await;
    assert!(mail.text.contains("a request to delete your account"), "{}", mail.text);
    let link = mail.link("/auth/keep-account/");
    site.wait(days(6)).await;
    ann.visit(&link).await;
    ann.status(200).see("Keep your account?").see("annalee");
    ann.press("Keep my account").await;
    ann.status(200).see("Your account won't be deleted.");
    ann.visit(&link).await;
    ann.status(410);
    ann.sign_in("annalee", PASSWORD).await;
    ann.see("@annalee");
}

async fn whoever_did_not_ask_for_it_takes_the_account_back_by_the_farewell_mail(site: &Site) {
    site.member("annalee").await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    leave(&mut thief, "annalee", PASSWORD).await;
    let link = site.mail_to(MINE).await.link("/auth/keep-account/");
    let mut ann = site.visitor();
    ann.visit(&link).await;
    ann.press("This wasn't me").await;
    ann.status(200).see("Now choose a new password that you don't use anywhere else.");
    ann.fill("New password", OTHER_PASSWORD).fill("Repeat the new password", OTHER_PASSWORD);
    ann.press("Change password").await;
    thief.sign_in("annalee", PASSWORD).await;
    thief.status(422);
    ann.sign_in("annalee", OTHER_PASSWORD).await;
    ann.status(200).see("@annalee");
}

/// A thief who lets the owner's farewell mail go stale.
async fn whoever_asked_for_it_and_kept_it_has_not_shut_the_owner_out(site: &Site) {
    site.member("annalee").await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    leave(&mut thief, "annalee", PASSWORD).await;
    let first = site.mail_to(MINE).await.link("/auth/keep-account/");
    thief.sign_in("annalee", PASSWORD).await;
    thief.press("Keep my account").await;
    thief.see("@annalee");
    let mut ann = site.visitor();
    ann.visit(&first).await;
    ann.status(200).see("Your account won't be deleted");
    leave(&mut thief, "annalee", PASSWORD).await;
    ann.visit(&first).await;
    ann.status(200).see("will be deleted on");
    ann.press("This wasn't me").await;
    ann.status(200).see("Now choose a new password");
    assert!(!thief.is_signed_in().await);
}

async fn after_seven_days_the_account_is_gone_and_its_names_are_free(site: &Site) {
    let mut ann = site.member("annalee").await;
    leave(&mut ann, "annalee", PASSWORD).await;
    site.mail_to(MINE).await;
    site.wait(days(6)).await;
    sweep(&site.app).await.unwrap();
    // Not before.
    let mut bob = site.visitor();
    bob.sign_up("annalee", "bob@example.org", PASSWORD).await;
    bob.status(422).see("That username is taken.");
    site.wait(days(2)).await;
    sweep(&site.app).await.unwrap();
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 0);
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(422);
    let mut heir = site.member("annalee").await;
    heir.visit("/user-profile/activity/").await;
    assert!(!heir.page().sees("deleted"), "{}", heir.page());
    let tombstones = site.texts("SELECT user_id AS text FROM events WHERE kind = 'account-left'").await;
    let known = site.texts("SELECT user_id AS text FROM events WHERE kind = 'deletion-asked'").await;
    assert!(tombstones.len() == 1 && tombstones != known, "{tombstones:?} {known:?}");
}

async fn the_last_superuser_cannot_leave(site: &Site) {
    for name in ["keeper", "second"] {
        site.appoint(Role::Superuser, name).await;
    }
    let mut keeper = site.visitor();
    keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
    let mut second = site.visitor();
    second.sign_in_at("/auth/sign-in/superuser/", "second", OTHER_PASSWORD).await;
    leave(&mut keeper, "keeper", OTHER_PASSWORD).await;
    keeper.status(200).see("your account will be deleted");
    leave(&mut second, "second", OTHER_PASSWORD).await;
    second.status(422).see("You're the last superuser who can sign in");
}

async fn an_address_that_can_be_undone_keeps_the_account_for_as_long(site: &Site) {
    site.member("annalee").await;
    let mut thief = site.visitor();
    thief.sign_in("annalee", PASSWORD).await;
    change_email(site, &mut thief, PASSWORD, "thief@example.org").await;
    leave(&mut thief, "annalee", PASSWORD).await;
    thief.see("will be deleted in 7 days");
    site.mail_to(MINE).await;
    let told = site.mail_to(MINE).await;
    assert!(told.text.contains("used this email address until recently"), "{}", told.text);
    let undo = told.link("/auth/undo-email/");
    site.wait(days(6)).await;
    let mut ann = site.visitor();
    ann.visit(&undo).await;
    ann.press("Restore this address").await;
    ann.fill("New password", OTHER_PASSWORD).fill("Repeat the new password", OTHER_PASSWORD);
    ann.press("Change password").await;
    site.wait(days(8)).await;
    sweep(&site.app).await.unwrap();
    ann.sign_in(MINE, OTHER_PASSWORD).await;
    ann.status(200).see("@annalee");
}

async fn an_old_address_has_no_longer_way_back_than_its_own_once_the_account_is_kept(site: &Site) {
    let mut ann = site.member("annalee").await;
    change_email(site, &mut ann, PASSWORD, "new@example.org").await;
    let own = site.mail_to(MINE).await.link("/auth/undo-email/");
    leave(&mut ann, "annalee", PASSWORD).await;
    let longer = site.mail_to(MINE).await.link("/auth/undo-email/");
    ann.visit(&longer).await;
    ann.status(200);
    ann.sign_in("annalee", PASSWORD).await;
    ann.press("Keep my account").await;
    ann.visit(&own).await;
    ann.status(200);
    site.wait(days(4)).await;
    for link in [&own, &longer] {
        ann.visit(link).await;
        ann.status(410);
    }
}

async fn administrators_see_who_leaves_and_keep_them_on_their_word(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.appoint(Role::Superuser, "keeper").await;
    leave(&mut ann, "annalee", PASSWORD).await;
    let mut keeper = site.visitor();
    keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
    keeper.visit("/admin/users/?status=leaving").await;
    keeper.status(200).see("annalee").see("Leaving");
    keeper.follow("annalee").await;
    keeper.status(200).see("Will be deleted");
    keeper.press("Cancel the deletion").await;
    keeper.status(200).see("The account won't be deleted.").see("Active");
    keeper.visit("/admin/events/").await;
    keeper.see("cancelled the deletion of");
    site.wait(days(8)).await;
    sweep(&site.app).await.unwrap();
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(200).see("@annalee");
    ann.visit("/user-profile/activity/").await;
    ann.see("An administrator cancelled the deletion of your account")
        .see("You asked for your account to be deleted");
    assert!(!ann.page().sees("keeper"));
}

async fn a_block_ends_the_leaving(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.appoint(Role::Superuser, "keeper").await;
    leave(&mut ann, "annalee", PASSWORD).await;
    let mut keeper = site.visitor();
    keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    keeper.post(&format!("/admin/users/{id}/block/"), &[("reason", "spam")]).await;
    keeper.status(200).see("Account blocked");
    site.wait(days(8)).await;
    sweep(&site.app).await.unwrap();
    let mut again = site.visitor();
    again.sign_up("annalee2", MINE, PASSWORD).await;
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(403).see("spam");
}

/// Every text in every table, by table.
async fn everything(site: &Site, world: World) -> Vec<String> {
    let columns = match world {
        World::Embedded | World::Redis => {
            "SELECT m.name || ' ' || p.name AS text FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND p.type <> 'BLOB'"
        }
        World::Postgres => {
            "SELECT table_name || ' ' || column_name AS text FROM information_schema.columns WHERE table_schema = 'public'"
        }
        #[cfg(feature = "mysql")]
        World::Mariadb => {
            "SELECT CONCAT(table_name, ' ', column_name) AS text FROM information_schema.columns WHERE table_schema = DATABASE()"
        }
    };
    let mut found = Vec::new();
    for column in site.texts(columns).await {
        let (table, column) = column.split_once(' ').unwrap();
        let text = match world {
            World::Embedded | World::Redis | World::Postgres => format!("CAST({column} AS TEXT)"),
            #[cfg(feature = "mysql")]
            World::Mariadb => format!("CAST({column} AS CHAR)"),
        };
        let query = format!("SELECT {text} AS text FROM {table} WHERE {column} IS NOT NULL");
        let values = site.texts(Box::leak(query.into_boxed_str())).await;
        found.extend(values.into_iter().map(|value| format!("{table}.{column}: {value}")));
    }
    found
}

/// Every key and every value of a site in Redis.
fn in_redis(place: &RedisPlace, prefix: &str) -> Vec<String> {
    let RedisPlace::One(url) = place else { panic!("{place:?}") };
    let mut conn = redis::Client::open(url.expose_secret()).unwrap().get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}*")).query(&mut conn).unwrap();
    let mut value = |key: &String| {
        let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut conn).unwrap_or_default();
        format!("redis {key}: {}", String::from_utf8_lossy(&value))
    };
    keys.iter().map(&mut value).collect()
}

/// The places in which something of that person is found.
async fn traces(site: &Site, world: World, marks: &[String]) -> Vec<String> {
    let mut traces: Vec<String> = everything(site, world).await;
    for file in std::fs::read_dir(site.folder.path().join("media")).unwrap() {
        traces.push(format!("file {}", file.unwrap().file_name().display()));
    }
    if let Some(redis) = &site.app.config.redis {
        traces.extend(in_redis(&redis.place, &redis.prefix));
    }
    traces.retain(|trace| marks.iter().any(|mark| trace.to_lowercase().contains(&mark.to_lowercase())));
    traces
}

#[test]
fn with_strict_privacy_nothing_names_whoever_has_gone_and_otherwise_the_audit_log_alone() {
    for world in World::ALL {
        for privacy in ["strict", "usual"] {
            let Some(sandbox) = world.sandbox() else { continue };
            run_alone(async || {
                let site = sandbox.site_with(&[("PRIVACY", privacy)]).await;
                let mut bob = site.member("bobbob").await;
                let mut ann = site.member("annalee").await;
                let id =
                    site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
                let ip = site.texts("SELECT ip AS text FROM sessions JOIN users ON users.id = user_id WHERE username = 'annalee'").await.remove(0);
                ann.visit("/user-profile/change-picture/").await;
                ann.choose_file("Picture", "me.png", "image/png", &pictures::png(64, 64));
                ann.press("Save").await;
                let picture =
                    site.texts("SELECT picture AS text FROM users WHERE picture IS NOT NULL").await.remove(0);
                ann.post("/auth/forgot-password/", &[("username", "annalee")]).await;
                // Her name is in what events tell, and in how her browser calls itself.
                for name in ["annabell", "annalee"] {
                    ann.post("/user-profile/update/", &[("username", name)]).await;
                }
                AtApplication::new(&site, "wiki.example.org").open(&mut ann, "/").await;
                let again = [("username", "annalee"), ("password", PASSWORD)];
                let again = ann.other_browser().posting("/auth/sign-in/user/", &again);
                again.header("User-Agent", "annalee Firefox").send().await.unwrap();
                leave(&mut ann, "annalee", PASSWORD).await;
                site.wait(days(8)).await;
                // Nor of a sign-up that nobody confirmed.
                let mut bert = site.visitor();
                bert.sign_up("bertrand", "bertrand@example.org", PASSWORD).await;
                let sign_up = "SELECT user_id AS text FROM events WHERE kind = 'signed-up' ORDER BY at DESC";
                let bertrand = site.texts(sign_up).await.remove(0);
                site.wait(days(4)).await;
                let marks = ["annalee".to_owned(), id, ip, picture, "bertrand".to_owned(), bertrand];
                assert!(!traces(&site, *world, &marks).await.is_empty());
                sweep(&site.app).await.unwrap();
                let mut left = traces(&site, *world, &marks).await;
                if privacy == "usual" {
                    left.retain(|trace| !trace.starts_with("events."));
                }
                assert!(left.is_empty(), "{world:?}, {privacy}: {left:#?}");
                assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'account-left'").await, 1);
                bob.sign_in("bobbob", PASSWORD).await;
                bob.status(200).see("@bobbob");
                let mut bobs = site.count("SELECT COUNT(*) FROM events WHERE detail <> ''").await;
                bobs += site.count("SELECT COUNT(*) FROM events WHERE source LIKE '10.%'").await;
                assert!(bobs > 0, "what is about others stays");
                site.sql("DELETE FROM events").await;
                site.sql("DELETE FROM users").await;
                site.stop().await;
            });
        }
    }
}

#[test]
fn without_days_of_grace_the_account_is_gone_at_once() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("DELETE_GRACE_DAYS", "0".to_owned())])).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/delete/").await;
        ann.see("Your account is deleted straight away");
        leave(&mut ann, "annalee", PASSWORD).await;
        ann.status(200).see("Your account has been deleted.");
        assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 0);
        assert_eq!(site.count("SELECT COUNT(*) FROM mail_budgets").await, 0);
        assert!(site.mail_to(MINE).await.text.contains("This is our last email"));
        site.until("SELECT COUNT(*) FROM outbox", 0).await;
        // Not while somebody else's hand may be in it: on a new device, or after a change of address.
        site.member("charlie").await;
        let mut thief = site.visitor();
        thief.sign_in("charlie", PASSWORD).await;
        leave(&mut thief, "charlie", PASSWORD).await;
        thief.see("will be deleted in 3 days");
        site.member("bobbob").await;
        let mut thief = site.visitor();
        thief.sign_in("bobbob", PASSWORD).await;
        change_email(&site, &mut thief, PASSWORD, "thief@example.org").await;
        leave(&mut thief, "bobbob", PASSWORD).await;
        thief.see("will be deleted in 3 days");
        site.stop().await;
    });
}

#[test]
fn no_line_of_the_log_names_whoever_has_gone_once_they_have() {
    run_alone(async || {
        let (mail, folder, port) = (MailServer::start().await, tempfile::tempdir().unwrap(), free_port());
        let settings = [
            ("PUBLIC_URL", format!("http://localhost:{port}")),
            ("DELETE_GRACE_DAYS", "0".to_owned()),
            ("PRIVACY", "strict".to_owned()),
            ("RUST_LOG", "info".to_owned()),
        ];
        let mut program = Program::serve(folder.path(), port, &mail, &HashMap::from(settings));
        let mut ann = Visitor::new(format!("http://localhost:{port}"), "10.20.30.40".to_owned());
        ann.sign_up("annalee", MINE, PASSWORD).await;
        let code = mail.next_to(MINE).await.code();
        ann.fill("Code", &code).press("Confirm").await;
        let lines = || {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            log.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let before = lines();
        let id = before.iter().find_map(|line| line.split("\"user\":\"").nth(1)).expect("an event");
        let id = id.split('"').next().unwrap().to_owned();
        leave(&mut ann, "annalee", PASSWORD).await;
        ann.status(200).see("Your account has been deleted.");
        assert!(mail.next_to(MINE).await.text.contains("This is our last email"));
        program.kill();
        let after = lines().split_off(before.len());
        assert!(after.iter().any(|line| line.contains("account-left")), "{after:#?}");
        for mark in ["annalee", &id, "10.20.30.40"] {
            assert!(!after.iter().any(|line| line.contains(mark)), "{mark} in {after:#?}");
            assert!(
                mark == "annalee" || before.iter().any(|line| line.contains(mark)),
                "{mark} is looked for"
            );
        }
    });
}

#[test]
fn two_instances_delete_an_account_once() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let (one, other) = (sandbox.site().await, sandbox.site().await);
            for name in ["annalee", "bobbob", "charlie"] {
                let mut visitor = one.member(name).await;
                leave(&mut visitor, name, PASSWORD).await;
            }
            one.wait(days(8)).await;
            other.wait(days(8)).await;
            let (first, second) = futures_util::join!(sweep(&one.app), sweep(&other.app));
            first.unwrap();
            second.unwrap();
            assert_eq!(one.count("SELECT COUNT(*) FROM users").await, 0);
            assert_eq!(one.count("SELECT COUNT(*) FROM events WHERE kind = 'account-left'").await, 3);
            one.wait(minutes(1)).await;
            one.stop().await;
            other.stop().await;
        });
    }
}
