//! A clock that is wrong for a while, ahead or behind, in the middle of every flow: nobody is kept out once it is right again.

use latchkey::housekeeping;
use latchkey::identity::Role;

use crate::harness::{
    Enrolled, Mood, OTHER_PASSWORD, PASSWORD, Site, Visitor, hours, minutes, seconds, stories,
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

stories! {
    by_an_hour,
    by_a_day,
    by_a_year,
    a_link_of_a_clock_that_was_ahead_works_for_no_longer_than_any,
    an_email_of_a_clock_that_was_ahead_is_not_waited_for,
    an_address_that_changed_while_the_clock_was_ahead_keeps_its_owner_a_way_back,
}

async fn by_an_hour(site: &Site) {
    flows(site, HOUR, "hour").await;
}

async fn by_a_day(site: &Site) {
    flows(site, DAY, "day").await;
}

async fn by_a_year(site: &Site) {
    flows(site, YEAR, "year").await;
}

async fn flows(site: &Site, span: i64, name: &str) {
    for (wrong, way) in [(span, "ahead"), (-span, "behind")] {
        let person = format!("{name}{way}");
        sign_up(site, wrong, &person).await;
        signed_in(site, wrong, &person).await;
        reset(site, wrong, &person).await;
        second_step(site, wrong, &person).await;
        change_of_address(site, wrong, &person).await;
        acts(site, wrong, &person).await;
    }
}

/// Something happens while the clock is wrong; then time goes on, with a clock that is right again.
async fn right_again(site: &Site) {
    site.app.clock.set_wrong_by(0);
    site.wait(minutes(2)).await;
    site.app.wakeup.wake();
}

/// Whoever asked for a code, or wanted the name, while the clock was wrong gets one afterwards.
async fn sign_up(site: &Site, wrong: i64, person: &str) {
    let address = format!("{person}@example.org");
    site.app.clock.set_wrong_by(wrong);
    let mut visitor = site.visitor();
    visitor.sign_up(person, &address, PASSWORD).await;
    visitor.status(200);
    site.mail_to(&address).await;
    right_again(site).await;
    visitor.press("Send a new code").await;
    if visitor.page().status == 410 {
        // Three days old, as far as anybody can tell: it can be done again.
        visitor.sign_up(person, &address, PASSWORD).await;
    }
    visitor.status(200);
    let code = site.code_to(&address).await;
    visitor.fill("Code", &code).press("Confirm").await;
    visitor.status(200).see(&format!("@{person}"));
}

/// A session of then is live or asks for the password; a new one always works.
async fn signed_in(site: &Site, wrong: i64, person: &str) {
    site.app.clock.set_wrong_by(wrong);
    let mut then: Visitor = site.visitor();
    then.sign_in(person, PASSWORD).await;
    then.status(200);
    for _ in 0..3 {
        site.visitor().sign_in(person, OTHER_PASSWORD).await;
    }
    right_again(site).await;
    let mut now = site.visitor();
    now.sign_in(person, PASSWORD).await;
    now.status(200).see(&format!("@{person}"));
    assert!(now.is_signed_in().await);
    then.visit("/user-profile/").await;
    then.status(200);
}

/// An app that was added then works now, and so does the way of whoever loses it.
async fn second_step(site: &Site, wrong: i64, person: &str) {
    site.app.clock.set_wrong_by(wrong);
    let mut visitor = site.visitor();
    visitor.sign_in(person, PASSWORD).await;
    let enrolled = Enrolled::with(site, person, visitor).await;
    enrolled.sign_in(site, person).await.see(&format!("@{person}"));
    let mut lost = enrolled.at_second_step(site, person).await;
    lost.post("/auth/two-factor/lost/", &[]).await;
    right_again(site).await;
    enrolled.sign_in(site, person).await.see(&format!("@{person}"));
    let mut lost = enrolled.at_second_step(site, person).await;
    lost.post("/auth/two-factor/lost/", &[]).await;
    lost.see("with just your password");
    site.wait(hours(72)).await;
    let mut back = site.visitor();
    back.sign_in(person, PASSWORD).await;
    back.status(200).see("Set up an authenticator app");
}

async fn reset(site: &Site, wrong: i64, person: &str) {
    let address = format!("{person}@example.org");
    let ask = async |visitor: &mut Visitor| {
        visitor.visit("/auth/forgot-password/").await;
        visitor.fill("Username or email address", person).press("Send the link").await;
    };
    let mut visitor = site.visitor();
    site.app.clock.set_wrong_by(wrong);
    ask(&mut visitor).await;
    link_to(site, &address).await;
    right_again(site).await;
    // The budget that was used up then holds nobody now.
    ask(&mut visitor).await;
    let link = link_to(site, &address).await;
    visitor.visit(&link).await;
    visitor.fill("New password", PASSWORD).fill("Repeat the new password", PASSWORD);
    visitor.press("Change password").await;
    visitor.sign_in(person, PASSWORD).await;
    visitor.status(200).see(&format!("@{person}"));
}

async fn link_to(site: &Site, address: &str) -> String {
    loop {
        let mail = site.mail_to(address).await;
        if mail.text.contains("/auth/reset-password/") {
            return mail.link("/auth/reset-password/");
        }
    }
}

async fn change_of_address(site: &Site, wrong: i64, person: &str) {
    let mut visitor = site.visitor();
    visitor.sign_in(person, PASSWORD).await;
    let new = format!("{person}.new@example.org");
    let begin = async |visitor: &mut Visitor| {
        visitor.visit("/user-profile/change-email/").await;
        visitor.fill("New email address", &new).fill("Current password", PASSWORD);
        visitor.press("Send the code").await;
    };
    site.app.clock.set_wrong_by(wrong);
    let mut then = site.visitor();
    then.sign_in(person, PASSWORD).await;
    begin(&mut then).await;
    then.status(200);
    site.mail_to(&new).await;
    right_again(site).await;
    let mut now = site.visitor();
    now.sign_in(person, PASSWORD).await;
    now.visit("/user-profile/change-email/").await;
    now.press("Send a new code").await;
    now.status(200);
    let code = site.code_to(&new).await;
    now.fill("Code", &code).press("Confirm").await;
    now.see("Your email address has been changed.");
}

async fn a_link_of_a_clock_that_was_ahead_works_for_no_longer_than_any(site: &Site) {
    let mut ann = site.member("annalee").await;
    site.app.clock.set_wrong_by(YEAR);
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    let link = link_to(site, "annalee@example.org").await;
    right_again(site).await;
    ann.visit(&link).await;
    ann.status(410);
    ann.post(&link, &[("password", OTHER_PASSWORD), ("confirm_password", OTHER_PASSWORD)]).await;
    ann.status(410);
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
    let link = link_to(site, "annalee@example.org").await;
    ann.visit(&link).await;
    ann.status(200);
}

/// An hour is less than an email is ever put off.
async fn an_email_of_a_clock_that_was_ahead_is_not_waited_for(site: &Site) {
    site.app.clock.set_wrong_by(HOUR);
    site.mail.be(Mood::Later("annalee@example.org"));
    site.visitor().sign_up("annalee", "annalee@example.org", PASSWORD).await;
    site.until("SELECT COUNT(*) FROM outbox WHERE tries > 0", 1).await;
    site.mail.be(Mood::Good);
    site.app.clock.set_wrong_by(0);
    site.app.wakeup.wake();
    site.code_to("annalee@example.org").await;
}

async fn an_address_that_changed_while_the_clock_was_ahead_keeps_its_owner_a_way_back(site: &Site) {
    let mut ann = site.member("annalee").await;
    let change = async |ann: &mut Visitor, address: &str| {
        ann.sign_in("annalee", PASSWORD).await;
        ann.visit("/user-profile/change-email/").await;
        ann.fill("New email address", address).fill("Current password", PASSWORD);
        ann.press("Send the code").await;
        let code = site.code_to(address).await;
        ann.fill("Code", &code).press("Confirm").await;
        ann.see("Your email address has been changed.");
    };
    site.app.clock.set_wrong_by(YEAR);
    change(&mut site.visitor(), "second@example.org").await;
    right_again(site).await;
    ann.press("Sign out").await;
    change(&mut site.visitor(), "third@example.org").await;
    loop {
        if site.mail_to("second@example.org").await.text.contains("/auth/undo-email/") {
            break;
        }
    }
}

/// What was written while the clock was wrong is swept away in its time and not before, and the admin pages show all of it.
async fn acts(site: &Site, wrong: i64, person: &str) {
    let chief_name = format!("c{person}");
    site.appoint(Role::Superuser, &chief_name).await;
    site.app.clock.set_wrong_by(wrong);
    housekeeping::sweep(&site.app).await.unwrap();
    right_again(site).await;
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", &chief_name, OTHER_PASSWORD).await;
    chief.status(200);
    for page in
        ["/admin/", "/admin/users/", "/admin/events/", "/admin/mails/", "/admin/codes/", "/admin/links/"]
    {
        chief.visit(page).await;
        assert!(chief.page().status == 200 || chief.page().status == 404, "{page}: {}", chief.page());
    }
    site.wait(seconds(1)).await;
    let mut visitor = site.visitor();
    visitor.sign_in(person, PASSWORD).await;
    visitor.status(200).see(&format!("@{person}"));
}
