//! The commands, as an operator runs them.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::{MailServer, PASSWORD, Site, Visitor, World, free_port, run_alone};

pub fn latchkey(folder: &Path, arguments: &[&str], settings: &[(&str, &str)], typed: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(settings.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    program.stdin.take().expect("a pipe").write_all(typed.as_bytes()).expect("it listens");
    program.wait_with_output().expect("it ends")
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn key() -> String {
    "k".repeat(64)
}

#[test]
fn all_mistakes_of_the_settings_are_told_at_once_and_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("SECRET_KEY", "hunter2"), ("BIND", "hunter2"), ("EMAIL_BACKEND", "hunter2")];
    for command in ["serve", "migrate", "check"] {
        let output = latchkey(folder.path(), &[command], &settings, "");
        assert_eq!(output.status.code(), Some(1));
        for name in ["SECRET_KEY", "BIND", "EMAIL_BACKEND"] {
            assert!(said(&output).contains(name), "{}", said(&output));
        }
        assert!(!said(&output).contains("hunter2"), "{}", said(&output));
    }
    assert!(said(&latchkey(folder.path(), &["serve"], &[], "")).contains("SECRET_KEY isn't set"));
}

#[test]
fn settings_come_from_a_file_too_and_the_environment_outweighs_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), format!("SECRET_KEY='{}'\nDATABASE_URL=nonsense\n", key()))
        .unwrap();
    let output = latchkey(folder.path(), &["migrate"], &[], "");
    assert!(said(&output).contains("DATABASE_URL must look like"), "{}", said(&output));
    let output = latchkey(folder.path(), &["migrate"], &[("DATABASE_URL", "sqlite://here.sqlite3")], "");
    assert!(output.status.success(), "{}", said(&output));
    assert!(folder.path().join("here.sqlite3").exists());
    std::fs::write(folder.path().join("key"), key() + "\n").unwrap();
    let output = latchkey(
        folder.path(),
        &["migrate"],
        &[("SECRET_KEY_FILE", "key"), ("DATABASE_URL", "sqlite://b.sqlite3")],
        "",
    );
    assert!(output.status.success(), "{}", said(&output));
    std::fs::write(folder.path().join(".env"), "SECRET_KEY=\"hunter2\nx").unwrap();
    let output = latchkey(folder.path(), &["migrate"], &[], "");
    assert!(!output.status.success() && !said(&output).contains("hunter2"), "{}", said(&output));
}

