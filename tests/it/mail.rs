//! Mail: nothing that was promised is lost, nothing stale is sent, one bad address holds nobody up.

use std::collections::HashMap;
use std::time::Duration;

use crate::harness::{Mood, PASSWORD, Site, World, hours, minutes, run_alone, seconds};

fn embedded(story: impl AsyncFnOnce(&Site)) {
    crate::harness::run(World::Embedded, story);
}

async fn settle(site: &Site) {
    site.app.bell.ring();
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[test]
fn mail_waits_while_the_server_is_away_and_leaves_when_it_is_back() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Away);
        for number in 0..5 {
            let mut visitor = site.visitor();
            visitor.sign_up(&format!("person{number}"), &format!("p{number}@example.org"), PASSWORD).await;
            visitor.status(200);
        }
        settle(site).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'").await, 5);
        assert_eq!(
            site.count("SELECT SUM(tries) FROM outbox").await,
            0,
            "an absent server counts against no mail"
        );
        site.wait(minutes(2)).await;
        site.mail.be(Mood::Good);
        site.wait(seconds(31)).await;
        for number in 0..5 {
            site.mail_to(&format!("p{number}@example.org")).await;
        }
    });
}

#[test]
fn a_code_that_ran_out_is_dropped_and_told_in_the_trail() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Away);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        settle(site).await;
        site.wait(minutes(11)).await;
        site.mail.be(Mood::Good);
        settle(site).await;
        assert_eq!(site.mail.all_to("ann@example.org").len(), 0);
        assert_eq!(
            site.count("SELECT COUNT(*) FROM outbox WHERE state = 'expired' AND secret IS NULL").await,
            1
        );
        assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'mail-given-up'").await, 1);
    });
}

#[test]
fn one_bad_address_holds_nobody_up() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Later("later@example.org"));
        site.visitor().sign_up("laterson", "later@example.org", PASSWORD).await;
        for number in 0..5 {
            site.visitor()
                .sign_up(&format!("person{number}"), &format!("p{number}@example.org"), PASSWORD)
                .await;
            site.mail_to(&format!("p{number}@example.org")).await;
        }
        assert_eq!(site.count("SELECT tries FROM outbox WHERE recipient = 'later@example.org'").await, 1);
        site.wait(minutes(1)).await;
        settle(site).await;
        assert_eq!(site.count("SELECT tries FROM outbox WHERE recipient = 'later@example.org'").await, 2);
        site.mail.be(Mood::Good);
        site.wait(minutes(2)).await;
        site.mail_to("later@example.org").await;

        site.mail.be(Mood::Never("never@example.org"));
        site.visitor().sign_up("neverson", "never@example.org", PASSWORD).await;
        settle(site).await;
        let given_up = "SELECT COUNT(*) FROM outbox WHERE state = 'failed' AND secret IS NULL";
        assert_eq!(site.count(given_up).await, 1);
        site.wait(hours(1)).await;
        let offered = site.mail.attempts();
        settle(site).await;
        assert_eq!(site.mail.attempts(), offered, "it is not tried again");
    });
}

#[test]
fn a_mail_has_two_parts_and_nothing_from_elsewhere() {
    embedded(async |site: &Site| {
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        let mail = site.mail_to("ann@example.org").await;
        let code = mail.code();
        assert!(mail.text.contains(&format!("\n    {code}\n")), "{}", mail.text);
        assert!(mail.html.contains(&format!(">{code}</p>")), "the code can be selected as one piece");
        assert!(mail.text.contains("good for 10 minutes") && mail.html.contains("good for 10 minutes"));
        assert!(mail.text.contains("It was not you?"));
        assert!(!mail.html.contains("<img") && !mail.html.contains("<script") && !mail.html.contains("src="));
        assert!(mail.raw.contains("Auto-Submitted: auto-generated"));
        assert!(
            mail.message_id.ends_with("@localhost.invalid"),
            "made of the mail's own id: {}",
            mail.message_id
        );
        let expected = "Hello annalee,\n\nEnter this code to confirm your e-mail address and finish signing up:\n\n    CODE\n\nEnter the code:\nLINK\n\nThe code is good for 10 minutes. Only the newest one works.\n\nIt was not you? Then ignore this mail: without the code nothing happens, and the account goes away by itself. Never tell the code to anybody.\n\n-- \nLatchkey · SITE/";
        let link = format!("{}{}", site.url, mail.link("/auth/verify-otp/"));
        let seen = mail.text.replace(&code, "CODE").replace(&link, "LINK").replace(&site.url, "SITE");
        assert_eq!(seen.trim_end(), expected);
    });
}

#[test]
fn a_server_that_turns_everybody_away_costs_no_mail() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Closed);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        settle(site).await;
        assert!(site.mail.attempts() > 0);
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND tries = 0").await, 1);
        site.mail.be(Mood::Good);
        site.wait(seconds(31)).await;
        site.mail_to("ann@example.org").await;
    });
}

#[test]
fn secrets_are_erased_once_a_mail_is_sent() {
    embedded(async |site: &Site| {
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.mail_to("ann@example.org").await;
        settle(site).await;
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE secret IS NOT NULL").await, 0);
    });
}

#[test]
fn an_instance_without_a_courier_leaves_mail_to_others() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("COURIER", "off".to_owned())])).await;
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        settle(&site).await;
        assert_eq!(site.mail.attempts(), 0);
        let (folder, mail) = site.stop().await;
        let site = Site::start_in(folder, mail, HashMap::new()).await;
        site.mail_to("ann@example.org").await;
        site.stop().await;
    });
}
