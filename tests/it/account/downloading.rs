//! One's data in one file: everything that the database holds about a person, and nothing about anybody else.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use latchkey::identity::Role;

use crate::harness::{
    AtApplication, Enrolled, OTHER_PASSWORD, PASSWORD, Passkey, Site, Visitor, World, minutes, pictures, run,
};

/// The files in the answer, by name.
async fn files(visitor: &Visitor) -> BTreeMap<String, Vec<u8>> {
    let answer = visitor.posting("/user-profile/download/", &[]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zip");
    unpack(&answer.bytes().await.expect("a whole file"))
}

fn unpack(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("a ZIP");
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        files.insert(file.name().expect("a name").into_owned(), content);
    }
    files
}

/// Columns whose values are left out, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("users.password_hash", "a secret"),
    ("users.picture", "the file is there"),
    ("links.token_digest", "a secret"),
    ("verifications.code_digest", "a secret"),
    ("outbox.secret", "a secret"),
    ("app_sessions.state_digest", "a secret"),
    ("app_sessions.ticket_digest", "a secret"),
    ("app_sessions.token_digest", "a secret"),
    ("authenticators.sealed_key", "a secret"),
    ("authenticators.last_step", "a part of a secret"),
    ("passkeys.credential", "what a device proves itself by"),
    ("passkeys.credential_digest", "what a device is known by"),
    ("passkeys.answered_at", "a part of how it is checked"),
    ("recovery_codes.code_digest", "a secret"),
    ("trusted_devices.lane_digest", "a secret"),
    ("second_steps.next_path", "may hold a form, sealed"),
    ("verifications.next_path", "may hold a form, sealed"),
    ("passkeys.device_epoch", "a part of how it is checked"),
    ("events.actor_id", "about somebody else, or the person"),
    ("events.user_id", "about somebody else, or the person"),
    ("mail_budgets.asker", "about somebody else"),
    ("mail_budgets.email", "the address stands in the account"),
    ("mail_budgets.recent", "shown as times"),
];

/// Which rows of each table are about the person with that identifier; a new table must be named here.
fn rows_of(table: &str) -> Option<&'static str> {
    match table {
        "users" => Some("id = '{id}'"),
        "sessions" | "app_sessions" | "links" | "verifications" | "authenticators" | "passkeys"
        | "recovery_codes" | "second_steps" | "trusted_devices" => Some("user_id = '{id}'"),
        "events" => Some("(user_id = '{id}' AND actor_id IS NULL)"),
        // Mail to an address that the person wants and has not: whether there is one says whose it is.
        "outbox" => Some("(user_id = '{id}' AND kind <> 'confirm-new-email')"),
        "mail_budgets" => Some("email = 'annalee@example.org'"),
        _ => None,
    }
}

fn columns(world: World) -> &'static str {
    match world {
        World::Embedded | World::Redis => {
            "SELECT m.name || '.' || p.name || ' ' || p.type AS text FROM sqlite_master m JOIN pragma_table_info(m.name) p \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '__diesel%' AND m.name NOT LIKE 'users_search%'"
        }
        World::Postgres => {
            "SELECT table_name || '.' || column_name || ' ' || data_type AS text FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name NOT LIKE '__diesel%'"
        }
        #[cfg(feature = "mysql")]
        World::Mariadb => {
            "SELECT CONCAT(table_name, '.', column_name, ' ', data_type) AS text FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name NOT LIKE '__diesel%'"
        }
    }
}

/// Somebody about whom every table holds something, and the identifier.
async fn somebody(site: &Site) -> (Visitor, String) {
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann \"Lee\"").fill("Phone", "+49 30 1234567");
    ann.fill("About you", "Tea, ünïcode\nand more").press("Save").await;
    ann.visit("/user-profile/change-picture/").await;
    ann.choose_file("Picture", "me.png", "image/png", &pictures::png(64, 64)).press("Save").await;
    site.visitor().sign_in("annalee", "wrong password here").await;
    ann.post("/auth/forgot-password/", &[("username", "annalee")]).await;
    site.mail_to("annalee@example.org").await;
    for wanted in ["bobbob@example.org", "free@example.org"] {
        let fields = [("email", wanted), ("current_password", PASSWORD)];
        ann.post("/user-profile/change-email/", &fields).await;
    }
    AtApplication::new(site, "wiki.example.org").open(&mut ann, "/").await;
    let enrolled = Enrolled::with(site, "annalee", ann).await;
    let mut other = enrolled.at_second_step(site, "annalee").await;
    other.post("/auth/two-factor/", &[("code", &enrolled.app.code(site)), ("trust", "on")]).await;
    let mut ann = enrolled.visitor;
    Passkey::add(site, &mut ann, "Phone").await;
    while !site.mail_to("annalee@example.org").await.text.contains("The passkey “Phone” was added") {}
    let id = site.texts("SELECT id AS text FROM users WHERE username = 'annalee'").await.remove(0);
    (ann, id)
}

