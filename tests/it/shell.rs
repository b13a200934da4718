//! Managing accounts and mail from the command line.

use std::process::Output;

use latchkey::identity::Role;

use crate::commands::{latchkey, said};
use crate::harness::{Enrolled, OTHER_PASSWORD, PASSWORD, Sandbox, Site, World, run_alone};

/// The command over the database of a sandbox, while its site runs.
async fn run(sandbox: &Sandbox, line: &'static str) -> Output {
    let (url, key) = (sandbox.url(), "k".repeat(64));
    let run = move || {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<&str> = line.split('|').collect();
        let settings = [("SECRET_KEY", key.as_str()), ("DATABASE_URL", url.as_str()), ("BCRYPT_COST", "4")];
        latchkey(folder.path(), &arguments, &settings, "")
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[test]
fn the_command_line_does_what_the_pages_do_by_the_same_rules_and_with_the_same_events() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let site = sandbox.site().await;
            story(&site, &sandbox).await;
            site.stop().await;
        });
    }
}

async fn story(site: &Site, sandbox: &Sandbox) {
    site.appoint(Role::Superuser, "chief").await;
    let mut ann = site.member("annalee").await;
    let code = async |line: &'static str| run(sandbox, line).await.status.code().unwrap();

    let listed = run(sandbox, "user|list|--role|user|--json").await;
    let line: serde_json::Value = serde_json::from_str(said(&listed).lines().next().unwrap()).unwrap();
    assert_eq!((line["username"].as_str(), line["status"].as_str()), (Some("annalee"), Some("active")));
    assert_eq!(said(&run(sandbox, "user|list").await).lines().count(), 2);
    let shown = run(sandbox, "user|show|ANNALEE@example.org|--json").await;
    let shown: serde_json::Value = serde_json::from_str(&said(&shown)).unwrap();
    assert_eq!(shown["username"], "annalee");
    assert!(shown["last_seen"].as_str().unwrap().ends_with('Z'), "{shown}");
    assert!(!shown.to_string().contains("v1$"));

    assert_eq!(code("user|block|nobody|--reason|x").await, 3);
    assert_eq!(code("user|block|annalee").await, 2, "a reason is part of the call");
    assert_eq!(code("user|block|annalee|--reason| ").await, 4);
    assert_eq!(code("user|set-role|annalee|--role|king|--reason|x").await, 2);
    let refused = run(sandbox, "user|block|chief|--reason|x").await;
    assert_eq!(refused.status.code(), Some(4));
    assert!(said(&refused).contains("This is the last superuser who can sign in."), "{}", said(&refused));

    assert_eq!(code("user|end-sessions|annalee|--reason|x").await, 0);
    assert!(!ann.is_signed_in().await);
    assert_eq!(code("user|end-sessions|annalee|--reason|x").await, 4);
    assert_eq!(code("user|block|annalee|--reason|Sold parcels").await, 0);
    ann.sign_in("annalee", PASSWORD).await;
    ann.status(403).see("Sold parcels");
    assert_eq!(code("user|unblock|annalee").await, 0);
    assert_eq!(code("user|set-role|annalee|--role|merchant|--reason|Asked for it").await, 0);
    assert_eq!(code("user|verify|annalee").await, 4);
    assert_eq!(code("user|send-reset|annalee").await, 0);
    while site.mail_to("annalee@example.org").await.subject != "Choose a new password" {}
    ann.sign_in_at("/auth/sign-in/merchant/", "annalee", PASSWORD).await;
    ann.status(200);

    let mails = run(sandbox, "mail|list|--status|sent|--json").await;
    let mail: serde_json::Value = serde_json::from_str(said(&mails).lines().next().unwrap()).unwrap();
    assert_eq!(mail["mail"], "reset-password");
    assert_eq!(code("mail|retry|0192").await, 3);
    site.sql("UPDATE outbox SET state = 'failed', expires_at = NULL WHERE kind = 'role-changed'").await;
    let failed = run(sandbox, "mail|list|--status|failed|--json").await;
    let failed: serde_json::Value = serde_json::from_str(said(&failed).lines().next().unwrap()).unwrap();
    let id: &'static str = format!("mail|retry|{}", failed["id"].as_str().unwrap()).leak();
    assert_eq!(code(id).await, 0);
    assert_eq!(site.mail_to("annalee@example.org").await.subject, "Your role has changed");

    assert_eq!(code("user|delete|annalee|--reason|Gone").await, 0);
    let shown = run(sandbox, "user|show|annalee|--json").await;
    let shown: serde_json::Value = serde_json::from_str(said(&shown).trim()).unwrap();
    assert!(shown["status"] == "leaving" && shown["leaves"].is_string(), "{shown}");
    assert_eq!(code("user|delete|annalee|--reason|Gone").await, 4);
    assert_eq!(code("user|keep|annalee").await, 0);
    assert_eq!(code("user|keep|annalee").await, 4);
    assert_eq!(code("user|delete|annalee|--now|--reason|Gone").await, 0);
    assert_eq!(code("user|show|annalee").await, 3);
    // The last superuser who has lost their second step has this way.
    let mut chief = site.visitor();
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let mut chief = Enrolled::with(site, "chief", chief).await.visitor;
    let with = run(sandbox, "user|list|--two-factor|on|--json").await;
    assert!(
        said(&with).contains("\"chief\"") && said(&with).contains("\"two_factor\":\"on\""),
        "{}",
        said(&with)
    );
    assert_eq!(code("user|reset-two-factor|chief").await, 2, "a reason is part of the call");
    assert_eq!(code("user|reset-two-factor|chief|--reason|Phone lost").await, 0);
    assert_eq!(code("user|reset-two-factor|chief|--reason|Phone lost").await, 4);
    assert!(!chief.is_signed_in().await);
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    assert_eq!(chief.path(), "/admin/");
    assert_eq!(code("user|remind-two-factor|chief").await, 0);
    let events = "SELECT kind AS text FROM events WHERE source = 'command-line' ORDER BY at";
    let told = [
        "sessions-ended",
        "blocked",
        "unblocked",
        "role-changed",
        "reset-sent",
        "mail-retried",
        "deletion-asked",
        "deletion-cancelled",
        "account-removed",
        "two-factor-off",
        "two-factor-due",
    ];
    assert_eq!(site.texts(events).await, told);
}
