//! What stands between an unattended or stolen browser and other people's accounts.

use diesel::SqliteConnection;
use diesel::connection::{Connection as _, SimpleConnection};
use latchkey::identity::Role;
use latchkey::records::users;
use reqwest::{Method, RequestBuilder};

use crate::admin::{act, admin, open, superuser};
use crate::harness::{
    Mood, OTHER_PASSWORD, PASSWORD, Site, Visitor, WRITE_LOCK, World, hours, minutes, pictures, run, seconds,
    stories,
};

stories! {
    many_are_acted_on_only_with_the_password_of_the_last_ten_minutes,
    an_account_is_created_only_with_the_password_of_the_last_ten_minutes,
    another_role_signs_the_person_out,
    a_reason_has_two_hundred_characters_at_most,
    an_address_that_has_an_account_is_no_new_one,
    what_was_read_before_another_role_password_or_block_is_worth_nothing_after_it,
}

/// The fields of a bulk act as its page confirms them.
async fn confirmed(chief: &mut Visitor, what: &str) -> Vec<(&'static str, String)> {
    let fields = [("act", what), ("everybody", "on"), ("role", "user"), ("reason", "x")];
    chief.post("/admin/users/bulk/", &fields).await;
    let seal = chief.page().body.split("name=\"confirmed\" value=\"").nth(1).unwrap();
    let seal = seal.split('"').next().unwrap().to_owned();
    let fields =
        [("act", what), ("everybody", "on"), ("role", "user"), ("reason", "x"), ("confirmed", &seal)];
    fields.map(|(name, value)| (name, value.to_owned())).to_vec()
}

async fn many_are_acted_on_only_with_the_password_of_the_last_ten_minutes(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    // What was confirmed for one act is confirmed for no other.
    let mut other = confirmed(&mut chief, "block").await;
    "delete".clone_into(&mut other[0].1);
    let other: Vec<(&str, &str)> = other.iter().map(|(name, value)| (*name, value.as_str())).collect();
    chief.post("/admin/users/bulk/", &other).await;
    chief.status(422).see("The list has changed since you opened it.");
    let fields = confirmed(&mut chief, "delete").await;
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    site.wait(minutes(11)).await;
    chief.post("/admin/users/bulk/", &fields).await;
    assert!(chief.path().starts_with("/auth/confirm-password/"), "{}", chief.path());
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 2);
    chief.see("Delete");
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    chief.status(200).see("1 account deleted.");
}

async fn an_account_is_created_only_with_the_password_of_the_last_ten_minutes(site: &Site) {
    let mut chief = superuser(site).await;
    site.wait(minutes(11)).await;
    let fields = [("username", "merle"), ("email", "merle@example.org"), ("role", "superuser")];
    chief.post("/admin/users/new/", &fields).await;
    assert!(chief.path().starts_with("/auth/confirm-password/"), "{}", chief.path());
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    chief.status(200).see("Account created.");
}

async fn another_role_signs_the_person_out(site: &Site) {
    let mut chief = superuser(site).await;
    let mut ann = site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    assert_eq!(act(&mut chief, &person, "role", &[("role", "superuser"), ("reason", "x")]).await, 200);
    assert!(!ann.is_signed_in().await);
    ann.visit("/admin/").await;
    assert!(ann.path().starts_with("/auth/sign-in/"), "{}", ann.path());
}

async fn a_reason_has_two_hundred_characters_at_most(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    let person = open(&mut chief, "annalee").await;
    assert_eq!(act(&mut chief, &person, "block", &[("reason", &"ü".repeat(201))]).await, 422);
    chief.see("Reason must be 200 characters or fewer.");
    assert_eq!(act(&mut chief, &person, "block", &[("reason", &"ü".repeat(200))]).await, 200);
    chief.see("Account blocked");
}

async fn an_address_that_has_an_account_is_no_new_one(site: &Site) {
    let mut chief = superuser(site).await;
    site.member("annalee").await;
    let fields = [("username", "merle"), ("email", "ANNALEE@example.org"), ("role", "user")];
    chief.post("/admin/users/new/", &fields).await;
    chief.status(422);
    assert_eq!(chief.problem("Email address"), "An account already has this email address.");
}

