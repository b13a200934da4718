//! What is kept: nothing in clear that must not be, and nothing lost that was acknowledged.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::commands::{latchkey, said};
use crate::harness::{
    MailServer, OTHER_PASSWORD, PASSWORD, Program, Site, Visitor, free_port, hours, minutes, run_alone,
};

/// Every byte that the database has on the disk.
fn everything_in(folder: &Path) -> Vec<u8> {
    ["db.sqlite3", "db.sqlite3-wal"]
        .iter()
        .flat_map(|name| std::fs::read(folder.join(name)).unwrap_or_default())
        .collect()
}

#[test]
fn neither_passwords_nor_links_can_be_read_in_the_database() {
    run_alone(async || {
        let site = Site::start(HashMap::new()).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/auth/forgot-password/").await;
        ann.fill("Username or email address", "annalee").press("Send the link").await;
        let link = site.mail_to("annalee@example.org").await.link("/auth/reset-password/");
        let token = link.trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        ann.change_password(PASSWORD, OTHER_PASSWORD).await;
        // What people type at the wrong door is nobody's business either.
        let typed: Vec<String> = (0..30).map(|number| format!("typed-by-mistake-{number}-x")).collect();
        for text in &typed {
            let mut visitor = site.visitor();
            visitor.visit("/auth/forgot-password/").await;
            visitor.fill("Username or email address", text).press("Send the link").await;
        }
        site.wait(minutes(1)).await;
        let (folder, _) = site.stop().await;
        while folder.path().join("db.sqlite3-wal").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let kept = everything_in(folder.path());
        let holds = |secret: &str| kept.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(holds("annalee@example.org"), "we look in the right place");
        for secret in [PASSWORD, OTHER_PASSWORD, &token].into_iter().chain(typed.iter().map(String::as_str)) {
            assert!(!holds(secret), "{secret} is in the database");
        }
    });
}

