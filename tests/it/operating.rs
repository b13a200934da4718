//! What an operator who errs is told, and that the process lives with its surroundings.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::commands::{key, latchkey, said};
use crate::harness::{PASSWORD, Site, free_port, program, run_alone, wait_for_port};

/// A command with settings that are no text.
fn with_bytes(folder: &Path, arguments: &[&str], name: &str, value: &[u8]) -> Output {
    use std::os::unix::ffi::OsStrExt;
    Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("SECRET_KEY", key())
        .env(name, std::ffi::OsStr::from_bytes(value))
        .output()
        .unwrap()
}

#[test]
fn a_setting_is_obeyed_or_refused_and_never_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |output: &Output, why: &str| {
        assert_eq!(output.status.code(), Some(1), "{}", said(output));
        assert!(said(output).contains(why), "{why} in {}", said(output));
    };
    for (name, value) in [
        ("PASSWORD_PEPPER", &b"pf\xe9ffer"[..]),
        ("EMAIL_HOST_PASSWORD", b"\xff"),
        ("SIGN_UP", b"closed\xe9"),
    ] {
        refused(&with_bytes(folder.path(), &["migrate"], name, value), &format!("{name} is not UTF-8"));
    }
    let key = key();
    for (name, value, why) in [
        ("DATABASE_URL", "sqlite://a.sqlite3?mode=rwc", "without options"),
        ("DATABASE_URL", "sqlite://:memory:", "in memory"),
        ("DATABASE_URL", "postgres://u:s3cret/part@h/n", "%2F"),
        ("ADMIN_NETWORKS", ",", "ADMIN_NETWORKS must be"),
        ("HSTS", "max-age=1;foo", "HSTS must be"),
        ("RUST_LOG", "loud", "RUST_LOG must be"),
        ("BIND", "127.0.0.1:0", "PUBLIC_URL must be given"),
        ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS must be"),
        ("HSTS", "yes please", "HSTS must be"),
        ("DEFAULT_FROM_EMAIL", "Accounts", "Name <no-reply@example.org>"),
        ("EMAIL_TLS_CA_FILE", "/nowhere.pem", "EMAIL_TLS_CA_FILE cannot be read"),
        ("LIMITS_SIGN_UP", "many", "LIMITS_SIGN_UP must be"),
    ] {
        let settings = [("SECRET_KEY", key.as_str()), (name, value)];
        refused(&latchkey(folder.path(), &["check"], &settings, ""), why);
    }
    let debug = [("SECRET_KEY", key.as_str()), ("DEBUG", "on"), ("BIND", "0.0.0.0:8000")];
    refused(&latchkey(folder.path(), &["check"], &debug, ""), "other machines can reach BIND");
    std::fs::write(folder.path().join(".env"), format!("SECRET_KEY={key}\nSIGNUP=closed\nTOTALLY_ELSE=1\n"))
        .unwrap();
    let output = latchkey(folder.path(), &["check"], &[], "");
    refused(&output, "SIGNUP in .env isn't a setting; did you mean SIGN_UP?");
    refused(&output, "TOTALLY_ELSE in .env isn't a setting");
    std::fs::write(folder.path().join(".env"), "A=b\nSECRET_KEY=a b\n").unwrap();
    refused(&latchkey(folder.path(), &["check"], &[], ""), ".env: line 2 cannot be read");
}

#[test]
fn what_is_allowed_and_unwise_is_told_by_check() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let env = folder.path().join(".env");
    std::fs::write(&env, format!("SECRET_KEY={}\nREDIS_URL=redis://127.0.0.1:1/0\n", key())).unwrap();
    std::fs::set_permissions(&env, std::fs::Permissions::from_mode(0o644)).unwrap();
    let settings = [
        ("REDIS_URL", ""),
        ("PUBLIC_URL", "https://accounts.example.org"),
        ("EMAIL_HOST", "192.0.2.1"),
        ("EMAIL_HOST_USER", "u"),
        ("EMAIL_HOST_PASSWORD", "p"),
        ("EMAIL_USE_TLS", "off"),
        ("EMAIL_BACKEND", "file"),
        ("SESSION_IDLE_SECONDS", "100000"),
        ("RATE_LIMIT", "off"),
        ("PATHS", "x"),
    ];
    let output = latchkey(folder.path(), &["check"], &settings, "");
    assert!(output.status.success(), "{}", said(&output));
    for told in [
        "SECRET_KEY repeats the same few characters",
        ".env can be read by other users",
        "TRUSTED_PROXIES is empty",
        "EMAIL_HOST_PASSWORD is sent unencrypted",
        "SESSION_IDLE_SECONDS is longer than",
        "RATE_LIMIT in the environment isn't a setting; did you mean RATE_LIMITS?",
        "ok      Redis: not used",
        "database: doesn't exist yet",
    ] {
        assert!(said(&output).contains(told), "{told} in {}", said(&output));
    }
    assert!(!said(&output).contains("PATHS"), "{}", said(&output));
    let everybody = [("TRUSTED_PROXIES", "0.0.0.0/0"), ("EMAIL_BACKEND", "file"), ("REDIS_URL", "")];
    let output = latchkey(folder.path(), &["check"], &everybody, "");
    assert!(said(&output).contains("TRUSTED_PROXIES covers a large part"), "{}", said(&output));
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "and nothing was made");
}