async fn what_was_read_before_another_role_password_or_block_is_worth_nothing_after_it(site: &Site) {
    site.member("annalee").await;
    let now = site.app.clock.now();
    let found = site.app.db.read(|conn| users::by_username(conn, "annalee")).await.unwrap();
    let before = found.unwrap();
    let checked = site.app.db.write(move |conn| {
        let mut same = vec![users::lock_if_unchanged(conn, &before)?];
        users::set_role(conn, &before.id, Role::Staff)?;
        same.push(users::lock_if_unchanged(conn, &before)?);
        users::set_role(conn, &before.id, before.role)?;
        users::set_blocked(conn, &before.id, Some((now, "x")))?;
        same.push(users::lock_if_unchanged(conn, &before)?);
        users::set_blocked(conn, &before.id, None)?;
        same.push(users::lock_if_unchanged(conn, &before)?);
        users::set_password(conn, &before.id, &before.password_hash, now.plus(hours(1)))?;
        same.push(users::lock_if_unchanged(conn, &before)?);
        Ok::<_, latchkey::db::Error>(same)
    });
    let unchanged: Vec<bool> = checked.await.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(unchanged, [true, false, false, true, false]);
}

#[test]
fn staff_see_what_waits_in_the_outbox_and_never_the_link_in_it() {
    run(World::Embedded, async |site: &Site| {
        let mut staff = admin(site, Role::Staff, "stafford").await;
        site.mail.be(Mood::Away);
        let mut late = site.visitor();
        late.sign_up("lateral", "late@example.org", PASSWORD).await;
        let token = late.path().split('/').nth(4).unwrap().to_owned();
        let flow = late.path().split('/').nth(3).unwrap().to_owned();
        staff.visit("/admin/mails/?state=waiting").await;
        staff.follow("Sign-up code").await;
        staff.status(200).see("Enter this code to confirm your email address");
        assert!(!staff.page().body.contains(&token) && !staff.page().body.contains(&flow));
        assert!(!staff.page().sees("/auth/verify-otp/"), "{}", staff.page());
    });
}

/// Sends a request whose sender's session ends after they were let in and before anything is changed; where it leads.
async fn outrun(site: &Site, request: RequestBuilder) -> String {
    let file = site.folder.path().join("db.sqlite3");
    let mut conn = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    conn.batch_execute(WRITE_LOCK).unwrap();
    let sent = actix_web::rt::spawn(request.send());
    // It is read, and waits for its turn to write.
    tokio::time::sleep(seconds(1) / 5).await;
    conn.batch_execute("UPDATE sessions SET ended_at = created_at; COMMIT").unwrap();
    let answer = sent.await.unwrap().unwrap();
    answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn who_is_signed_out_while_an_act_is_on_its_way_changes_nothing_more() {
    run(World::Embedded, async |site: &Site| {
        let mut late = site.visitor();
        late.sign_up("lateral", "late@example.org", PASSWORD).await;
        site.mail_to("late@example.org").await;
        let password_link = late.posting("/auth/forgot-password/", &[("username", "chief-0")]);
        for number in 0..7 {
            let name = format!("chief-{number}");
            let mut chief = admin(site, Role::Superuser, &name).await;
            let person = open(&mut chief, "lateral").await;
            let path_on = async |chief: &mut Visitor, page: &str, mark: &str| {
                chief.visit(page).await;
                let marked = chief.page().body.split('"').find(|text| text.contains(mark)).unwrap();
                marked.to_owned()
            };
            let request = match number {
                0 => chief.posting(&format!("{person}verify/"), &[]),
                1 => {
                    let cancel = path_on(&mut chief, "/admin/otp-verifications/", "/cancel/").await;
                    chief.posting(&cancel, &[])
                }
                2 => {
                    password_link.try_clone().unwrap().send().await.unwrap();
                    site.mail_to("chief-0@example.org").await;
                    let cancel = path_on(&mut chief, "/admin/password-resets/", "/cancel/").await;
                    chief.posting(&cancel, &[])
                }
                3 => {
                    let mail = path_on(&mut chief, "/admin/mails/", "/admin/mails/0").await;
                    chief.posting(&format!("{mail}retry/"), &[])
                }
                4 => {
                    let new = [("username", "merle"), ("email", "merle@example.org"), ("role", "user")];
                    chief.posting("/admin/users/new/", &new)
                }
                5 => chief.posting("/user-profile/update/", &[("username", "renamed")]),
                _ => {
                    let part = reqwest::multipart::Part::bytes(pictures::png(9, 9)).file_name("a.png");
                    let form = reqwest::multipart::Form::new().part("profile_picture", part);
                    chief.request(Method::POST, "/user-profile/change-picture/").multipart(form)
                }
            };
            assert!(outrun(site, request).await.starts_with("/auth/sign-in/"), "{number}");
        }
        let acted = "SELECT COUNT(*) FROM events WHERE kind IN ('verified', 'code-cancelled', 'reset-cancelled', \
                     'mail-retried', 'account-added', 'details-changed', 'picture-changed')";
        assert_eq!(site.count(acted).await, 0);
    });
}
