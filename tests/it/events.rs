//! The audit log: nothing of what it is for is missing in it.

use std::collections::BTreeSet;

use latchkey::accounts::administration::{Act, Actor, Rules};
use latchkey::config::{Dormancy, DormantAction};
use latchkey::identity::{Email, PasswordHash, Role, Username};
use latchkey::records::events::{Kind, Source};
use latchkey::records::users;

use crate::admin::{act, open, superuser};
use crate::harness::{
    AtApplication, Authenticator, Enrolled, Mood, OTHER_PASSWORD, PASSWORD, Passkey, Site, World, hours,
    minutes, pictures, run,
};

/// What somebody leaves who signs in with a second step, and loses it.
async fn with_a_second_step(site: &Site) {
    let gina = Enrolled::new(site, "ginagrey").await;
    let mut phone = gina.at_second_step(site, "ginagrey").await;
    phone.fill("Code", "000000").press("Sign in").await;
    phone.fill("Code", &gina.recovery_codes[0]).tick("Trust this device").press("Sign in").await;
    phone.visit("/user-profile/sessions/").await;
    phone.press("Stop trusting – Unknown browser").await;
    phone.visit("/user-profile/two-factor/authenticators/new/").await;
    let tablet = Authenticator::of_page(&phone);
    phone.fill("6-digit code", &tablet.code(site)).fill("Name", "Tablet").press("Add the app").await;
    phone.press("Remove – Tablet").await;
    Passkey::add(site, &mut phone, "Laptop").await;
    phone.press("Remove – Laptop").await;
    phone.visit("/user-profile/two-factor/recovery-codes/").await;
    phone.press("Make new recovery codes").await;
    let lose = async || {
        let mut lost = gina.at_second_step(site, "ginagrey").await;
        lost.post("/auth/two-factor/lost/", &[]).await;
    };
    lose().await;
    phone.post("/user-profile/two-factor/keep/", &[]).await;
    phone.see("stays on");
    lose().await;
    site.wait(hours(72)).await;
    let mut back = site.visitor();
    back.sign_in("ginagrey", PASSWORD).await;
    let mut again = Enrolled::with(site, "ginagrey", back).await;
    again.visitor.post("/user-profile/two-factor/turn-off/", &[]).await;
    again.visitor.see("has been turned off");
}

/// What somebody leaves who opens an application.
async fn at_an_application(site: &Site) {
    let mut opener = site.member("opener").await;
    AtApplication::new(site, "wiki.example.org").open(&mut opener, "/").await;
    opener.post("/user-profile/applications/sign-out/", &[("host", "wiki.example.org")]).await;
}

