//! Redis in trouble: people see a page that says so, never a mistake of ours, and are signed in again afterwards.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;

use crate::harness::{OTHER_PASSWORD, PASSWORD, Redis, Site, Visitor, World, run_alone};

/// A site over a Redis of its own.
fn with_own_redis(story: impl AsyncFnOnce(&Site, &mut Redis)) {
    let Some(mut redis) = Redis::start() else { return };
    run_alone(async || {
        let site = Site::start(HashMap::from([("REDIS_URL", redis.url())])).await;
        story(&site, &mut redis).await;
        site.stop().await;
    });
}

async fn look(visitor: &Visitor, path: &str) -> (u16, Duration) {
    let started = Instant::now();
    let answer = visitor.request(Method::GET, path).send().await.unwrap();
    assert!(!answer.headers().contains_key("set-cookie"), "the cookie stays");
    (answer.status().as_u16(), started.elapsed())
}

async fn comes_back(ann: &mut Visitor) {
    let back = Instant::now();
    while !ann.is_signed_in().await {
        assert!(back.elapsed() < Duration::from_secs(20), "not signed in again after {:?}", back.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_redis_that_hangs_holds_nobody() {
    with_own_redis(async |site: &Site, redis: &mut Redis| {
        let mut ann = site.member("annalee").await;
        redis.signal("STOP");
        for _ in 0..5 {
            assert_eq!(look(&site.visitor(), "/").await.0, 200);
            let (status, took) = look(&ann, "/user-profile/").await;
            assert_eq!(status, 503);
            assert!(took < Duration::from_secs(8), "{took:?}");
            assert_eq!(look(&ann, "/auth/whoami/").await.0, 503, "nobody is said to be signed out");
        }
        redis.signal("CONT");
        comes_back(&mut ann).await;
    });
}

#[test]
fn a_redis_that_refuses_to_write_is_told_and_never_a_mistake_of_ours() {
    for (trouble, cure) in
        [("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"), ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0")]
    {
        with_own_redis(async |site: &Site, redis: &mut Redis| {
            let mut ann = site.member("annalee").await;
            redis.command(trouble);
            let status = look(&ann, "/user-profile/").await.0;
            assert!(matches!(status, 200 | 503), "{trouble}: {status}");
            let mut phone = site.visitor();
            phone.sign_in("annalee", PASSWORD).await;
            assert!(matches!(phone.page().status, 200 | 503), "{trouble}: {}", phone.page());
            phone.sign_in("annalee", OTHER_PASSWORD).await;
            assert!(matches!(phone.page().status, 200 | 422 | 503), "{trouble}: {}", phone.page());
            redis.command(cure);
            comes_back(&mut ann).await;
        });
    }
}

#[test]
fn a_redis_that_forgot_everything_signs_out_politely_and_gives_no_more_tries() {
    with_own_redis(async |site: &Site, redis: &mut Redis| {
        let mut ann = site.member("annalee").await;
        let mut bob = site.visitor();
        bob.sign_up("bobbob", "bob@example.org", PASSWORD).await;
        let code = site.code_to("bob@example.org").await;
        let wrong = if code == "000000" { "111111" } else { "000000" };
        for _ in 0..3 {
            bob.fill("Code", wrong).press("Confirm").await;
        }
        redis.command("FLUSHALL");
        redis.command("SCRIPT FLUSH");
        ann.visit("/user-profile/update/").await;
        assert_eq!(ann.path(), "/auth/sign-in/user/?next=/user-profile/update/");
        bob.fill("Code", wrong).press("Confirm").await;
        bob.status(422).see("You have 1 try left.");
        ann.sign_in("annalee", PASSWORD).await;
        ann.status(200);
    });
}

#[test]
fn who_only_looks_leaves_nothing_in_redis() {
    with_own_redis(async |site: &Site, redis: &mut Redis| {
        for _ in 0..20 {
            let mut visitor = site.visitor();
            for page in ["/", "/auth/sign-in/user/", "/auth/sign-up/user/", "/user-profile/", "/nowhere"] {
                visitor.visit(page).await;
            }
        }
        assert_eq!(redis.command("DBSIZE"), "0");
    });
}

#[test]
fn redis_over_tls_is_trusted_by_its_certificate() {
    let Some(redis) = Redis::start_with_tls() else { return };
    let folder = tempfile::tempdir().unwrap();
    let check = |certificates: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .arg("check")
            .current_dir(folder.path())
            .env_clear()
            .env("SECRET_KEY", "k".repeat(64))
            .env("EMAIL_BACKEND", "file")
            .env("REDIS_URL", redis.tls_url())
            .env("SSL_CERT_FILE", certificates)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = check(&redis.certificate());
    assert!(said.contains("ok      Redis"), "{said}");
    let said = check("/dev/null");
    assert!(said.contains("FAILED  Redis"), "{said}");
}

#[test]
fn one_redis_serves_several_sites_by_prefix() {
    let (Some(one), Some(other)) = (World::Redis.sandbox(), World::Redis.sandbox()) else { return };
    run_alone(async || {
        let (one, other) =
            (Site::start(one.settings.clone()).await, Site::start(other.settings.clone()).await);
        let mut ann = one.member("annalee").await;
        ann.go_to(&other);
        assert!(!ann.is_signed_in().await);
        drop((one.stop().await, other.stop().await));
    });
}

#[test]
fn a_redis_that_is_demoted_is_let_go_of_and_the_new_one_found_without_a_restart() {
    let (Some(old), Some(new)) = (Redis::start(), Redis::start()) else { return };
    run_alone(async || {
        let door = Door::open(old.port()).await;
        let site =
            Site::start(HashMap::from([("REDIS_URL", format!("redis://127.0.0.1:{}", door.port))])).await;
        let mut ann = site.member("annalee").await;
        new.command(&format!("REPLICAOF 127.0.0.1 {}", old.port()));
        let patience = Instant::now();
        while !new.command("INFO replication").contains("master_link_status:up") {
            assert!(patience.elapsed() < Duration::from_secs(60), "it does not follow");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        new.command("REPLICAOF NO ONE");
        // The old one answers on, and says READONLY over the connections that are open.
        old.command(&format!("REPLICAOF 127.0.0.1 {}", new.port()));
        door.lead_to(new.port());
        comes_back(&mut ann).await;
        assert_eq!(site.visitor().visit("/readyz").await.body, "ok\n");
        site.stop().await;
    });
}

#[test]
fn a_redis_that_answers_and_keeps_nothing_is_told_by_check_and_readiness() {
    let Some(redis) = Redis::start() else { return };
    redis.command("ACL SETUSER guest on >x ~other:* +@all");
    let url = redis.url().replace("redis://", "redis://guest:x@");
    let folder = tempfile::tempdir().unwrap();
    let key = "k".repeat(64);
    let settings = [("SECRET_KEY", key.as_str()), ("REDIS_URL", &url), ("EMAIL_BACKEND", "file")];
    let output = crate::commands::latchkey(folder.path(), &["check"], &settings, "");
    let said = crate::commands::said(&output);
    assert!(said.contains("FAILED  Redis") && said.contains("NOPERM"), "{said}");
    run_alone(async || {
        let site = Site::start(HashMap::from([("REDIS_URL", url.clone())])).await;
        assert_eq!(site.visitor().visit("/readyz").await.body, "degraded: redis\n");
        site.stop().await;
    });
}

/// A proxy whose new connections can be led elsewhere.
struct Door {
    port: u16,
    to: std::sync::Arc<std::sync::atomic::AtomicU16>,
}

impl Door {
    async fn open(to: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(to));
        let leading = std::sync::Arc::clone(&to);
        actix_web::rt::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let port = leading.load(std::sync::atomic::Ordering::SeqCst);
                actix_web::rt::spawn(async move {
                    if let Ok(mut there) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await {
                        drop(tokio::io::copy_bidirectional(&mut here, &mut there).await);
                    }
                });
            }
        });
        Self { port, to }
    }

    fn lead_to(&self, port: u16) {
        self.to.store(port, std::sync::atomic::Ordering::SeqCst);
    }
}
