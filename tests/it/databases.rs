//! Databases: migrated once however many start, given back as they were, and what people see while one is away.

use std::collections::HashMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use latchkey::config::Config;
use latchkey::db::Db;
use reqwest::Method;

#[cfg(feature = "mysql")]
use crate::harness::Mariadb;
use crate::harness::{PASSWORD, Place, Postgres, Site, Visitor, World, at_once, run_alone};

/// The database of a place, as a program opens it.
fn open(place: &Place) -> Db {
    let lookup = |name: &str| match name {
        "SECRET_KEY" => Some("k".repeat(64)),
        _ => place.settings.get(name).cloned(),
    };
    Db::open(&Config::from_lookup(&lookup).expect("settings").database)
}

#[test]
fn of_four_programs_that_start_at_once_one_migrates_and_the_others_wait() {
    for world in World::ALL {
        let Some(mut place) = world.place() else { continue };
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}", folder.path().join("db.sqlite3").display());
        place.settings.entry("DATABASE_URL").or_insert(file);
        let (programs, start) = ([(); 4].map(|()| open(&place)), Barrier::new(4));
        let ran: Vec<usize> = std::thread::scope(|scope| {
            let migrate = |db: &Db| {
                start.wait();
                db.migrate().expect("a database up to date")
            };
            let running: Vec<_> = programs.iter().map(|db| scope.spawn(move || migrate(db))).collect();
            running.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(ran.iter().sum::<usize>(), ran.iter().copied().max().unwrap(), "{world:?}: {ran:?}");
        assert!(ran.iter().sum::<usize>() >= 1, "{world:?}");
    }
}

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
#[cfg(feature = "mysql")]
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// Up, down, and up again, with nothing left over in between.
fn there_and_back<C, DB>(conn: &mut C, migrations: fn() -> EmbeddedMigrations)
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let up = conn.run_pending_migrations(migrations()).expect("up").len();
    assert_eq!(conn.revert_all_migrations(migrations()).expect("down").len(), up);
    assert_eq!(conn.run_pending_migrations(migrations()).expect("up again").len(), up);
}

#[test]
fn every_migration_can_be_taken_back() {
    let mut sqlite = <diesel::SqliteConnection as diesel::Connection>::establish(":memory:").unwrap();
    there_and_back(&mut sqlite, || SQLITE);
    if let Some(place) = World::Postgres.place() {
        let url = &place.settings["DATABASE_URL"];
        let mut postgres = <diesel::PgConnection as diesel::Connection>::establish(url).unwrap();
        there_and_back(&mut postgres, || POSTGRES);
    }
    #[cfg(feature = "mysql")]
    if let Some(place) = World::Mariadb.place() {
        let url = &place.settings["DATABASE_URL"];
        let mut mariadb = <diesel::MysqlConnection as diesel::Connection>::establish(url).unwrap();
        there_and_back(&mut mariadb, || MYSQL);
    }
}

#[test]
fn postgres_over_tls_is_trusted_by_its_certificate() {
    let Some(server) = Postgres::start_with_tls() else { return };
    server.execute("CREATE DATABASE accounts");
    let folder = tempfile::tempdir().unwrap();
    let migrate = |host: &str, query: &str| {
        let url = format!("postgres://latchkey@{host}:{}/accounts?{query}", server.port());
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .arg("migrate")
            .current_dir(folder.path())
            .env_clear()
            .env("SECRET_KEY", "k".repeat(64))
            .env("DATABASE_URL", url)
            .output()
            .unwrap();
        output.status.success()
    };
    assert!(migrate("127.0.0.1", "sslmode=require"));
    let trusted = format!("sslmode=verify-full&sslrootcert={}", server.certificate());
    assert!(migrate("localhost", &trusted));
    assert!(!migrate("localhost", "sslmode=verify-full&sslrootcert=/dev/null"), "nobody vouches for it");
}

/// Status, time, and whether it says when to come back.
async fn look(visitor: &Visitor, path: &str) -> (u16, Duration, bool) {
    let started = Instant::now();
    let answer = visitor.request(Method::GET, path).send().await.unwrap();
    (answer.status().as_u16(), started.elapsed(), answer.headers().contains_key("retry-after"))
}