#[test]
fn a_database_newer_than_the_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    let settings = [("SECRET_KEY", key.as_str())];
    assert!(latchkey(folder.path(), &["migrate"], &settings, "").status.success());
    assert!(said(&latchkey(folder.path(), &["migrate"], &settings, "")).contains("Migrations run: 0."));
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    let mut database = <diesel::sqlite::SqliteConnection as diesel::Connection>::establish(
        folder.path().join("latchkey.sqlite3").to_str().unwrap(),
    )
    .unwrap();
    diesel::RunQueryDsl::execute(diesel::sql_query(newer), &mut database).unwrap();
    let output = latchkey(folder.path(), &["migrate"], &settings, "");
    assert!(
        !output.status.success() && said(&output).contains("newer than this program"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_first_superuser_comes_from_the_command_line() {
    run_alone(async || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3").display().to_string();
        let (key, database) = (key(), format!("sqlite://{path}"));
        let settings =
            [("SECRET_KEY", key.as_str()), ("DATABASE_URL", database.as_str()), ("BCRYPT_COST", "4")];
        let create = |name: &str, address: &str, password: &str| {
            let arguments = ["create-superuser", "--username", name, "--email", address, "--password-stdin"];
            latchkey(folder.path(), &arguments, &settings, &format!("{password}\n"))
        };
        let weak = create("supervisor", "boss@example.org", "password");
        assert!(
            !weak.status.success() && said(&weak).contains("This password is too easy to guess"),
            "{}",
            said(&weak)
        );
        let made = create("supervisor", "boss@example.org", PASSWORD);
        assert!(made.status.success(), "{}", said(&made));
        assert!(said(&create("Supervisor", "other@example.org", PASSWORD)).contains("username is taken"));
        assert!(
            said(&create("another", "BOSS@example.org", PASSWORD)).contains("already has this email address")
        );

        let site = Site::start_in(folder, MailServer::start().await, HashMap::new()).await;
        let mut boss = site.visitor();
        boss.sign_in_at("/auth/sign-in/superuser/", "boss@example.org", PASSWORD).await;
        boss.status(200).see("Superuser 1");
        site.stop().await;
    });
}

#[test]
fn who_mistypes_at_the_command_line_is_asked_again() {
    let Some(script) = crate::harness::program("script", "bsdutils") else { return };
    let folder = tempfile::tempdir().unwrap();
    let line = format!("'{}' create-superuser", env!("CARGO_BIN_EXE_latchkey"));
    let mut terminal = Command::new(script)
        .args(["-qec", &line, "/dev/null"])
        .current_dir(folder.path())
        .env_clear()
        .envs([("SECRET_KEY", key()), ("BCRYPT_COST", "4".to_owned()), ("EMAIL_BACKEND", "file".to_owned())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut seen = String::new();
    let mut until = |question: &str, answer: &str| {
        let mut byte = [0];
        while !seen.ends_with(question) {
            assert_eq!(std::io::Read::read(&mut screen, &mut byte).unwrap(), 1, "{question} after {seen}");
            seen.push(char::from(byte[0]));
        }
        seen.clear();
        if !answer.is_empty() {
            std::io::Write::write_all(&mut keys, format!("{answer}\n").as_bytes()).unwrap();
        }
    };
    for (question, answer) in [
        ("Username: ", "!"),
        ("Username: ", "supervisor"),
        ("Email: ", "boss@"),
        ("Email: ", "boss@example.org"),
        ("Password: ", "password"),
        ("Repeat the password: ", "password"),
        ("easy to guess", ""),
        ("Password: ", PASSWORD),
        ("Repeat the password: ", PASSWORD),
        ("The superuser supervisor can sign in now.", ""),
    ] {
        until(question, answer);
    }
    drop(keys);
    assert!(terminal.wait().unwrap().success());
}

#[test]
fn check_tells_all_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("media"), "a file where a folder should be").unwrap();
    let (key, smtp, redis) = (key(), free_port().to_string(), format!("redis://127.0.0.1:{}", free_port()));
    let settings = [
        ("SECRET_KEY", key.as_str()),
        ("REDIS_URL", redis.as_str()),
        ("EMAIL_HOST", "127.0.0.1"),
        ("EMAIL_PORT", smtp.as_str()),
        ("EMAIL_USE_TLS", "off"),
        ("GEOIP_DATABASE", "media"),
    ];
    let output = latchkey(folder.path(), &["check"], &settings, "");
    assert_eq!(output.status.code(), Some(1));
    let parts = [
        "will be created at the first start",
        "FAILED  Redis",
        "FAILED  mail",
        "FAILED  pictures",
        "FAILED  places",
    ];
    for part in parts {
        assert!(said(&output).contains(part), "{part} in {}", said(&output));
    }
    let left = folder.path().read_dir().unwrap().count();
    assert_eq!(left, 1, "it makes nothing");
    std::fs::remove_file(folder.path().join("media")).unwrap();
    let good = [("SECRET_KEY", key.as_str()), ("EMAIL_BACKEND", "file")];
    assert!(latchkey(folder.path(), &["migrate"], &good, "").status.success());
    let output = latchkey(folder.path(), &["check"], &good, "");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_test_mail_arrives() {
    run_alone(async || {
        let mail = MailServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let (key, port) = (key(), mail.port.to_string());
        let send = tokio::task::spawn_blocking(move || {
            let settings = [
                ("SECRET_KEY", key.as_str()),
                ("EMAIL_HOST", "127.0.0.1"),
                ("EMAIL_PORT", port.as_str()),
                ("EMAIL_USE_TLS", "off"),
            ];
            latchkey(folder.path(), &["send-test-mail", "ann@example.org"], &settings, "")
        });
        let output = send.await.unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(mail.next_to("ann@example.org").await.subject, "A test email from Latchkey");
    });
}

#[test]
fn a_database_moves_to_any_other_and_everything_is_there() {
    let Some(postgres) = World::Postgres.sandbox() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    #[cfg(feature = "mysql")]
    let mariadb = World::Mariadb.sandbox();
    let mut places = vec![file("one.sqlite3"), postgres.settings["DATABASE_URL"].clone()];
    #[cfg(feature = "mysql")]
    places.extend(mariadb.as_ref().map(|sandbox| sandbox.settings["DATABASE_URL"].clone()));
    places.push(file("other.sqlite3"));
    let site_at = async |url: &String| Site::start(HashMap::from([("DATABASE_URL", url.clone())])).await;
    run_alone(async || {
        let site = site_at(&places[0]).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/update/").await;
        ann.fill("Name", "Änn \u{1f989} O'Lee").fill("About you", "Two\nlines").press("Save").await;
        // More than one batch.
        for _ in 0..1100 {
            site.sql("INSERT INTO mail_budgets SELECT 'a' || COUNT(*) || '@example.org', 'code', '', '1', created_at FROM users, mail_budgets").await;
        }
        site.stop().await;
    });
    for step in places.windows(2) {
        let output = latchkey(folder.path(), &["move-database", &step[0], &step[1]], &[], "");
        assert!(output.status.success(), "{}", said(&output));
        let again = latchkey(folder.path(), &["move-database", &step[0], &step[1]], &[], "");
        assert!(!again.status.success() && said(&again).contains("not empty"), "{}", said(&again));
    }
    run_alone(async || {
        for sandbox in &places {
            let site = site_at(sandbox).await;
            assert_eq!(site.count("SELECT COUNT(*) FROM mail_budgets").await, 1102);
            let mut ann = site.visitor();
            ann.sign_in("annalee", PASSWORD).await;
            ann.status(200).see("Änn \u{1f989} O'Lee").see("annalee@example.org");
            site.stop().await;
        }
    });
}

#[test]
fn dev_needs_no_file_no_service_and_no_question_and_stops_cleanly() {
    run_alone(async || {
        let folder = tempfile::tempdir().unwrap();
        // A production's settings lie around; they must not be used.
        std::fs::write(
            folder.path().join(".env"),
            "DATABASE_URL=postgres://production/accounts\nEMAIL_HOST=mail.example.org\n",
        )
        .unwrap();
        let port = free_port();
        let mut program = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .arg("dev")
            .current_dir(folder.path())
            .env_clear()
            .env("BIND", format!("127.0.0.1:{port}"))
            .env("BCRYPT_COST", "4")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        crate::harness::wait_for_port(port);
        let mut ann = Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
        ann.sign_up("annalee", "ann@example.org", PASSWORD).await;
        let code = loop {
            ann.visit("/dev/mail/").await;
            let text = ann.page().text();
            if let Some(at) = text.find(" is your Latchkey code") {
                break text[at - 6..at].to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        ann.sign_in("annalee", PASSWORD).await;
        ann.fill("Code", &code).press("Confirm").await;
        ann.see("Welcome!");
        let second = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .arg("dev")
            .current_dir(folder.path())
            .env_clear()
            .env("BIND", format!("127.0.0.1:{}", free_port()))
            .output()
            .unwrap();
        assert!(
            !second.status.success() && said(&second).contains("already running in this folder"),
            "{}",
            said(&second)
        );
        let stop = Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
        assert!(stop.success());
        let status = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            std::io::Read::read_to_string(program.stdout.as_mut().unwrap(), &mut said).unwrap();
            (program.wait().unwrap(), said)
        });
        let (status, said) = status.await.unwrap();
        assert_eq!(status.code(), Some(0));
        let password = said.split("password: ").nth(1).unwrap().split(' ').next().unwrap();
        assert!(password.len() >= 20, "{said}");
        assert!(
            folder.path().join("var/latchkey.sqlite3").exists() && folder.path().join("var/mails").exists()
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "all is kept in ./var");
    });
}
