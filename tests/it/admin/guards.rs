//! What stands between an unattended or stolen browser and other people's accounts.

use latchkey::identity::Role;
use latchkey::records::users;

use crate::admin::{act, admin, open, superuser};
use crate::harness::{
    Mood, OTHER_PASSWORD, PASSWORD, Site, Visitor, World, at_once, hours, minutes, run, stories,
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
    let fields = confirmed(&mut chief, "delete").await;
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    site.wait(minutes(11)).await;
    chief.post("/admin/users/bulk/", &fields).await;
    assert!(chief.path().starts_with("/auth/confirm-password/"), "{}", chief.path());
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 2);
    chief.fill("Current password", OTHER_PASSWORD).press("Confirm").await;
    chief.post("/admin/users/bulk/", &fields).await;
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
    chief.post("/admin/users/new/", &fields).await;
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
    assert_eq!(checked.await.unwrap(), [true, false, false, true, false]);
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

/// A superuser signs out while what they just sent is on its way: either it came first, or it did not happen.
#[test]
fn who_is_signed_out_while_an_act_is_on_its_way_does_nothing_more() {
    run(World::Embedded, async |site: &Site| {
        let mut outrun = [0; 5];
        for round in 0..60 {
            let mut chief = admin(site, Role::Superuser, &format!("chief-{round}")).await;
            let name = format!("person-{round}");
            site.visitor().sign_up(&name, &format!("{name}@example.org"), PASSWORD).await;
            let person = open(&mut chief, &name).await;
            chief.visit("/admin/otp-verifications/").await;
            let cancel = chief.page().body.split("action=\"").find(|it| it.contains("/cancel/")).unwrap();
            let cancel = cancel.split('"').next().unwrap().to_owned();
            chief.visit("/admin/mails/").await;
            let mail =
                chief.page().body.split("href=\"").find(|it| it.starts_with("/admin/mails/0")).unwrap();
            let retry = format!("{}retry/", mail.split('"').next().unwrap());
            let new = format!("merle-{round}");
            let requests = [
                chief.posting(&format!("{person}verify/"), &[]),
                chief.posting(&cancel, &[]),
                chief.posting(&retry, &[]),
                chief.posting(
                    "/admin/users/new/",
                    &[("username", &new), ("email", &format!("{new}@example.org")), ("role", "user")],
                ),
                chief.posting("/user-profile/update/", &[("username", &format!("chief-{round}"))]),
            ];
            let kind = round % 5;
            let out = chief.posting("/auth/sign-out/", &[]);
            let one = requests.into_iter().nth(kind).unwrap();
            let ended = site.count("SELECT COUNT(*) FROM events WHERE kind = 'signed-out'").await;
            let answers = at_once([out, one]).await;
            assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'signed-out'").await, ended + 1);
            if answers[1].location.starts_with("/auth/sign-in/") {
                outrun[kind] += 1;
                let acted = "SELECT COUNT(*) FROM events WHERE kind IN ('verified', 'code-cancelled', 'mail-retried', 'account-added', 'details-changed')";
                assert_eq!(site.count(acted).await, 0, "round {round}: {answers:?}");
            }
            site.sql("DELETE FROM events WHERE kind <> 'signed-out'").await;
            site.wait(hours(1)).await;
        }
        assert!(outrun.iter().sum::<u32>() > 0, "some sign-outs came first: {outrun:?}");
    });
}
