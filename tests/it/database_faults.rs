//! What people see while a database is away, frozen, locked or used up, and that it is found again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use latchkey::config::DatabaseConfig;
use latchkey::db::{Connection, Db};
use latchkey::identity::Role;
use latchkey::records::users;
use reqwest::Method;

#[cfg(feature = "mysql")]
use crate::harness::Mariadb;
use crate::harness::{
    Mood, OTHER_PASSWORD, PASSWORD, Postgres, Site, Visitor, WRITE_LOCK, World, at_once, run, run_alone,
};

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
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
    assert_eq!(look(&ann, "/readyz").await.0, 503);
    let mut bob = site.visitor();
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(503).see("Nothing has been lost.").see("If you contact us, quote");
    go_on();
    assert_eq!(users_after_a_while(&site).await, 1, "what was refused did not happen later");
    let back = Instant::now();
    while !ann.is_signed_in().await {
        assert!(back.elapsed() < Duration::from_secs(40), "still away after {:?}", back.elapsed());
    }
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(200);
    site.code_to("bob@example.org").await;
    site.stop().await;
}

async fn users_after_a_while(site: &Site) -> i64 {
    let since = Instant::now();
    loop {
        if let Ok(census) = site.app.db.read(users::census::take).await
            && since.elapsed() > Duration::from_secs(1)
        {
            return census.of(None, None);
        }
        assert!(since.elapsed() < Duration::from_secs(60), "the database is not found again");
    }
}

/// A server of either kind that a test can do harm to.
trait Harm {
    /// The database of the site.
    fn url(&self) -> String;
    /// A connection to another database, if there is one left.
    fn connect(&self) -> Option<Connection>;
    fn stop(&mut self);
    fn go_on(&mut self);
    fn signal(&self, signal: &str);
    /// Statements that end the connections of the site, as a query for them.
    fn ends(&self) -> &'static str;
    /// Ends the site's connections when they rest for a second.
    fn ends_idle(&self);
}

impl Harm for Postgres {
    fn url(&self) -> String {
        self.url("accounts")
    }
    fn connect(&self) -> Option<Connection> {
        let conn = <diesel::PgConnection as diesel::Connection>::establish(&self.url("postgres"));
        conn.ok().map(Connection::Postgres)
    }
    fn stop(&mut self) {
        self.stop();
    }
    fn go_on(&mut self) {
        self.go_on();
    }
    fn signal(&self, signal: &str) {
        self.signal(signal);
    }
    fn ends(&self) -> &'static str {
        "SELECT 'SELECT pg_terminate_backend(' || pid || ')' AS statement FROM pg_stat_activity \
         WHERE datname = 'accounts'"
    }
    fn ends_idle(&self) {
        self.execute("ALTER DATABASE accounts SET idle_session_timeout = '1s'");
    }
}

#[cfg(feature = "mysql")]
impl Harm for Mariadb {
    fn url(&self) -> String {
        self.url("accounts")
    }
    fn connect(&self) -> Option<Connection> {
        let conn = <diesel::MysqlConnection as diesel::Connection>::establish(&self.url("mysql"));
        conn.ok().map(Connection::Mysql)
    }
    fn stop(&mut self) {
        self.stop();
    }
    fn go_on(&mut self) {
        self.go_on();
    }
    fn signal(&self, signal: &str) {
        self.signal(signal);
    }
    fn ends(&self) -> &'static str {
        "SELECT CONCAT('KILL ', id) AS statement FROM information_schema.processlist WHERE db = 'accounts'"
    }
    fn ends_idle(&self) {
        self.execute("SET GLOBAL wait_timeout = 1");
    }
}

/// Servers of our own, each with an empty database.
fn servers() -> Vec<Box<dyn Harm>> {
    let mut all: Vec<Box<dyn Harm>> = Vec::new();
    if let Some(server) = Postgres::start() {
        server.execute("CREATE DATABASE accounts");
        all.push(Box::new(server));
    }
    #[cfg(feature = "mysql")]
    if let Some(server) = Mariadb::start() {
        server.execute("CREATE DATABASE accounts");
        all.push(Box::new(server));
    }
    all
}

