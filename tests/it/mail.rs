//! Mail: nothing that was promised is lost, nothing stale is sent, one bad address holds nobody up.

use std::collections::HashMap;
use std::time::Instant;

use crate::commands::{latchkey, said};
use crate::harness::{Mood, Mta, PASSWORD, Site, World, hours, minutes, run_alone, seconds};

fn embedded(story: impl AsyncFnOnce(&Site)) {
    crate::harness::run(World::Embedded, story);
}

const WAITING: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'";
const GIVEN_UP: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'failed'";

/// Waits until the courier has tried to reach its server again.
async fn until_tried(site: &Site) {
    let before = site.mail.attempts();
    let patience = Instant::now() + minutes(1);
    while site.mail.attempts() == before {
        assert!(Instant::now() < patience, "the courier does not try");
        site.app.clock.advance(seconds(10));
        site.app.wakeup.wake();
        tokio::time::sleep(seconds(1) / 100).await;
    }
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
        for _ in 0..5 {
            site.wait(minutes(1)).await;
        }
        assert_eq!(site.count(WAITING).await, 5);
        site.mail.be(Mood::Good);
        site.wait(seconds(31)).await;
        for number in 0..5 {
            site.mail_to(&format!("p{number}@example.org")).await;
        }
        let tries = site.count("SELECT SUM(tries) FROM outbox").await;
        assert_eq!(tries, 0, "an absent server counts against no mail");
    });
}

#[test]
fn a_code_that_ran_out_is_dropped_and_reported_in_the_audit_log() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Away);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.wait(minutes(11)).await;
        site.mail.be(Mood::Good);
        site.app.wakeup.wake();
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'expired' AND secret IS NULL", 1).await;
        assert_eq!(site.mail.all_to("ann@example.org").len(), 0);
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
        site.until("SELECT tries FROM outbox WHERE recipient = 'later@example.org'", 1).await;
        site.wait(minutes(1)).await;
        site.until("SELECT tries FROM outbox WHERE recipient = 'later@example.org'", 2).await;
        site.mail.be(Mood::Good);
        site.wait(minutes(2)).await;
        site.mail_to("later@example.org").await;

        site.mail.be(Mood::Never("never@example.org"));
        site.visitor().sign_up("neverson", "never@example.org", PASSWORD).await;
        site.until(GIVEN_UP, 1).await;
        site.wait(hours(1)).await;
        // What comes after it leaves, and it does not.
        site.visitor().sign_up("afterson", "after@example.org", PASSWORD).await;
        site.mail_to("after@example.org").await;
        assert_eq!(site.count(GIVEN_UP).await, 1);
        assert_eq!(site.mail.all_to("never@example.org").len(), 0, "it is not tried again");
    });
}

#[test]
fn a_mail_that_is_put_off_again_and_again_is_given_up_in_the_end() {
    embedded(async |site: &Site| {
        site.member("annalee").await;
        site.wait(minutes(2)).await;
        site.mail.be(Mood::Later("annalee@example.org"));
        // A notice, which is worth sending whenever it can be.
        site.visitor().sign_up("another", "annalee@example.org", PASSWORD).await;
        let tries = "SELECT tries FROM outbox WHERE kind = 'account-exists'";
        for _ in 0..200 {
            if site.count(GIVEN_UP).await > 0 {
                break;
            }
            let before = site.count(tries).await;
            site.app.clock.advance(hours(1));
            site.app.wakeup.wake();
            let patience = Instant::now() + minutes(1);
            while site.count(tries).await == before && site.count(GIVEN_UP).await == 0 {
                assert!(Instant::now() < patience, "the courier does not try");
                tokio::time::sleep(seconds(1) / 100).await;
            }
        }
        assert_eq!(site.count(GIVEN_UP).await, 1);
        let count = site.count(tries).await;
        assert!((20..=40).contains(&count), "{count}");
        let noted = "SELECT COUNT(*) FROM events WHERE kind = 'mail-given-up' AND source = 'program'";
        assert_eq!(site.count(noted).await, 1);
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
        assert!(mail.text.contains("works for 10 minutes") && mail.html.contains("works for 10 minutes"));
        assert!(mail.text.contains("Didn't sign up?"));
        assert_eq!(mail.html.matches("src=").count(), 1, "{}", mail.html);
        assert!(mail.html.contains("<img src=\"cid:logo\" alt=\"\"") && !mail.html.contains("<script"));
        assert!(mail.raw.contains("Content-ID: <logo>"), "our key goes with it");
        assert!(mail.raw.contains("Auto-Submitted: auto-generated"));
        assert!(
            mail.message_id.ends_with("@localhost.invalid"),
            "made of the mail's own id: {}",
            mail.message_id
        );
        let expected = "Hello,\n\nEnter this code to confirm your email address and finish signing up:\n\n    CODE\n\nConfirm email address:\nLINK\n\nThe code works for 10 minutes. Only the newest code works.\n\nDidn't sign up? You can ignore this email. Without the code, the account can't be used and will be deleted. Never share this code.\n\n-- \nLatchkey · SITE/";
        let link = format!("{}{}", site.url, mail.link("/auth/verify-otp/"));
        let seen = mail.text.replace(&link, "LINK").replace(&code, "CODE").replace(&site.url, "SITE");
        assert_eq!(seen.trim_end(), expected);
    });
}

