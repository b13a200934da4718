//! What the log tells an operator: every refusal once, in a form that programs can read, and never a secret.

use std::collections::HashMap;
use std::process::Command;

use crate::harness::{MailServer, Program, free_port, program, run_alone};

/// The lines that a program logged while a story was told to it.
async fn logged(
    more: &[(&'static str, &str)],
    story: impl AsyncFnOnce(&reqwest::Client, &str),
) -> Vec<String> {
    let mail = MailServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut settings = HashMap::from([("RUST_LOG", "info,access=debug".to_owned())]);
    settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let mut program = Program::serve(folder.path(), port, &mail, &settings);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    story(&client, &format!("http://localhost:{port}")).await;
    program.kill();
    std::fs::read_to_string(folder.path().join("log")).unwrap().lines().map(str::to_owned).collect()
}

/// A form with these fields.
fn form(client: &reqwest::Client, url: String, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = serde_urlencoded::to_string(fields).unwrap();
    client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

fn line<'a>(lines: &'a [String], parts: &[&str]) -> &'a str {
    let mut found = lines.iter().filter(|line| parts.iter().all(|part| line.contains(part)));
    let first = found.next().unwrap_or_else(|| panic!("{parts:?} in {lines:#?}"));
    assert_eq!(found.next(), None, "told once");
    first
}

#[test]
fn each_refused_request_is_one_line_with_its_reason_and_the_name_that_the_proxy_gave_it() {
    run_alone(async || {
        let lines = logged(&[], async |client, site| {
            let get = |path: &str| client.get(format!("{site}{path}"));
            let answer =
                get("/").header("Host", "evil.example").header("X-Request-Id", "of-the-proxy-1").send();
            let answer = answer.await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["x-request-id"]),
                (400, &"of-the-proxy-1".parse().unwrap())
            );
            let cross =
                client.post(format!("{site}/auth/sign-out/")).header("Origin", "https://evil.example");
            assert_eq!(
                cross.header("X-Request-Id", "two\u{e9}").send().await.unwrap().status().as_u16(),
                403
            );
            let secret = "/auth/reset-password/0192/SECRET-IN-THE-PATH/";
            assert_eq!(
                get(secret).header("X-Request-Id", "three").send().await.unwrap().status().as_u16(),
                404
            );
            let empty =
                form(client, format!("{site}/auth/sign-in/user/"), &[("username", ""), ("password", "")]);
            assert_eq!(empty.header("X-Request-Id", "four").send().await.unwrap().status().as_u16(), 422);
            assert_eq!(get("/").send().await.unwrap().status().as_u16(), 200);
        })
        .await;
        let wrong_host = line(&lines, &["refused with 400", "of-the-proxy-1"]);
        assert!(wrong_host.contains("evil.example; PUBLIC_URL is http://localhost:"), "{wrong_host}");
        let cross = line(&lines, &["refused with 403"]);
        assert!(cross.contains("Origin is https://evil.example") && !cross.contains("two"), "{cross}");
        assert!(line(&lines, &["refused with 404", "three"]).contains("/auth/reset-password/{"));
        line(&lines, &["refused with 422", "four"]);
        assert_eq!(lines.iter().filter(|line| line.contains("access: ")).count(), 5);
        assert!(!lines.iter().any(|line| line.contains("SECRET-IN-THE-PATH")), "{lines:#?}");
    });
}

#[test]
fn a_forgotten_proxy_is_told_once_and_the_names_that_strangers_give_requests_are_not_taken() {
    run_alone(async || {
        let lines = logged(&[("TRUSTED_PROXIES", "192.0.2.1")], async |client, site| {
            for _ in 0..3 {
                let request = client.get(format!("{site}/")).header("X-Forwarded-For", "203.0.113.9");
                let answer = request.header("X-Request-Id", "made-up").send().await.unwrap();
                assert_ne!(answer.headers()["x-request-id"], "made-up");
            }
        })
        .await;
        line(&lines, &["127.0.0.1 sends X-Forwarded-For and is not in TRUSTED_PROXIES"]);
        assert!(!lines.iter().any(|line| line.contains("made-up")));
    });
}

