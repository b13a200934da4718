//! Databases: migrated once however many start, whole after a crash, given back as they were.

use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use latchkey::db::{Connection, Db};

use crate::harness::{PgBouncer, Postgres, Sandbox, Site, World, run_alone};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
#[cfg(feature = "mysql")]
const MYSQL: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// Four programs that start at the same moment; how many migrations each of them ran.
fn four_at_once(sandbox: &Sandbox) -> Vec<usize> {
    let (programs, start) = ([(); 4].map(|()| sandbox.open()), Barrier::new(4));
    std::thread::scope(|scope| {
        let migrate = |db: &Db| {
            start.wait();
            db.migrate().expect("a database up to date")
        };
        let running: Vec<_> = programs.iter().map(|db| scope.spawn(move || migrate(db))).collect();
        running.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// Takes the newest migration back: what an older program left, or nothing but the list of migrations.
fn make_older(sandbox: &Sandbox) {
    match sandbox.connection() {
        Connection::Sqlite(mut conn) => drop(conn.revert_last_migration(SQLITE).expect("down")),
        Connection::Postgres(mut conn) => drop(conn.revert_last_migration(POSTGRES).expect("down")),
        #[cfg(feature = "mysql")]
        Connection::Mysql(mut conn) => drop(conn.revert_last_migration(MYSQL).expect("down")),
    }
}

#[test]
fn of_four_programs_that_start_at_once_one_migrates_and_the_others_wait() {
    for world in World::ALL {
        let Some(sandbox) = world.sandbox() else { continue };
        let mut ran = four_at_once(&sandbox);
        ran.sort_unstable();
        assert!(ran[..3] == [0, 0, 0] && ran[3] >= 1, "{world:?}, empty: {ran:?}");
        make_older(&sandbox);
        let mut ran = four_at_once(&sandbox);
        ran.sort_unstable();
        assert_eq!(ran, [0, 0, 0, 1], "{world:?}, older");
    }
}

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
    if let Some(sandbox) = World::Postgres.sandbox() {
        let url = &sandbox.settings["DATABASE_URL"];
        let mut postgres = <diesel::PgConnection as diesel::Connection>::establish(url).unwrap();
        there_and_back(&mut postgres, || POSTGRES);
    }
    #[cfg(feature = "mysql")]
    if let Some(sandbox) = World::Mariadb.sandbox() {
        let url = &sandbox.settings["DATABASE_URL"];
        let mut mariadb = <diesel::MysqlConnection as diesel::Connection>::establish(url).unwrap();
        there_and_back(&mut mariadb, || MYSQL);
    }
}

/// `latchkey migrate` over a database.
fn migrate(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.arg("migrate").env_clear().env("SECRET_KEY", "k".repeat(64)).env("DATABASE_URL", url);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long a whole migration takes here, from the start of the program to its end.
fn whole_migration(world: World) -> Option<Duration> {
    let sandbox = world.sandbox()?;
    let began = Instant::now();
    assert!(migrate(&sandbox.url()).status().unwrap().success());
    Some(began.elapsed())
}

#[test]
fn a_migration_that_was_killed_is_finished_by_the_next_one() {
    // Kills at ever later moments of what it takes on this machine, the first of them long before the end.
    const MOMENTS: u32 = 20;
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(whole) = whole_migration(*world) else { continue };
        let mut unfinished = 0;
        for moment in 1..=MOMENTS {
            let sandbox = world.sandbox().unwrap();
            let mut child = migrate(&sandbox.url()).spawn().unwrap();
            wait(whole * moment / MOMENTS);
            child.kill().unwrap();
            child.wait().unwrap();
            let ran = sandbox.open().migrate();
            unfinished += ran.unwrap_or_else(|error| panic!("{world:?}, moment {moment}: {error}"));
            run_alone(async || {
                let site = sandbox.site().await;
                site.member("annalee").await;
                site.stop().await;
            });
        }
        assert!(unfinished > 0, "{world:?}: no kill came before the end");
    }
}

#[expect(clippy::disallowed_methods, reason = "a power cut comes when it comes")]
fn wait(span: Duration) {
    std::thread::sleep(span);
}

#[test]
fn postgres_over_tls_is_trusted_by_its_certificate() {
    let Some(server) = Postgres::start_with_tls() else { return };
    server.execute("CREATE DATABASE accounts");
    let migrate = |host: &str, query: &str| {
        let url = format!("postgres://latchkey@{host}:{}/accounts?{query}", server.port());
        migrate(&url).status().unwrap().success()
    };
    assert!(migrate("127.0.0.1", "sslmode=require"));
    let trusted = format!("sslmode=verify-full&sslrootcert={}", server.certificate());
    assert!(migrate("localhost", &trusted));
    assert!(!migrate("localhost", "sslmode=verify-full&sslrootcert=/dev/null"), "nobody vouches for it");
}

/// A pooler that gives each connection a session of its own works; one that does not would mix up whose statements are whose.
#[test]
fn a_pooler_works_or_is_refused_at_the_start() {
    let Some(server) = Postgres::shared() else { return };
    run_alone(async || {
        for (mode, works) in [("session", true), ("transaction", false)] {
            let database = format!("pooled_{mode}");
            server.execute(&format!("CREATE DATABASE {database}"));
            let Some(pooler) = PgBouncer::start(server, mode) else { return };
            let folder = tempfile::tempdir().unwrap();
            let url = pooler.url(&database);
            let key = crate::commands::key();
            let settings = [("SECRET_KEY", key.as_str()), ("DATABASE_URL", &url), ("EMAIL_BACKEND", "file")];
            let checked = crate::commands::latchkey(folder.path(), &["check"], &settings, "");
            let said = crate::commands::said(&checked);
            assert_eq!(checked.status.success(), works, "{mode}: {said}");
            assert_eq!(said.contains("use PgBouncer 1.21 or newer"), !works, "{mode}: {said}");
            if works {
                let site = Site::start([("DATABASE_URL", url)].into()).await;
                site.member("annalee").await.see("@annalee");
                site.stop().await;
            }
            drop(pooler);
            server.execute(&format!("DROP DATABASE {database} WITH (FORCE)"));
        }
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_connection_to_mariadb_has_the_limits_of_one_to_postgres_also_after_a_migration() {
    crate::harness::run(World::Mariadb, async |site: &Site| {
        let limits = "SELECT CONCAT_WS(' ', @@lock_wait_timeout, @@innodb_lock_wait_timeout, @@wait_timeout, \
            @@idle_transaction_timeout, ROUND(@@max_statement_time)) AS text";
        assert_eq!(site.texts(limits).await, ["3 3 660 30 5"]);
    });
}