#[test]
fn a_server_that_turns_everybody_away_costs_no_mail() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Closed);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        until_tried(site).await;
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
        site.until("SELECT COUNT(*) FROM outbox WHERE secret IS NOT NULL", 0).await;
    });
}

#[test]
fn an_instance_without_a_courier_leaves_mail_to_others() {
    run_alone(async || {
        let site = Site::start(HashMap::from([("COURIER", "off".to_owned())])).await;
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        let (folder, mail) = site.stop().await;
        assert_eq!(mail.attempts(), 0);
        let site = Site::start_in(folder, mail, HashMap::new()).await;
        site.mail_to("ann@example.org").await;
        site.stop().await;
    });
}

#[test]
fn a_server_that_says_little_and_knows_helo_alone_gets_its_mail() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Terse);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.code_to("ann@example.org").await;
    });
}

#[test]
fn a_refusal_in_another_charset_is_a_refusal_and_holds_nobody_up() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::NeverInLatin1("never@example.org"));
        site.visitor().sign_up("neverson", "never@example.org", PASSWORD).await;
        site.until(GIVEN_UP, 1).await;
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.code_to("ann@example.org").await;
    });
}

#[test]
fn a_refusal_of_us_waits_and_costs_no_mail() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::RefusesUs);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        for _ in 0..3 {
            until_tried(site).await;
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND tries = 0").await, 1);
        site.mail.be(Mood::Good);
        site.wait(seconds(31)).await;
        site.code_to("ann@example.org").await;
    });
}

#[test]
fn the_same_refusal_about_people_of_three_domains_is_about_us_and_nothing_more_is_given_up() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::RefusesEverybody);
        for number in 0..5 {
            let address = format!("p@example{number}.org");
            site.visitor().sign_up(&format!("person{number}"), &address, PASSWORD).await;
            site.until("SELECT COUNT(*) FROM outbox WHERE tries = 0 AND state = 'waiting'", 0).await;
        }
        assert_eq!(site.count(GIVEN_UP).await, 2, "before it was known to be about us");
        assert_eq!(site.count(WAITING).await, 3);
        site.mail.be(Mood::Good);
        site.wait(minutes(2)).await;
        for number in 2..5 {
            site.code_to(&format!("p@example{number}.org")).await;
        }
    });
}

#[test]
fn a_mail_that_was_perhaps_taken_is_sent_once_more_and_then_counts_as_sent() {
    embedded(async |site: &Site| {
        site.mail.be(Mood::Silent);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE tries = 1", 1).await;
        site.app.clock.advance(minutes(3));
        site.app.wakeup.wake();
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
        assert_eq!(site.mail.all_to("ann@example.org").len(), 2);
        site.app.clock.advance(minutes(30));
        site.app.wakeup.wake();
        tokio::time::sleep(seconds(1)).await;
        assert_eq!(site.mail.all_to("ann@example.org").len(), 2);
    });
}

#[test]
fn what_the_server_said_is_kept_and_what_waits_can_be_read_by_nobody() {
    embedded(async |site: &Site| {
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.code_to("ann@example.org").await;
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
        let said = site.texts("SELECT trouble AS text FROM outbox").await;
        assert_eq!(said, ["ok queued as A1B2"]);
        site.mail.be(Mood::Away);
        site.wait(minutes(2)).await;
        let mut visitor = site.visitor();
        visitor.visit("/auth/forgot-password/").await;
        visitor.fill("Username or email address", "Typed-Into-The-Wrong-Field").press("Send the link").await;
        site.visitor().sign_up("bobbob", "bob@example.org", PASSWORD).await;
        let waiting = site.texts("SELECT secret AS text FROM outbox WHERE secret IS NOT NULL").await;
        assert!(!waiting.is_empty());
        for secret in &waiting {
            assert!(secret.len() >= 40, "sealed, and as long as its seal: {secret}");
        }
        for entry in std::fs::read_dir(site.folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
            let typed = b"typed-into-the-wrong-field";
            assert!(!bytes.windows(typed.len()).any(|window| window == typed), "in the database or its log");
        }
        site.mail.be(Mood::Good);
        site.wait(seconds(31)).await;
        site.code_to("bob@example.org").await;
    });
}

#[test]
fn a_slow_server_keeps_its_mail_to_itself() {
    run_alone(async || {
        let settings = HashMap::from([("EMAIL_HOST", "127.0.0.1".to_owned())]);
        let site = Site::start(settings).await;
        site.mail.be(Mood::Slow);
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
        assert_eq!(site.mail.all_to("ann@example.org").len(), 1, "though its lease ran out meanwhile");
        site.stop().await;
    });
}

