//! What people notice when the server that keeps everything dies and another one takes its place: for a moment "come back
//! soon", and nothing that was acknowledged is lost.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::rt::task::JoinHandle;
use latchkey::identity::Role;
use tokio::sync::watch;

#[cfg(feature = "mysql")]
use crate::harness::Galera;
use crate::harness::{
    OTHER_PASSWORD, PASSWORD, PgBouncer, Postgres, RedisMake, Redises, Site, Visitor, run_alone, seconds,
};

/// People who sign up, sign in and sign out without pause, and what they saw.
struct People {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Seen>>,
}

/// What somebody saw.
#[derive(Default)]
struct Seen {
    /// Usernames of sign-ups that were acknowledged.
    signed_up: Vec<String>,
    /// Browsers that were told that they are signed out, with the cookie that they had.
    signed_out: Vec<Visitor>,
    /// What was acknowledged, and when.
    acknowledged: Vec<(&'static str, Instant)>,
    /// When they were asked to come back soon.
    put_off: Vec<Instant>,
    /// What nobody should see.
    wrong: Vec<String>,
}

impl Seen {
    /// Whether an answer acknowledges what was asked for; notes it.
    fn acknowledges(&mut self, what: &'static str, answer: &reqwest::Response, status: u16) -> bool {
        match answer.status().as_u16() {
            given if given == status => {
                self.acknowledged.push((what, Instant::now()));
                true
            }
            503 if answer.headers().contains_key("retry-after") => {
                self.put_off.push(Instant::now());
                false
            }
            other => {
                self.wrong.push(format!("{what}: {other}"));
                false
            }
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.signed_up.extend(other.signed_up);
        self.signed_out.extend(other.signed_out);
        self.acknowledged.extend(other.acknowledged);
        self.put_off.extend(other.put_off);
        self.wrong.extend(other.wrong);
        self
    }

    /// The longest time in which nothing of one kind was acknowledged.
    fn without_service(&mut self) -> Duration {
        self.acknowledged.sort_unstable();
        let of_one_kind = self.acknowledged.chunk_by(|one, next| one.0 == next.0);
        let gaps = of_one_kind.flat_map(|kind| kind.windows(2)).map(|pair| pair[1].1 - pair[0].1);
        gaps.max().unwrap_or_default()
    }
}

impl People {
    /// Two at each of these sites, which keep everything in the same place.
    async fn at(sites: &[&Site]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        for (number, site) in sites.iter().flat_map(|site| [site, site]).enumerate() {
            let name = format!("member{number}");
            site.appoint(Role::User, &name).await;
            let elsewhere = sites[(number / 2 + 1) % sites.len()].url.clone();
            let person = person([site.url.clone(), elsewhere], number, name, stopped.clone());
            tasks.push(actix_web::rt::spawn(person));
        }
        Self { stop, tasks }
    }