#[test]
fn a_server_that_restarts_is_found_again() {
    for server in servers() {
        let (url, server) = (server.url(), std::cell::RefCell::new(server));
        run_alone(async || {
            through_an_outage(url.clone(), &mut || server.borrow_mut().stop(), &mut || {
                server.borrow_mut().go_on();
            })
            .await;
        });
    }
}

#[test]
fn a_server_that_is_frozen_is_not_waited_for_and_found_again() {
    for server in servers() {
        run_alone(async || {
            through_an_outage(server.url(), &mut || server.signal("STOP"), &mut || server.signal("CONT"))
                .await;
        });
    }
}

/// A proxy whose server is gone takes connections, and nobody says a word: the client of MariaDB waits for that for ever.
#[cfg(feature = "mysql")]
#[test]
fn whoever_hangs_in_the_middle_of_connecting_is_replaced_when_the_server_speaks_again() {
    run_alone(async || {
        let Some(server) = Mariadb::shared() else { return };
        server.execute("CREATE DATABASE unheard CHARACTER SET utf8mb4");
        let direct = server.url("unheard");
        Db::open(&DatabaseConfig::of_url(&direct).unwrap()).migrate().unwrap();
        let host = url::Url::parse(&direct).unwrap().socket_addrs(|| None).unwrap()[0];
        let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let by_relay = direct.replace(&host.to_string(), &relay.local_addr().unwrap().to_string());
        let speaks = std::rc::Rc::new(std::cell::Cell::new(false));
        let heard = std::rc::Rc::clone(&speaks);
        actix_web::rt::spawn(async move {
            let mut unheard = Vec::new();
            while let Ok((mut stream, _)) = relay.accept().await {
                if heard.get() {
                    let mut server = tokio::net::TcpStream::connect(host).await.unwrap();
                    actix_web::rt::spawn(async move {
                        drop(tokio::io::copy_bidirectional(&mut stream, &mut server).await);
                    });
                } else {
                    unheard.push(stream);
                }
            }
        });
        let db = Db::open(&DatabaseConfig::of_url(&by_relay).unwrap());
        let workers: Vec<Db> = (0..3).map(|_| db.for_worker()).collect();
        for asked in futures_util::future::join_all(workers.iter().map(Db::is_empty)).await {
            assert!(asked.is_err());
        }
        speaks.set(true);
        let patience = Instant::now();
        while db.prove().await.is_err() {
            assert!(patience.elapsed() < Duration::from_secs(60), "it is not found again");
        }
    });
}

/// Takes every connection that the server has to give, also those of the site.
fn take_all(server: &dyn Harm) -> Vec<Connection> {
    #[derive(diesel::QueryableByName)]
    struct End {
        #[diesel(sql_type = diesel::sql_types::Text)]
        statement: String,
    }
    let mut taken = Vec::new();
    loop {
        while let Some(conn) = server.connect() {
            taken.push(conn);
        }
        let query = diesel::sql_query(server.ends());
        let ends: Vec<End> = diesel::RunQueryDsl::load(query, &mut taken[0]).expect("the site's connections");
        if ends.is_empty() {
            // One that was just ended may give its place back a moment after it is out of sight.
            let late: Vec<Connection> = (0..50).filter_map(|_| server.connect()).collect();
            if late.is_empty() {
                return taken;
            }
            taken.extend(late);
        }
        for end in ends {
            // It may have ended by itself meanwhile.
            drop(taken[0].batch_execute(&end.statement));
        }
    }
}