/// What people see while the server is away and after it came back.
async fn through_an_outage(url: String, stop: &mut dyn FnMut(), go_on: &mut dyn FnMut()) {
    let site = Site::start(HashMap::from([("DATABASE_URL", url)])).await;
    let mut ann = site.member("annalee").await;
    stop();
    for _ in 0..3 {
        assert_eq!(look(&ann, "/healthz").await.0, 200);
        assert_eq!(look(&site.visitor(), "/").await.0, 200);
        let (status, took, says_when) = look(&ann, "/user-profile/").await;
        assert_eq!((status, says_when), (503, true));
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
    assert_eq!(look(&ann, "/readyz").await.0, 503);
    let mut bob = site.visitor();
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(503).see("Nothing of yours is lost.");
    go_on();
    let back = Instant::now();
    while !ann.is_signed_in().await {
        assert!(back.elapsed() < Duration::from_secs(10), "still away after {:?}", back.elapsed());
    }
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(200);
    site.code_to("bob@example.org").await;
    site.stop().await;
}

#[test]
fn a_postgres_that_restarts_is_found_again() {
    let Some(mut server) = Postgres::start() else { return };
    let server = std::cell::RefCell::new(&mut server);
    server.borrow().execute("CREATE DATABASE accounts");
    let url = server.borrow().url("accounts");
    run_alone(async || {
        through_an_outage(url.clone(), &mut || server.borrow_mut().stop(), &mut || {
            server.borrow_mut().go_on();
        })
        .await;
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_mariadb_that_restarts_is_found_again() {
    let Some(mut server) = Mariadb::start() else { return };
    let server = std::cell::RefCell::new(&mut server);
    server.borrow().execute("CREATE DATABASE accounts");
    let url = server.borrow().url("accounts");
    run_alone(async || {
        through_an_outage(url.clone(), &mut || server.borrow_mut().stop(), &mut || {
            server.borrow_mut().go_on();
        })
        .await;
    });
}

/// Somebody holds a lock that every sign-up needs, and lets go of it later.
async fn while_locked(site: &Site, lock: &str, conn: &mut impl SimpleConnection, unlock: &str) {
    let mut ann = site.member("annalee").await;
    conn.batch_execute(lock).unwrap();
    let started = Instant::now();
    let mut bob = site.visitor();
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(503);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(look(&ann, "/healthz").await.0, 200);
    conn.batch_execute(unlock).unwrap();
    // What was refused did not happen later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(site.count("SELECT COUNT(*) FROM users").await, 1);
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(200);
    assert!(ann.is_signed_in().await);
}

#[test]
fn a_lock_that_somebody_holds_is_waited_for_and_then_told() {
    crate::harness::run(World::Embedded, async |site: &Site| {
        let file = site.folder.path().join("db.sqlite3");
        let mut conn =
            <diesel::SqliteConnection as diesel::Connection>::establish(file.to_str().unwrap()).unwrap();
        while_locked(site, "BEGIN IMMEDIATE", &mut conn, "ROLLBACK").await;
    });
    let Some(place) = World::Postgres.place() else { return };
    run_alone(async || {
        let site = Site::start(place.settings.clone()).await;
        let mut conn =
            <diesel::PgConnection as diesel::Connection>::establish(&place.settings["DATABASE_URL"]).unwrap();
        while_locked(&site, "BEGIN; LOCK TABLE users IN EXCLUSIVE MODE", &mut conn, "ROLLBACK").await;
        site.stop().await;
    });
}

#[test]
fn three_hundred_writers_share_two_connections() {
    for world in World::ALL {
        let Some(place) = world.place() else { continue };
        run_alone(async || {
            let mut settings = place.settings.clone();
            settings.insert("DATABASE_POOL_SIZE", "2".to_owned());
            let site = Site::start(settings).await;
            let form = |number: u32| format!("username=person{number}");
            let asks = (0..300).map(|number| {
                let request = site.visitor().request(Method::POST, "/auth/forgot-password/");
                request.header("Content-Type", "application/x-www-form-urlencoded").body(form(number))
            });
            let answers = at_once(asks.collect::<Vec<_>>()).await;
            assert!(
                answers.iter().all(|answer| matches!(answer.status, 303 | 503)),
                "{world:?}: {answers:?}"
            );
            let accepted = answers.iter().filter(|answer| answer.status == 303).count();
            let kept = site.count("SELECT COUNT(*) FROM outbox").await;
            assert_eq!(
                kept,
                i64::try_from(accepted).unwrap(),
                "{world:?}: what was acknowledged is there, and nothing else"
            );
            site.stop().await;
        });
    }
}

/// A hundred thousand people, each with a mail that was sent and a sign-in that ended. `text` makes a text of a number,
/// `numbers` gives a hundred thousand of them.
fn crowd(text: impl Fn(&str) -> String, number: &str, numbers: &str) -> String {
    let (id, name, mail) = (text("id"), text("p"), text("@"));
    let at = "'2026-11-01 00:00:00'";
    // The mails and sign-ins are recent enough for housekeeping to keep them.
    let soon = "'2099-01-01 00:00:00'";
    format!(
        "INSERT INTO users (id, username, username_canon, email, email_canon, password_hash, role, verified_at, full_name, \
           phone, about, created_at, password_changed_at) \
         SELECT {id}, {name}, {name}, {mail}, {mail}, 'v1$', 'user', {at}, '', '', '', {at}, {at} FROM {numbers}; \
         INSERT INTO sign_ins (id, user_id, kind, generation, device, address, created_at, last_seen_at, confirmed_at, \
           idle_ends_at, absolute_ends_at, ended_at) \
         SELECT {id}, {id}, 'normal', 1, '', '', {at}, {at}, {at}, {soon}, {soon}, {at} FROM {numbers}; \
         INSERT INTO outbox (id, kind, user_id, recipient, fields, state, tries, created_at, due_at, ended_at) \
         SELECT {id}, 'test', {id}, {mail}, '{{}}', 'sent', {number} - {number}, {soon}, {at}, {at} FROM {numbers}"
    )
}

/// Signs up, signs in, looks around, recovers, changes things: every query of every page, and those of the courier and of
/// housekeeping.
async fn look_around(settings: HashMap<&'static str, String>) {
    let site = Site::start(settings).await;
    latchkey::housekeeping::sweep(&site.app).await.unwrap();
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").press("Save").await;
    ann.press("Sign out").await;
    ann.sign_in("annalee@example.org", PASSWORD).await;
    ann.visit("/user-profile/change-email/").await;
    ann.fill("New e-mail", "lee@example.org").fill("Current password", PASSWORD).press("Send the code").await;
    let code = site.code_to("lee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or e-mail", "annalee").press("Send the link").await;
    site.mail_to("lee@example.org").await;
    site.stop().await;
}

#[test]
fn a_hundred_thousand_people_are_never_read_from_end_to_end_on_postgres() {
    #[derive(diesel::QueryableByName)]
    struct Read {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let Some(place) = World::Postgres.place() else { return };
    open(&place).migrate().unwrap();
    let url = &place.settings["DATABASE_URL"];
    let mut conn = <diesel::PgConnection as diesel::Connection>::establish(url).unwrap();
    let text = |what: &str| match what {
        "id" => "lpad(n::text, 36, '0')".to_owned(),
        "p" => "'p' || n".to_owned(),
        _ => "'p' || n || '@example.org'".to_owned(),
    };
    conn.batch_execute(&crowd(text, "n", "generate_series(1, 100000) AS n")).unwrap();
    conn.batch_execute("ANALYZE").unwrap();
    let mut read = || -> i64 {
        let query = "SELECT COALESCE(SUM(seq_tup_read), 0)::bigint AS rows FROM pg_stat_user_tables \
                     WHERE relname IN ('users', 'sign_ins', 'outbox')";
        conn.batch_execute("SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot()").unwrap();
        diesel::RunQueryDsl::get_result::<Read>(diesel::sql_query(query), &mut conn).unwrap().rows
    };
    let before = read();
    run_alone(async || look_around(place.settings.clone()).await);
    // The connections of the site have ended, and have said then what they read.
    let after = wait_for_stats(&mut read);
    assert!(after - before < 50_000, "{} rows were read one after the other", after - before);
}

/// What the server says once it has said the same twice.
#[expect(clippy::disallowed_methods, reason = "nothing else happens meanwhile")]
fn wait_for_stats(read: &mut impl FnMut() -> i64) -> i64 {
    let mut last = read();
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let now = read();
        if now == last {
            return now;
        }
        last = now;
    }
}

#[cfg(feature = "mysql")]
#[test]
fn a_hundred_thousand_people_are_never_read_from_end_to_end_on_mariadb() {
    #[derive(diesel::QueryableByName)]
    struct Read {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    // A server of its own: its counters are about all databases.
    let Some(server) = Mariadb::start() else { return };
    server.execute("CREATE DATABASE accounts");
    let settings = HashMap::from([("DATABASE_URL", server.url("accounts"))]);
    run_alone(async || drop(Site::start(settings.clone()).await.stop().await));
    let mut conn =
        <diesel::MysqlConnection as diesel::Connection>::establish(&server.url("accounts")).unwrap();
    let text = |what: &str| match what {
        "id" => "LPAD(seq, 36, '0')".to_owned(),
        "p" => "CONCAT('p', seq)".to_owned(),
        _ => "CONCAT('p', seq, '@example.org')".to_owned(),
    };
    conn.batch_execute(&crowd(text, "seq", "seq_1_to_100000")).unwrap();
    conn.batch_execute("ANALYZE TABLE users, sign_ins, outbox").unwrap();
    let mut read = || -> i64 {
        let query = "SELECT variable_value AS value FROM information_schema.global_status \
                     WHERE variable_name = 'HANDLER_READ_RND_NEXT'";
        diesel::RunQueryDsl::get_result::<Read>(diesel::sql_query(query), &mut conn)
            .unwrap()
            .value
            .parse()
            .unwrap()
    };
    let before = read();
    run_alone(async || look_around(settings.clone()).await);
    let read = read() - before;
    assert!(read < 50_000, "{read} rows were read one after the other");
}
