//! What happened to an account, as its person sees it.

use reqwest::Method;

use crate::admin::{open, superuser};
use crate::harness::{OTHER_PASSWORD, PASSWORD, Site, hours, stories};

stories! {
    a_person_sees_what_they_did_what_others_tried_and_what_staff_did_and_why,
    each_part_can_be_looked_at_alone_and_page_by_page,
    nobody_sees_what_is_about_others_and_nothing_is_older_than_ninety_days,
    it_can_be_saved_as_a_file_that_no_spreadsheet_calculates,
}

async fn a_person_sees_what_they_did_what_others_tried_and_what_staff_did_and_why(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut chief = superuser(site).await;
    site.visitor().sign_in("annalee", "not the password").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Username", "annabel").fill("Name", "Ann Lee").press("Save").await;
    let person = open(&mut chief, "annabel").await;
    chief.post(&format!("{person}role/"), &[("role", "merchant"), ("reason", "Sells <honey> now.")]).await;
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your role has changed");
    ann.sign_in_at("/auth/sign-in/merchant/", "annabel", PASSWORD).await;
    ann.follow("Activity").await;
    ann.status(200).see("An administrator changed your role to Merchant “Sells <honey> now.”");
    ann.see("You changed your details username “annalee” username “annabel” Name");
    ann.see("Someone tried to sign in with a wrong password").see("You signed in");
    ann.see("You confirmed your email address").see("You signed up");
    ann.see("We sent you an email: Sign-up code annalee@example.org");
    ann.see("We sent you an email: Role changed");
    // Who of the staff it was, and from where, is theirs.
    assert!(!ann.page().sees("chief") && !ann.page().body.contains("<honey>"), "{}", ann.page());
}

async fn each_part_can_be_looked_at_alone_and_page_by_page(site: &Site) {
    let mut ann = site.member("annalee").await;
    for number in 0..60 {
        let name = format!("Ann {number}");
        ann.post("/user-profile/update/", &[("username", "annalee"), ("full_name", &name)]).await;
    }
    ann.visit("/user-profile/activity/").await;
    let on_page = |page: &str| page.matches("You changed your details").count();
    let first = on_page(&ann.page().body);
    assert!(!ann.page().sees("First page"));
    ann.follow("Next page").await;
    let second = on_page(&ann.page().body);
    assert_eq!(first + second, 60, "each is on one page");
    ann.see("You signed up").see("We sent you an email:");
    assert!(!ann.page().sees("Next page"));
    ann.follow("First page").await;
    ann.follow("Emails").await;
    ann.see("We sent you an email:");
    assert!(!ann.page().sees("You signed up") && !ann.page().sees("You changed your details"));
    ann.follow("Signing in").await;
    assert!(!ann.page().sees("You signed up") && !ann.page().sees("We sent you an email"));
    ann.follow("By administrators").await;
    ann.see("No activity of this kind in the last 90 days.");
    ann.visit("/user-profile/activity/?show=nonsense").await;
    ann.status(400);
    ann.visit("/user-profile/activity/?after=nonsense").await;
    ann.status(400);
}

async fn nobody_sees_what_is_about_others_and_nothing_is_older_than_ninety_days(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut bob = site.member("bobbob").await;
    ann.change_password(PASSWORD, OTHER_PASSWORD).await;
    bob.visit("/user-profile/activity/").await;
    assert!(!bob.page().sees("You changed your password") && !bob.page().sees("annalee"), "{}", bob.page());
    site.wait(hours(24 * 91)).await;
    ann.sign_in("annalee", OTHER_PASSWORD).await;
    ann.visit("/user-profile/activity/").await;
    ann.see("You signed in");
    assert!(!ann.page().sees("You changed your password") && !ann.page().sees("We sent you an email"));
}

async fn it_can_be_saved_as_a_file_that_no_spreadsheet_calculates(site: &Site) {
    let mut ann = site.member("annalee").await;
    let mut chief = superuser(site).await;
    let person = open(&mut chief, "annalee").await;
    chief.post(&format!("{person}block/"), &[("reason", "=HYPERLINK(\"http://x\";1)")]).await;
    chief.post(&format!("{person}unblock/"), &[]).await;
    ann.sign_in("annalee", PASSWORD).await;
    for number in 0..120 {
        let name = format!("Ann {number}");
        ann.post("/user-profile/update/", &[("username", "annalee"), ("full_name", &name)]).await;
    }
    ann.visit("/user-profile/activity/").await;
    assert!(ann.page().body.contains("href=\"/user-profile/activity.csv\""));
    let answer = ann.request(Method::GET, "/user-profile/activity.csv").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("\"time\",\"what\",\"reason\",\"detail\",\"change\",\"from\"\r\n"), "{text}");
    assert_eq!(text.matches("You changed your details").count(), 120, "all pages of it");
    assert!(text.contains("\"An administrator blocked your account\",\"'=HYPERLINK"), "{text}");
    let times: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "the newest first, each once");
    let part = ann.request(Method::GET, "/user-profile/activity.csv?show=staff").send().await.unwrap();
    assert_eq!(part.text().await.unwrap().lines().count(), 3);
}