#[test]
fn a_server_without_a_free_connection_is_waited_for() {
    for server in servers() {
        let taken = std::cell::RefCell::new(Vec::new());
        run_alone(async || {
            through_an_outage(server.url(), &mut || *taken.borrow_mut() = take_all(&*server), &mut || {
                taken.borrow_mut().clear();
            })
            .await;
        });
        assert!(taken.borrow().is_empty());
    }
}

#[test]
fn nobody_notices_that_the_server_ends_idle_connections() {
    for server in servers() {
        server.ends_idle();
        run_alone(async || {
            // No courier, so that the connections do rest.
            let settings = [("DATABASE_URL", server.url()), ("COURIER", "off".to_owned())];
            let site = Site::start(HashMap::from(settings)).await;
            site.appoint(Role::User, "annalee").await;
            let mut ann = site.visitor();
            for round in 0..3 {
                tokio::time::sleep(Duration::from_millis(2500)).await;
                ann.sign_in("annalee", OTHER_PASSWORD).await;
                ann.status(200);
                tokio::time::sleep(Duration::from_millis(2500)).await;
                assert!(ann.is_signed_in().await, "round {round}: {}", ann.page());
                ann.press("Sign out").await;
                ann.status(200);
            }
            site.stop().await;
        });
    }
}

/// Somebody holds a lock that every sign-up needs, and lets go of it later.
async fn while_locked(site: &Site, lock: &str, conn: &mut impl SimpleConnection, unlock: &str) {
    let mut ann = site.member("annalee").await;
    conn.batch_execute(lock).unwrap();
    let started = Instant::now();
    let mut bob = site.visitor();
    bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
    bob.status(503);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
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
    run(World::Embedded, async |site: &Site| {
        let file = site.folder.path().join("db.sqlite3");
        let mut conn =
            <diesel::SqliteConnection as diesel::Connection>::establish(file.to_str().unwrap()).unwrap();
        while_locked(site, WRITE_LOCK, &mut conn, "ROLLBACK").await;
    });
    let Some(sandbox) = World::Postgres.sandbox() else { return };
    run_alone(async || {
        let site = Site::start(sandbox.settings.clone()).await;
        let mut conn =
            <diesel::PgConnection as diesel::Connection>::establish(&sandbox.settings["DATABASE_URL"])
                .unwrap();
        while_locked(&site, "BEGIN; LOCK TABLE users IN EXCLUSIVE MODE", &mut conn, "ROLLBACK").await;
        site.stop().await;
    });
}

