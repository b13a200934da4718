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