/// What the database holds about the person with that identifier, and `files` do not, by table and column.
async fn missing(site: &Site, world: World, id: &str, held: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut missing = Vec::new();
    for column in site.texts(columns(world)).await {
        let (column, kind) = column.split_once(' ').unwrap();
        let (table, name) = column.split_once('.').unwrap();
        let rows = rows_of(table).unwrap_or_else(|| panic!("the download must answer for the table {table}"));
        if LEFT_OUT.iter().any(|(left_out, _)| *left_out == column) {
            continue;
        }
        let Some(held) = held.get(name) else {
            missing.push(format!("{column} of the kind {kind}"));
            continue;
        };
        // Each database writes times in a way of its own.
        if ["time", "int", "bool"].iter().any(|word| kind.to_lowercase().contains(word)) {
            continue;
        }
        let rows = rows.replace("{id}", id);
        let query = format!("SELECT {name} AS text FROM {table} WHERE {rows} AND {name} IS NOT NULL");
        let values = site.texts(Box::leak(query.into_boxed_str())).await;
        missing.extend(
            values.iter().filter(|value| !held.contains(value)).map(|value| format!("{column}: {value}")),
        );
    }
    missing
}

#[test]
fn the_file_holds_all_that_the_database_does_and_nothing_about_anybody_else() {
    for world in World::ALL {
        run(*world, async |site: &Site| {
            site.member("bobbob").await;
            site.appoint(Role::Superuser, "keeper").await;
            let (mut ann, id) = somebody(site).await;
            let mut keeper = site.visitor();
            keeper.sign_in_at("/auth/sign-in/superuser/", "keeper", OTHER_PASSWORD).await;
            let edit = [("username", "annalee"), ("full_name", "Ann \"Lee\""), ("about", "Tea")];
            keeper.post(&format!("/admin/users/{id}/edit/"), &edit).await;
            let keepers_ip =
                site.texts("SELECT ip AS text FROM sessions WHERE kind = 'privileged'").await.remove(0);
            ann.visit("/user-profile/").await;
            site.wait(minutes(2)).await;
            site.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'", 0).await;

            let files = files(&ann).await;
            let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
            let names: Vec<&str> = files.keys().map(String::as_str).collect();
            let jsons = ["account.json", "acts.json", "emails.json", "events.json"];
            assert_eq!(
                names[..],
                ["README.txt", jsons[0], "activity.csv", jsons[1], jsons[2], jsons[3], "picture.jpg"]
            );
            let mut held = BTreeMap::new();
            for name in jsons {
                leaves(&serde_json::from_str(&text(name)).unwrap(), "", &mut held);
            }
            assert_eq!(held["format"], ["latchkey-account-1"]);
            let told = site.mail_to("annalee@example.org").await;
            assert!(told.text.contains("A copy of your data was downloaded"), "{}", told.text);
            site.sql("DELETE FROM outbox WHERE kind = 'data-downloaded'").await;
            assert_eq!(missing(site, *world, &id, &held).await, Vec::<String>::new());

            let everything: String =
                names.iter().filter(|name| **name != "picture.jpg").map(|name| text(name)).collect();
            let mut others = site.texts("SELECT id AS text FROM users WHERE username <> 'annalee'").await;
            others.extend(site.texts("SELECT token_digest AS text FROM links").await);
            others.extend([
                "keeper".to_owned(),
                keepers_ip,
                "v1$".to_owned(),
                "confirm-new-email".to_owned(),
            ]);
            for other in others {
                assert!(!everything.contains(&other), "{other} in {everything}");
            }
            assert!(text("activity.csv").contains("You signed up") && text("README.txt").contains("annalee"));
            assert!(image::load_from_memory(&files["picture.jpg"]).is_ok());
            assert_eq!(site.count("SELECT COUNT(*) FROM events WHERE kind = 'data-downloaded'").await, 1);
            // What staff did to others is theirs, and not whom.
            let acts = String::from_utf8(self::files(&keeper).await["acts.json"].clone()).unwrap();
            assert!(acts.contains("details-changed") && !acts.contains(&id), "{acts}");
        });
    }
}

/// Every value that stands somewhere under a name, by that name.
fn leaves(value: &serde_json::Value, name: &str, all: &mut BTreeMap<String, Vec<String>>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                leaves(value, name, all);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| leaves(value, name, all)),
        serde_json::Value::String(text) => all.entry(name.to_owned()).or_default().push(text.clone()),
        other => all.entry(name.to_owned()).or_default().push(other.to_string()),
    }
}

#[test]
fn a_download_needs_the_password_of_late_and_goes_on_by_itself_once_it_is_given() {
    run(World::Embedded, async |site: &Site| {
        let mut ann = site.member("annalee").await;
        site.wait(minutes(11)).await;
        ann.visit("/user-profile/").await;
        ann.follow("Download your data").await;
        ann.press("Download your data").await;
        ann.status(200).see("Confirm it's you").see("Download your data");
        ann.fill("Current password", PASSWORD);
        let (request, _) = ann.submission("Confirm");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/zip");
        assert!(unpack(&answer.bytes().await.unwrap()).contains_key("account.json"));
    });
}

#[test]
fn a_hundred_thousand_events_are_sent_without_being_held() {
    run(World::Embedded, async |site: &Site| {
        let ann = site.member("annalee").await;
        site.sql(
            "INSERT INTO events (id, at, kind, user_id, source, detail, was, became) \
             WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 100000) \
             SELECT printf('01900000-0000-7000-8000-%012d', n), datetime('2026-11-01', n || ' seconds'), 'sign-in-failed', \
               (SELECT id FROM users), '192.0.2.1', '', '', '' FROM c",
        )
        .await;
        let answer = ann.posting("/user-profile/download/", &[]).send().await.unwrap();
        assert!(answer.headers().get("content-length").is_none(), "sent while it is made");
        let files = unpack(&answer.bytes().await.unwrap());
        let events: Vec<serde_json::Value> = serde_json::from_slice(&files["events.json"]).unwrap();
        assert!(events.len() > 100_000, "{}", events.len());
    });
}