#[test]
fn three_hundred_writers_share_two_connections() {
    for world in World::ALL {
        let Some(sandbox) = world.sandbox() else { continue };
        run_alone(async || {
            let mut settings = sandbox.settings.clone();
            settings.insert("DATABASE_POOL_SIZE", "2".to_owned());
            let site = Site::start(settings).await;
            site.mail.be(Mood::Closed);
            let asks = (0..300).map(|number| {
                let username = format!("person{number}");
                let email = format!("{username}@example.org");
                let fields = [
                    ("username", username.as_str()),
                    ("email", &email),
                    ("password", PASSWORD),
                    ("confirm_password", PASSWORD),
                ];
                site.visitor().posting("/auth/sign-up/user/", &fields)
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

/// A site whose database turns read-only and back, as after a planned switch or with a full disk.
async fn turns_read_only(site: &Site, off: impl Fn(), on: impl Fn()) {
    let mut ann = site.member("annalee").await;
    let ready = async || site.visitor().visit("/readyz").await.status;
    assert_eq!(ready().await, 200);
    off();
    let form = [("username", "annalee"), ("password", PASSWORD)];
    let mut refused = site.visitor();
    for _ in 0..4 {
        let request = refused.posting("/auth/sign-in/user/", &form);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 503, "never a mistake of ours");
        assert!(answer.headers().contains_key("retry-after"));
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ready().await, 503, "it answers, and does not work");
    on();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    refused.sign_in("annalee", PASSWORD).await;
    refused.status(200).see("@annalee");
    assert!(ann.is_signed_in().await);
    assert_eq!(ready().await, 200);
}

#[test]
fn a_postgresql_that_turns_read_only_is_told_and_found_again_without_a_restart() {
    let Some(server) = Postgres::start() else { return };
    run_alone(async || {
        server.execute("CREATE DATABASE accounts");
        let settings = HashMap::from([("DATABASE_URL", server.url("accounts"))]);
        let site = Site::start(settings).await;
        let set = |to: &str| {
            server.execute(&format!("SET default_transaction_read_only = off; ALTER DATABASE accounts SET default_transaction_read_only = {to}"));
        };
        let end_all =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'latchkey'";
        turns_read_only(
            &site,
            || {
                set("on");
                server.execute(end_all);
            },
            || set("off"),
        )
        .await;
        site.stop().await;
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_mariadb_that_turns_read_only_is_told_and_found_again_without_a_restart() {
    let Some(server) = Mariadb::start() else { return };
    run_alone(async || {
        server.execute("CREATE DATABASE accounts; CREATE USER app@'%' IDENTIFIED BY 'app'; CREATE USER app@localhost IDENTIFIED BY 'app'; GRANT ALL ON accounts.* TO app@'%'; GRANT ALL ON accounts.* TO app@localhost");
        let url = server.url("accounts").replace("latchkey:latchkey", "app:app");
        let site = Site::start(HashMap::from([("DATABASE_URL", url)])).await;
        turns_read_only(
            &site,
            || server.execute("SET GLOBAL read_only = 1"),
            || server.execute("SET GLOBAL read_only = 0"),
        )
        .await;
        site.stop().await;
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_mariadb_without_tls_is_refused_when_tls_was_asked_for() {
    let Some(server) = Mariadb::start() else { return };
    server.execute("CREATE DATABASE accounts");
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}?ssl_mode=REQUIRED", server.url("accounts"));
    let settings = [("SECRET_KEY", "k".repeat(64)), ("DATABASE_URL", url)];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let output = crate::commands::latchkey(folder.path(), &["migrate"], &settings, "");
    let said = crate::commands::said(&output);
    assert!(!output.status.success() && said.contains("asks for TLS"), "{said}");
}

#[test]
fn a_postgresql_in_another_encoding_is_refused_at_the_start() {
    let Some(server) = Postgres::start() else { return };
    server.execute("CREATE DATABASE old ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    let folder = tempfile::tempdir().unwrap();
    let (key, url) = ("k".repeat(64), server.url("old"));
    for command in ["check", "serve"] {
        let settings = [
            ("SECRET_KEY", key.as_str()),
            ("DATABASE_URL", &url),
            ("EMAIL_BACKEND", "file"),
            ("BIND", "127.0.0.1:0"),
            ("PUBLIC_URL", "http://localhost"),
        ];
        let output = crate::commands::latchkey(folder.path(), &[command], &settings, "");
        let said = crate::commands::said(&output);
        assert!(!output.status.success() && said.contains("must use the encoding UTF8"), "{command}: {said}");
    }
}

#[test]
fn a_role_that_may_not_make_tables_can_serve_and_a_held_lock_keeps_nobody_who_is_up_to_date() {
    let Some(server) = Postgres::start() else { return };
    run_alone(async || {
        server.execute("CREATE DATABASE accounts");
        let owner = Site::start(HashMap::from([("DATABASE_URL", server.url("accounts"))])).await;
        owner.stop().await;
        let mut conn =
            <diesel::PgConnection as diesel::Connection>::establish(&server.url("accounts")).unwrap();
        conn.batch_execute(
            "CREATE ROLE app LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app; \
             REVOKE CREATE ON SCHEMA public FROM PUBLIC; SELECT pg_advisory_lock(7241906328)",
        )
        .unwrap();
        let url = server.url("accounts").replace("latchkey@", "app@");
        let site = Site::start(HashMap::from([("DATABASE_URL", url)])).await;
        site.member("annalee").await;
        site.stop().await;
    });
}