#[test]
fn failed_sign_ins_are_lines_that_fail2ban_reads_and_events_are_objects() {
    run_alone(async || {
        let lines = logged(&[], async |client, site| {
            for (address, name) in
                [("203.0.113.9", "nobody1"), ("2001:db8::9", "a\nauth: sign-in failed from 192.0.2.1")]
            {
                let fields = [("username", name), ("password", "wrong password here")];
                let failing = form(client, format!("{site}/auth/sign-in/user/"), &fields);
                failing.header("X-Forwarded-For", address).send().await.unwrap();
            }
        })
        .await;
        let failed: Vec<_> = lines.iter().filter(|line| line.contains("sign-in failed from")).collect();
        assert_eq!(failed.len(), 2, "{lines:#?}");
        assert!(failed[0].ends_with("auth: sign-in failed from 203.0.113.9"), "{failed:?}");
        assert!(failed[1].ends_with("auth: sign-in failed from 2001:db8::9"), "{failed:?}");
        let event = line(&lines, &["audit: ", "203.0.113.9"]);
        let event = event.split_once("audit: ").unwrap().1;
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        assert_eq!((&event["event"], &event["source"]), (&"sign-in-failed".into(), &"203.0.113.9".into()));
        if let Some(fail2ban) = program("fail2ban-regex", "fail2ban") {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("log");
            std::fs::write(&log, lines.join("\n")).unwrap();
            let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/fail2ban/latchkey.conf");
            let output = Command::new(fail2ban).arg(&log).arg(filter).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("2 matched"), "{said}");
        }
    });
}

#[test]
fn an_outage_is_one_line_at_its_beginning_and_one_at_its_end() {
    run_alone(async || {
        let Some(mut server) = crate::harness::Postgres::start() else { return };
        server.execute("CREATE DATABASE accounts");
        let url = server.url("accounts");
        let lines = logged(&[("DATABASE_URL", &url)], async |client, site| {
            let ready = async || client.get(format!("{site}/readyz")).send().await.unwrap().status().as_u16();
            assert_eq!(ready().await, 200);
            server.stop();
            for _ in 0..6 {
                let forgot =
                    form(client, format!("{site}/auth/forgot-password/"), &[("username", "nobody1")]);
                assert_eq!(forgot.send().await.unwrap().status().as_u16(), 503);
            }
            server.go_on();
            let patience = std::time::Instant::now();
            while ready().await != 200 {
                assert!(patience.elapsed() < std::time::Duration::from_secs(60));
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        })
        .await;
        line(&lines, &["WARN  the database is unavailable:"]);
        line(&lines, &["INFO  the database is available again, after"]);
    });
}

#[test]
fn a_database_that_still_reads_is_not_told_to_be_back() {
    run_alone(async || {
        let Some(server) = crate::harness::Postgres::start() else { return };
        server.execute("CREATE DATABASE accounts");
        let set = |to: &str| {
            server.execute(&format!(
                "SET default_transaction_read_only = off; ALTER DATABASE accounts SET default_transaction_read_only = {to}; \
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'latchkey'"
            ));
        };
        let lines = logged(&[("DATABASE_URL", &server.url("accounts"))], async |client, site| {
            let ready = async || client.get(format!("{site}/readyz")).send().await.unwrap().status().as_u16();
            assert_eq!(ready().await, 200);
            set("on");
            // The courier looks into the outbox every two seconds, and finds that it can read it.
            let since = std::time::Instant::now();
            while since.elapsed() < std::time::Duration::from_secs(7) {
                ready().await;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
            set("off");
            let patience = std::time::Instant::now();
            while ready().await != 200 {
                assert!(patience.elapsed() < std::time::Duration::from_secs(60));
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        })
        .await;
        line(&lines, &["WARN  the database is unavailable:"]);
        line(&lines, &["INFO  the database is available again, after"]);
    });
}