#[test]
fn what_cannot_be_written_ends_with_a_word_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("SECRET_KEY", key()), ("BCRYPT_COST", "4".to_owned())];
    let run = |arguments: &[&str], stdin: &str, out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.args(arguments).current_dir(folder.path()).env_clear().envs(settings.clone());
        let mut child = command.stdin(Stdio::piped()).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let nobody = run(&["user", "list"], "", Stdio::piped());
    assert!(said(&nobody).contains("there is no database yet") && nobody.status.code() == Some(1));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    // With the byte-order mark of some editors in front.
    let create =
        ["create-superuser", "--username", "boss", "--email", "boss@example.org", "--password-stdin"];
    let created = run(&create, &format!("\u{feff}{PASSWORD}\n"), Stdio::piped());
    assert!(created.status.success(), "{}", said(&created));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run(&["user", "list", "--json"], "", full.into());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("can't write to standard output"), "{}", said(&output));
    run_alone(async || {
        let url = format!("sqlite://{}", folder.path().join("latchkey.sqlite3").display());
        let site = Site::start(HashMap::from([("DATABASE_URL", url)])).await;
        let mut boss = site.visitor();
        boss.sign_in_at("/auth/sign-in/superuser/", "boss", PASSWORD).await;
        boss.status(200).see("Superuser 1");
        site.stop().await;
    });
}

#[test]
fn a_hang_up_ends_nothing_and_several_places_are_listened_on() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (free_port(), free_port());
    let socket = folder.path().join("http.sock");
    let bind = format!("127.0.0.1:{one},127.0.0.1:{other},unix:{}", socket.display());
    let mut child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .arg("serve")
        .current_dir(folder.path())
        .env_clear()
        .envs([("SECRET_KEY", key()), ("BIND", bind), ("EMAIL_BACKEND", "file".to_owned())])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for port in [one, other] {
        wait_for_port(port);
    }
    let id = child.id().to_string();
    let signal = |name: &str| Command::new("kill").args([name, &id]).status().unwrap();
    assert!(signal("-HUP").success());
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && child.try_wait().unwrap().is_none(), "{answer}");
    assert!(signal("-TERM").success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn systemd_is_told_when_we_answer_and_when_we_stop() {
    is_told("serve");
}

#[test]
fn systemd_is_told_of_a_courier_of_its_own_too() {
    is_told("courier");
}

/// Whether systemd is told that the program is there, goes on and stops.
fn is_told(command: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .arg(command)
        .current_dir(folder.path())
        .env_clear()
        .env("NOTIFY_SOCKET", &path)
        .envs([("SECRET_KEY", key()), ("BIND", format!("127.0.0.1:{}", free_port()))])
        .envs([("EMAIL_BACKEND", "file"), ("WATCHDOG_USEC", "1000000")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = || {
        let mut message = [0; 64];
        let length = systemd.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    };
    assert_eq!([told(), told(), told()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    while told() != "STOPPING=1" {}
    assert!(child.wait().unwrap().success());
}

#[test]
fn sockets_that_systemd_opened_are_served_in_place_of_bind() {
    let Some(activate) = program("systemd-socket-activate", "systemd") else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut child = Command::new(activate)
        .args(["-E", "SECRET_KEY", "-E", "EMAIL_BACKEND", "-E", "PUBLIC_URL", "-l"])
        .args([&format!("127.0.0.1:{port}"), env!("CARGO_BIN_EXE_latchkey"), "serve"])
        .current_dir(folder.path())
        .env_clear()
        .envs([("SECRET_KEY", key()), ("PUBLIC_URL", format!("http://localhost:{port}"))])
        .env("EMAIL_BACKEND", "file")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_port(port);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
}