    async fn stop(self) -> Seen {
        self.stop.send_replace(true);
        let mut seen = Seen::default();
        for task in self.tasks {
            seen = seen.and(task.await.expect("somebody"));
        }
        seen
    }
}

async fn person(
    [site, elsewhere]: [String; 2],
    number: usize,
    member: String,
    stopped: watch::Receiver<bool>,
) -> Seen {
    let mut seen = Seen::default();
    let mut turn = 0;
    while !*stopped.borrow() {
        turn += 1;
        let address = format!("10.{}.{}.{}", number + 1, turn / 250, turn % 250 + 1);
        let visitor = Visitor::new(site.clone(), address);
        let name = format!("new{number}x{turn}");
        let email = format!("{name}@example.org");
        let fields = [
            ("username", &*name),
            ("email", &*email),
            ("password", PASSWORD),
            ("confirm_password", PASSWORD),
        ];
        let answer = visitor.posting("/auth/sign-up/user/", &fields).send().await.expect("an answer");
        if seen.acknowledges("sign-up", &answer, 303) {
            seen.signed_up.push(name);
        }
        come_and_go(visitor, &elsewhere, &member, &mut seen).await;
    }
    seen
}

/// Signs in, looks at the profile and signs out; from then on another instance knows it, too.
async fn come_and_go(mut visitor: Visitor, elsewhere: &str, member: &str, seen: &mut Seen) {
    let fields = [("username", member), ("password", OTHER_PASSWORD)];
    let answer = visitor.posting("/auth/sign-in/user/", &fields).send().await.expect("an answer");
    if !seen.acknowledges("sign-in", &answer, 303) {
        return;
    }
    visitor.take_cookies(answer.headers());
    let profile = visitor.request(reqwest::Method::GET, "/user-profile/").send().await.expect("an answer");
    seen.acknowledges("profile", &profile, 200);
    let cookies = visitor.twin();
    let out = visitor.posting("/auth/sign-out/", &[("sent", "on")]).send().await.expect("an answer");
    if seen.acknowledges("sign-out", &out, 303) {
        let mut there = cookies.twin();
        there.go_to_url(elsewhere);
        let still = there.request(reqwest::Method::GET, "/user-profile/").send().await.expect("an answer");
        if still.status() == 200 {
            seen.wrong.push("signed in at another instance after signing out".to_owned());
        }
        seen.signed_out.push(cookies);
    }
}

/// What must hold after any of it: everything is served again, only "come back soon" in between, every acknowledged account is there, nobody is signed in who was
/// signed out; and what it cost.
#[expect(clippy::print_stdout, reason = "the figures of docs/scaling.md")]
async fn nothing_is_lost(what: &str, site: &Site, mut seen: Seen, fault: Instant) {
    for kind in ["sign-up", "sign-in", "profile", "sign-out"] {
        let is_back = seen.acknowledged.iter().any(|(what, at)| *what == kind && *at > fault);
        assert!(is_back, "{what}: no {kind} was acknowledged afterwards");
    }
    assert!(seen.wrong.is_empty(), "{what}: {:?}", &seen.wrong[..seen.wrong.len().min(20)]);
    let kept: std::collections::HashSet<String> =
        site.texts("SELECT username AS text FROM users").await.into_iter().collect();
    let lost: Vec<&String> = seen.signed_up.iter().filter(|name| !kept.contains(*name)).collect();
    assert!(lost.is_empty(), "{what}: {} of {} are lost: {lost:?}", lost.len(), seen.signed_up.len());
    let mut alive = 0;
    for gone in &mut seen.signed_out {
        alive += usize::from(gone.is_signed_in().await);
    }
    assert_eq!(alive, 0, "{what}: sessions that had ended");
    println!(
        "{what}: {:.1} s without service, {} asked to come back; kept: {} sign-ups, {} sign-outs",
        seen.without_service().as_secs_f64(),
        seen.put_off.len(),
        seen.signed_up.len(),
        seen.signed_out.len()
    );
}

/// Lets people in for so long.
async fn go_on_for(span: Duration) {
    tokio::time::sleep(span).await;
}

/// A site that keeps its rows there and lets everybody try as often as they like.
async fn site_at(url: &str) -> Site {
    site_with(&[("DATABASE_URL", url)]).await
}

async fn site_with(settings: &[(&'static str, &str)]) -> Site {
    let mut all: HashMap<&'static str, String> = HashMap::from([("RATE_LIMITS", "off".to_owned())]);
    all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Site::start(all).await
}

/// Something happens to the primary, and a second later its standby is promoted; then things may take so long to go on.
async fn a_standby_takes_over(what: &str, fault: impl FnOnce(&mut Postgres), patience: Duration) {
    let Some(mut first) = Postgres::start() else { return };
    first.execute("CREATE DATABASE accounts");
    let standby = first.standby();
    let url = first.url_of_both(&standby, "accounts");
    let (one, other) = (site_at(&url).await, site_at(&url).await);
    let people = People::at(&[&one, &other]).await;
    go_on_for(seconds(3)).await;
    fault(&mut first);
    go_on_for(seconds(1)).await;
    let promoted = Instant::now();
    standby.promote();
    go_on_for(patience).await;
    let what = format!("PostgreSQL, the primary {what} and the standby promoted a second later");
    nothing_is_lost(&what, &one, people.stop().await, promoted).await;
    one.stop().await;
    other.stop().await;
}

#[test]
fn a_standby_of_postgres_takes_over_while_people_sign_up() {
    run_alone(async || a_standby_takes_over("killed", Postgres::stop, seconds(6)).await);
}

#[test]
fn a_standby_of_postgres_takes_over_from_a_primary_that_is_frozen() {
    run_alone(async || a_standby_takes_over("frozen", |first| first.signal("STOP"), seconds(30)).await);
}

/// The primary then waits with every COMMIT for a standby, for ever: no limit of a statement ends that.
#[test]
fn without_its_standby_a_primary_is_read_and_has_no_more_connections_than_it_should() {
    run_alone(async || {
        let Some(first) = Postgres::start() else { return };
        first.execute("CREATE DATABASE accounts");
        let mut standby = first.standby();
        let url = first.url_of_both(&standby, "accounts");
        // For two workers and the couriers, each with one that may write, and one more.
        let site = site_with(&[("DATABASE_URL", &url), ("DATABASE_POOL_SIZE", "4")]).await;
        let mut ann = site.member("annalee").await;
        ann.visit("/user-profile/").await;
        standby.stop();
        for _ in 0..10 {
            let many: Vec<Visitor> = (0..8).map(|_| site.visitor()).collect();
            let asked = many
                .iter()
                .map(|visitor| visitor.posting("/auth/forgot-password/", &[("username", "nobody")]).send());
            for answer in futures_util::future::join_all(asked).await {
                assert_eq!(answer.expect("an answer").status().as_u16(), 503);
            }
        }
        ann.visit("/user-profile/").await;
        ann.status(200);
        let ours = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'latchkey'";
        let connections = site.count(ours).await;
        assert!(connections <= 3 * 4, "{connections} connections");
        drop(standby);
        first.execute("ALTER SYSTEM SET synchronous_standby_names = ''");
        first.execute("SELECT pg_reload_conf()");
        site.stop().await;
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_node_of_galera_is_frozen_while_people_sign_up_at_it_and_at_another_one() {
    run_alone(async || {
        let Some(galera) = Galera::start() else { return };
        galera.execute(0, "CREATE DATABASE accounts CHARACTER SET utf8mb4");
        let [at_first, at_second] = [0, 1].map(|node| galera.url_of_all(node, "accounts"));
        let (one, other) = tokio::join!(site_at(&at_first), site_at(&at_second));
        let people = People::at(&[&one, &other]).await;
        go_on_for(seconds(2)).await;
        let fault = Instant::now();
        galera.freeze(0);
        go_on_for(seconds(30)).await;
        nothing_is_lost("Galera, one of three nodes frozen", &one, people.stop().await, fault).await;
        one.stop().await;
        other.stop().await;
        drop(galera);
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_node_of_galera_dies_and_comes_back_while_people_sign_up_at_two_others() {
    run_alone(async || {
        let Some(mut galera) = Galera::start() else { return };
        galera.execute(0, "CREATE DATABASE accounts CHARACTER SET utf8mb4");
        let [at_first, at_second] = [0, 1].map(|node| galera.url_of_all(node, "accounts"));
        let (one, other) = tokio::join!(site_at(&at_first), site_at(&at_second));
        let people = People::at(&[&one, &other]).await;
        go_on_for(seconds(3)).await;
        let fault = Instant::now();
        galera.kill(0);
        go_on_for(seconds(5)).await;
        let (galera, ()) = tokio::join!(
            async {
                tokio::task::spawn_blocking(move || {
                    galera.rejoin(0);
                    galera
                })
                .await
                .expect("a node")
            },
            go_on_for(seconds(5))
        );
        nothing_is_lost(
            "Galera, one of three nodes killed and back five seconds later",
            &other,
            people.stop().await,
            fault,
        )
        .await;
        one.stop().await;
        other.stop().await;
        drop(galera);
    });
}

/// Redis keeps who is signed in where, and nothing else that lasts: a pointer that its failover loses is signed in again.
async fn redis_fails_over(what: &str, url: &str, fault: impl FnOnce()) {
    let site = site_with(&[("REDIS_URL", url)]).await;
    let people = People::at(&[&site]).await;
    go_on_for(seconds(3)).await;
    fault();
    // By then the others have noticed; what is acknowledged later, they serve.
    go_on_for(seconds(8)).await;
    let noticed = Instant::now();
    go_on_for(seconds(2)).await;
    let seen = people.stop().await;
    let late = seen.put_off.iter().filter(|at| **at > noticed).count();
    assert_eq!(late, 0, "{what}: asked to come back long after it");
    nothing_is_lost(what, &site, seen, noticed).await;
    site.stop().await;
}

#[test]
fn sentinels_choose_another_redis_while_people_sign_in() {
    run_alone(async || {
        for make in [RedisMake::Redis, RedisMake::Valkey] {
            let Some(mut redises) = Redises::with_sentinels(make) else { return };
            redises.wait_for_sentinels();
            let what = format!("{make:?} with three sentinels, the first of two servers killed");
            redis_fails_over(&what, &redises.sentinel_url(), || redises.kill(0)).await;
        }
    });
}

#[test]
fn a_cluster_of_redis_loses_a_node_while_people_sign_in() {
    run_alone(async || {
        for make in [RedisMake::Redis, RedisMake::Valkey] {
            let Some(mut redises) = Redises::as_cluster(make) else { return };
            let what = format!("{make:?} as a cluster of six, one of those that write killed");
            redis_fails_over(&what, &redises.cluster_url(), || redises.kill(0)).await;
        }
    });
}

#[test]
fn a_frozen_redis_is_left_while_people_sign_in() {
    run_alone(async || {
        let make = RedisMake::Redis;
        let Some(redises) = Redises::with_sentinels(make) else { return };
        redises.wait_for_sentinels();
        let what = "Redis with three sentinels, the first of two servers frozen";
        redis_fails_over(what, &redises.sentinel_url(), || redises.freeze(0)).await;
        let Some(redises) = Redises::as_cluster(make) else { return };
        let what = "Redis as a cluster of six, one of those that write frozen";
        redis_fails_over(what, &redises.cluster_url(), || redises.freeze(0)).await;
    });
}

#[test]
fn a_pooler_that_shares_the_sessions_of_postgres_serves_while_people_sign_up() {
    run_alone(async || {
        let Some(server) = Postgres::shared() else { return };
        server.execute("CREATE DATABASE pooled");
        let Some(pooler) = PgBouncer::start_newer(server, "transaction") else { return };
        let url = pooler.url("pooled");
        let (one, other) = tokio::join!(site_at(&url), site_at(&url));
        let people = People::at(&[&one, &other]).await;
        let began = Instant::now();
        go_on_for(seconds(3)).await;
        nothing_is_lost("PgBouncer 1.24, pool_mode=transaction", &one, people.stop().await, began).await;
        one.stop().await;
        other.stop().await;
        drop(pooler);
    });
}
