//! What `latchkey check` finds out about the applications and their proxies.

use std::collections::HashMap;
use std::process::Command;

use crate::harness::{MailServer, Program, Proxy, ProxyKind, TinyApplication, free_port, run_alone};

/// Runs `check` beside a server whose settings differ by `serving`, with a Caddy whose configuration is changed.
async fn check(
    kind: ProxyKind,
    serving: &[(&'static str, &str)],
    changes: &'static [(&'static str, &'static str)],
) -> Option<String> {
    let (folder, mail) = (tempfile::tempdir().unwrap(), MailServer::start().await);
    let (port, door) = (free_port(), free_port());
    let mut settings: HashMap<&'static str, String> = HashMap::from([
        ("SECRET_KEY", "0123456789abcdefghij".repeat(3)),
        ("BIND", format!("127.0.0.1:{port}")),
        ("PUBLIC_URL", format!("http://127.0.0.1:{port}")),
        ("APPS", format!("https://localhost:{door} user")),
        ("TRUSTED_PROXIES", "127.0.0.1".to_owned()),
        ("EMAIL_BACKEND", "console".to_owned()),
    ]);
    let application = TinyApplication::start().await;
    let proxy = Proxy::start_at(kind, "localhost", door, port, application.port, changes)?;
    let mut served = settings.clone();
    served.extend(serving.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let _program = Program::serve(folder.path(), port, &mail, &served);
    settings.insert("SSL_CERT_FILE", proxy.certificate());
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.arg("check").current_dir(folder.path()).env_clear().envs(settings);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.contains("application localhost"));
    Some(line.unwrap_or_else(|| panic!("{said}")).replace(&format!("localhost:{door}"), "localhost"))
}

#[test]
fn an_application_behind_its_proxy_is_fine_and_every_other_is_warned_about() {
    run_alone(async || {
        let Some(fine) = check(ProxyKind::Caddy, &[], &[]).await else { return };
        assert_eq!(fine, "ok      application localhost");
        for (serving, changes, expected) in [
            // The proxy is none of ours.
            (&[("TRUSTED_PROXIES", "192.0.2.1")][..], &[][..], "answers 403 Forbidden instead of sending"),
            // Another host than the one of the setting.
            (&[("APPS", "https://wiki.example.org user")], &[], "answers 403 Forbidden instead of sending"),
            // Nobody asks us.
            (
                &[],
                &[
                    ("forward_auth 127.0.0.1:8000", "reverse_proxy /nowhere 127.0.0.1:8000"),
                    ("uri /forward-auth", ""),
                    ("copy_headers Remote-User Remote-Id Remote-Email Remote-Name Remote-Groups", ""),
                ],
                "answers 200 OK without asking Latchkey",
            ),
            // We are away, as far as the proxy knows.
            (
                &[],
                &[("forward_auth 127.0.0.1:8000", "forward_auth 127.0.0.1:1")],
                "may not be reaching Latchkey",
            ),
            (&[], &[("request_header -Remote*", "")], "let headers like Remote_User through"),
            // It believes what visitors say.
            (
                &[],
                &[
                    ("request_header -X-Forwarded*", ""),
                    ("uri /forward-auth", "uri /forward-auth\n trusted_proxies private_ranges"),
                ],
                "its proxy seems to trust X-Forwarded-",
            ),
        ] {
            // Newer ones drop some headers by themselves.
            let said = check(ProxyKind::OldCaddy, serving, changes).await.expect("Caddy");
            assert!(
                said.starts_with("warning application localhost: ") && said.contains(expected),
                "{changes:?}: {said}"
            );
        }
    });
}