/// What a person leaves: from the sign-up to the undoing of a change of address.
async fn by_a_person(site: &Site) {
    let mut ann = site.visitor();
    ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
    let code = site.code_to("ann@example.org").await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    ann.fill("Code", wrong).press("Confirm").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.status(200);
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").press("Save").await;
    ann.visit("/user-profile/change-picture/").await;
    ann.choose_file("Picture", "a.png", "image/png", &pictures::png(9, 9)).press("Save").await;
    ann.visit("/auth/confirm-password/").await;
    ann.fill("Current password", PASSWORD).press("Confirm").await;
    ann.change_password(PASSWORD, OTHER_PASSWORD).await;
    ann.visit("/user-profile/change-email/").await;
    ann.fill("New email address", "lee@example.org").fill("Current password", OTHER_PASSWORD);
    ann.press("Send the code").await;
    let code = site.code_to("lee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    let mut elsewhere = ann.other_browser();
    elsewhere.sign_in("annalee", OTHER_PASSWORD).await;
    let session =
        site.texts("SELECT id AS text FROM sessions WHERE ended_at IS NULL ORDER BY created_at DESC").await;
    ann.post(&format!("/user-profile/sessions/{}/end/", session[0]), &[]).await;
    ann.post("/user-profile/sessions/end-others/", &[]).await;
    ann.press("Sign out").await;
    ann.status(200);
    site.visitor().sign_in("annalee", "wrong password here").await;
    let undo = loop {
        let mail = site.mail_to("ann@example.org").await;
        if mail.text.contains("/auth/undo-email/") {
            break mail.link("/auth/undo-email/");
        }
    };
    ann.visit(&undo).await;
    ann.press("Restore this address").await;
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    let link = site.mail_to("ann@example.org").await.link("/auth/reset-password/");
    ann.visit(&link).await;
    ann.fill("New password", PASSWORD).fill("Repeat the new password", PASSWORD);
    ann.press("Change password").await;
    ann.status(200);
}

/// What a superuser leaves on other people's accounts.
async fn by_a_superuser(site: &Site) {
    let mut chief = superuser(site).await;
    let why = ("reason", "because");
    chief
        .post("/admin/users/new/", &[("username", "merle"), ("email", "merle@example.org"), ("role", "user")])
        .await;
    chief.status(200);
    site.mail_to("merle@example.org").await;
    let merle = open(&mut chief, "merle").await;
    chief.visit("/admin/password-resets/").await;
    chief.press("Cancel").await;
    site.visitor().sign_up("lateral", "late@example.org", PASSWORD).await;
    site.wait(minutes(2)).await;
    let late = open(&mut chief, "lateral").await;
    assert_eq!(act(&mut chief, &late, "send-code", &[]).await, 200);
    chief.visit("/admin/otp-verifications/").await;
    chief.press("Cancel").await;
    assert_eq!(act(&mut chief, &late, "verify", &[]).await, 200);
    site.visitor().sign_in("lateral", PASSWORD).await;
    assert_eq!(act(&mut chief, &late, "end-sessions", &[why]).await, 200);
    assert_eq!(act(&mut chief, &late, "block", &[why]).await, 200);
    site.visitor().sign_in("lateral", PASSWORD).await;
    assert_eq!(act(&mut chief, &late, "unblock", &[]).await, 200);
    site.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'", 0).await;
    site.mail.be(Mood::Never("late@example.org"));
    assert_eq!(act(&mut chief, &late, "role", &[why, ("role", "merchant")]).await, 200);
    site.until("SELECT COUNT(*) FROM events WHERE kind = 'mail-given-up'", 1).await;
    chief.visit("/admin/mails/?state=failed").await;
    chief.follow("Role changed").await;
    site.mail.be(Mood::Later("late@example.org"));
    chief.press("Try again now").await;
    chief.see("We'll try again within 30 seconds.");
    site.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND tries > 0", 1).await;
    let page = chief.path().to_owned();
    chief.visit(&page).await;
    chief.press("Cancel this email").await;
    chief.see("Email cancelled.");
    assert_eq!(act(&mut chief, &merle, "delete", &[why]).await, 200);
    chief.visit("/admin/users.csv?role=user").await;
    chief.status(200);
}

/// What whoever takes an account back, downloads it or leaves does.
async fn by_a_leaver(site: &Site) {
    let mut bob = site.member("bobbob").await;
    bob.post("/user-profile/download/", &[]).await;
    let leave = [("username", "bobbob"), ("current_password", PASSWORD)];
    bob.post("/user-profile/delete/", &leave).await;
    bob.sign_in("bobbob", PASSWORD).await;
    bob.press("Keep my account").await;
    bob.post("/user-profile/delete/", &leave).await;
    site.wait(hours(8 * 24)).await;
    latchkey::housekeeping::sweep(&site.app).await.unwrap();
    let mut eve = site.member("evelyn").await;
    eve.post("/user-profile/secure-account/", &[]).await;
    let rules = Dormancy { after: hours(24), action: DormantAction::Block };
    let now = site.app.clock.now();
    let told = site.app.db.write(move |conn| {
        let user = users::by_username(conn, "evelyn")?.expect("an account");
        latchkey::accounts::dormancy::tell(conn, &user, rules, now).map_err(latchkey::db::Error::from)
    });
    told.await.unwrap();
}

/// What the command line leaves.
async fn by_the_operator(site: &Site) {
    let actor = Actor { id: None, source: Source::CommandLine, reason: "because".to_owned() };
    let rules = Rules::new(&site.app.config, &site.app.keys);
    let now = site.app.clock.now();
    let new = latchkey::accounts::new_user::NewAccount {
        username: Username::parse("operated").unwrap(),
        email: Email::parse("operated@example.org").unwrap(),
        role: Role::Superuser,
        hash: PasswordHash::from_stored("v1$".to_owned()),
    };
    let made = site.app.db.write(move |conn| {
        let user = latchkey::accounts::new_user::create(conn, &new, Kind::SuperuserCreated, &actor, now)?;
        Act::Block.perform(conn, &user.id, &actor, rules, now)?;
        Ok::<_, latchkey::accounts::administration::ActError>(users::by_id(conn, &user.id)?)
    });
    assert!(made.await.unwrap().unwrap().blocked_at.is_some());
    let asked = site.app.db.write(move |conn| {
        let user = users::by_username(conn, "opener")?.expect("an account");
        let actor = Actor { id: None, source: Source::CommandLine, reason: String::new() };
        Act::RemindTwoFactor.perform(conn, &user.id, &actor, rules, now)
    });
    asked.await.unwrap();
}

#[test]
fn every_kind_of_event_is_left_by_what_it_is_for() {
    run(World::Embedded, async |site: &Site| {
        by_a_person(site).await;
        by_a_superuser(site).await;
        at_an_application(site).await;
        by_the_operator(site).await;
        by_a_leaver(site).await;
        with_a_second_step(site).await;
        let left = site.texts("SELECT DISTINCT kind AS text FROM events").await;
        let left: BTreeSet<&str> = left.iter().map(String::as_str).collect();
        let all: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(left, all);
        let by_chief = "SELECT DISTINCT e.kind AS text FROM events e JOIN users u ON u.id = e.actor_id WHERE u.username = 'chief' ORDER BY e.kind";
        let by_chief = site.texts(by_chief).await;
        let acts = [
            "account-added",
            "account-removed",
            "accounts-downloaded",
            "blocked",
            "code-cancelled",
            "code-sent",
            "mail-cancelled",
            "mail-retried",
            "reset-cancelled",
            "role-changed",
            "sessions-ended",
            "unblocked",
            "verified",
        ];
        assert_eq!(by_chief, acts);
        let sources = site
            .texts("SELECT DISTINCT source AS text FROM events WHERE source NOT LIKE '10.%' ORDER BY source")
            .await;
        assert_eq!(sources, ["command-line", "program"]);
        let nobody = "SELECT COUNT(*) FROM events WHERE user_id IS NULL AND kind <> 'accounts-downloaded'";
        assert_eq!(site.count(nobody).await, 0, "each of these happened to somebody");
    });
}