#[test]
fn no_line_of_the_log_holds_a_secret_however_much_it_tells() {
    run_alone(async || {
        let (folder, mail, port) = (tempfile::tempdir().unwrap(), MailServer::start().await, free_port());
        // The most that the program and what it is made of have to say.
        let settings = HashMap::from([("RUST_LOG", "trace".to_owned())]);
        let mut program = Program::serve(folder.path(), port, &mail, &settings);
        let visitor = || Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
        let mut ann = visitor();
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let path = ann.path().to_owned();
        let code = mail.next_to("ann@example.org").await.code();
        ann.fill("Code", &code).press("Confirm").await;
        ann.status(200);
        let cookie = ann.cookie("latchkey").unwrap().to_owned();
        ann.change_password(PASSWORD, OTHER_PASSWORD).await;
        let mut boss = visitor();
        let created = latchkey(
            folder.path(),
            &["create-superuser", "--username", "chief", "--email", "chief@example.org", "--password-stdin"],
            &[
                ("SECRET_KEY", &"k".repeat(64)),
                ("DATABASE_URL", "sqlite://db.sqlite3"),
                ("BCRYPT_COST", "4"),
                ("RUST_LOG", "trace"),
            ],
            "granite orchid lagoon",
        );
        boss.sign_in_at("/auth/sign-in/superuser/", "chief", "granite orchid lagoon").await;
        boss.visit("/admin/users/?q=annalee").await;
        boss.visit("/admin/users.csv").await;
        ann.visit("/auth/forgot-password/").await;
        ann.fill("Username or email address", "annalee").press("Send the link").await;
        mail.next_to("ann@example.org").await;
        let link = mail.next_to("ann@example.org").await.link("/auth/reset-password/");
        let mut other = visitor();
        other.visit(&link).await;
        other.status(200);
        other.visit("/auth/reset-password/x/y/").await;
        program.kill();
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap() + &said(&created);
        assert!(log.lines().count() > 50, "{log}");
        let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
        let secrets = [
            PASSWORD,
            OTHER_PASSWORD,
            "granite orchid lagoon",
            "granite+orchid",
            "violet+canyon",
            &code,
            &cookie,
            &last(&path),
            &last(&link),
            "v1$",
            "$2b$",
            &"k".repeat(64),
        ];
        for secret in secrets {
            let told = log.lines().find(|line| line.contains(secret));
            assert_eq!(told, None, "{secret}");
        }
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_its_mail_arrives_afterwards() {
    run_alone(async || {
        let folder = tempfile::tempdir().unwrap();
        let mail = MailServer::start().await;
        let mut acknowledged = Vec::new();
        for round in 0..3 {
            let port = free_port();
            let mut program = Program::serve(folder.path(), port, &mail, &HashMap::new());
            let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
            let burst: Vec<_> = (0..64)
                .map(|number| {
                    let tell = tell.clone();
                    actix_web::rt::spawn(async move {
                        let name = format!("person{round}-{number}");
                        let visitor = Visitor::new(
                            format!("http://localhost:{port}"),
                            format!("10.{round}.{number}.1"),
                        );
                        let form = [
                            ("username", name.as_str()),
                            ("email", &format!("{name}@example.org")),
                            ("password", PASSWORD),
                            ("confirm_password", PASSWORD),
                        ];
                        let answer = visitor.posting("/auth/sign-up/user/", &form).send().await;
                        if answer.is_ok_and(|answer| answer.status().as_u16() == 303) {
                            tell.send(name).expect("somebody listens");
                        }
                    })
                })
                .collect();
            // In the middle of the burst, when some have their answer and others do not.
            let mut count = 0;
            while count < 8 + 12 * round {
                acknowledged.push(told.recv().await.expect("an acknowledgement"));
                count += 1;
            }
            program.kill();
            for visitor in burst {
                visitor.await.unwrap();
            }
            drop(tell);
            while let Some(name) = told.recv().await {
                acknowledged.push(name);
            }
        }
        let mut program = Program::serve(folder.path(), free_port(), &mail, &HashMap::new());
        for name in &acknowledged {
            tokio::time::timeout(Duration::from_secs(60), arrived(&mail, name)).await.expect("its mail");
        }
        program.kill();
        let kept = everything_in(folder.path());
        for name in &acknowledged {
            assert!(kept.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{name} is kept");
        }
        assert!(acknowledged.len() >= 60, "{} acknowledged", acknowledged.len());
    });
}

async fn arrived(mail: &MailServer, name: &str) {
    while mail.all_to(&format!("{name}@example.org")).is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A new table must say on the privacy page what it is for, and what the page says is what happens.
#[test]
fn what_the_privacy_page_says_is_what_is_forgotten() {
    use latchkey::records::retention::Kept;
    run_alone(async || {
        let site = Site::start(HashMap::from([("EVENTS_KEEP_DAYS", "40".to_owned())])).await;
        let tables = "SELECT name AS text FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '__diesel%' AND name NOT LIKE 'users_search%'";
        for table in site.texts(tables).await {
            assert!(Kept::ALL.iter().any(|kept| kept.table() == table), "{table} stands nowhere");
        }
        let mut ann = site.visitor();
        ann.visit("/").await;
        ann.follow("What we keep about you").await;
        ann.status(200).see("40 days after it was created").see("30 days after it can no longer be used");
        ann.see("3 days after the link has expired")
            .see("3 days after it was created")
            .see("Until the account is deleted");
        let mut ann = site.member("annalee").await;
        site.visitor().sign_up("lateral", "late@example.org", PASSWORD).await;
        ann.visit("/auth/forgot-password/").await;
        ann.fill("Username or email address", "annalee").press("Send the link").await;
        site.until("SELECT COUNT(*) FROM links", 1).await;
        site.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'", 0).await;
        let left = async |table: &'static str| site.count(table).await;
        let day = hours(24);
        for (days, gone) in [
            (2, &["SELECT COUNT(*) FROM mail_budgets"][..]),
            (
                2,
                &[
                    "SELECT COUNT(*) FROM users WHERE verified_at IS NULL",
                    "SELECT COUNT(*) FROM verifications",
                    "SELECT COUNT(*) FROM links",
                ],
            ),
            (29, &["SELECT COUNT(*) FROM outbox", "SELECT COUNT(*) FROM sessions"]),
            (10, &["SELECT COUNT(*) FROM events"]),
        ] {
            for table in gone {
                assert!(left(table).await > 0, "{table} too early");
            }
            for _ in 0..days {
                site.wait(day).await;
                latchkey::housekeeping::sweep(&site.app).await.unwrap();
            }
            for table in gone {
                assert_eq!(left(table).await, 0, "{table}");
            }
        }
        assert_eq!(left("SELECT COUNT(*) FROM users").await, 1, "an account stays");
        site.stop().await;
    });
}