#[test]
fn exim_takes_codes_refuses_who_is_not_there_and_knows_us_by_name_and_by_address() {
    if let Some(exim) = Mta::exim() {
        a_server_takes_codes_and_refuses_who_is_not_there(&exim, "OK id=", "No such person here");
    }
}

#[test]
fn postfix_takes_codes_over_tls_and_refuses_who_is_not_there() {
    if let Some(postfix) = Mta::postfix() {
        a_server_takes_codes_and_refuses_who_is_not_there(&postfix, "Ok: queued as ", "User unknown");
    }
}

#[test]
fn a_system_without_certificate_authorities_is_told_what_to_install() {
    let Some(postfix) = Mta::postfix() else { return };
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("nobody.pem");
    std::fs::write(&nobody, "").unwrap();
    let (key, port, nobody) = ("k".repeat(64), postfix.port.to_string(), nobody.display().to_string());
    let settings = [
        ("SECRET_KEY", key.as_str()),
        ("EMAIL_HOST", "localhost"),
        ("EMAIL_PORT", port.as_str()),
        ("EMAIL_USE_TLS", "on"),
        ("SSL_CERT_FILE", nobody.as_str()),
    ];
    let sent = latchkey(folder.path(), &["send-test-mail", "ann@example.org"], &settings, "");
    let said = said(&sent);
    assert!(
        !sent.status.success() && said.contains("install ca-certificates or set EMAIL_TLS_CA_FILE"),
        "{said}"
    );
}

/// What a person and an operator see with a server of that kind: `taken` and `refused` are what it says.
fn a_server_takes_codes_and_refuses_who_is_not_there(server: &Mta, taken: &str, refused: &str) {
    let port = server.port.to_string();
    let mut mail = vec![("EMAIL_HOST", "[127.0.0.1]".to_owned()), ("EMAIL_PORT", port)];
    match &server.certificate {
        Some(certificate) => mail.extend([
            ("EMAIL_USE_TLS", "on".to_owned()),
            ("EMAIL_TLS_CA_FILE", certificate.display().to_string()),
        ]),
        None => mail.push(("EMAIL_USE_TLS", "off".to_owned())),
    }
    run_alone(async || {
        let site = Site::start(mail.iter().cloned().collect()).await;
        site.visitor().sign_up("annalee", "ann@example.org", PASSWORD).await;
        site.visitor().sign_up("nobodyson", "nobody@example.org", PASSWORD).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'failed'", 1).await;
        let answers = site.texts("SELECT trouble AS text FROM outbox ORDER BY state DESC").await;
        assert!(answers[0].contains(taken) && answers[1].contains(refused), "{answers:?}");
        until_mails(server, |mails| mails.contains("is your Latchkey code"));
        site.stop().await;
    });
    let folder = tempfile::tempdir().unwrap();
    let key = "k".repeat(64);
    for url in ["https://192.0.2.10", "https://[2001:db8::1]", "https://accounts.example.org"] {
        let own = [
            ("SECRET_KEY", key.as_str()),
            ("PUBLIC_URL", url),
            ("DEFAULT_FROM_EMAIL", "Our Accounts <no-reply@example.org>"),
        ];
        let settings: Vec<(&str, &str)> =
            own.into_iter().chain(mail.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        let sent = latchkey(folder.path(), &["send-test-mail", "ann@example.org"], &settings, "");
        let said = said(&sent);
        assert!(said.contains("The mail server said: ") && said.contains(taken), "{url}: {said}");
    }
    until_mails(server, |mails| {
        mails.matches("From: \"Our Accounts\"").count() + mails.matches("From: Our Accounts").count() == 3
    });
}

fn until_mails(server: &Mta, is_right: impl Fn(&str) -> bool) {
    let patience = Instant::now();
    while !is_right(&server.mails()) {
        assert!(patience.elapsed() < minutes(1), "{}", server.mails());
        std::thread::yield_now();
    }
}

#[test]
fn what_was_asked_for_before_the_key_was_changed_is_given_up_and_told() {
    run_alone(async || {
        let without_courier = HashMap::from([("COURIER", "off".to_owned())]);
        let site = Site::start(without_courier).await;
        let mut ann = site.visitor();
        ann.visit("/auth/forgot-password/").await;
        ann.fill("Username or email address", "annalee").press("Send the link").await;
        ann.status(200);
        let (folder, mail) = site.stop().await;
        let other_key = HashMap::from([("SECRET_KEY", "x".repeat(64))]);
        let site = Site::start_in(folder, mail, other_key).await;
        site.until(WAITING, 0).await;
        let told = site.texts("SELECT trouble AS text FROM outbox WHERE state = 'failed'").await;
        assert!(told.len() == 1 && told[0].contains("another SECRET_KEY"), "{told:?}");
        site.stop().await;
    });
}
