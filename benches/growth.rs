//! Whether many people make anybody wait: the same pages and queries over a thousand people and over a million, on
//! each database, side by side: `cargo bench --all-features --bench growth`.
//!
//! Read the ratios: the load comes from the same machine.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement fails loudly, and its numbers are small"
)]

/// The site, its visitors and its services are those of the tests.
#[path = "../tests/it"]
#[expect(dead_code, unused_imports, unused_macros, reason = "not all of it is needed here")]
mod it {
    pub mod harness;
}

use std::time::{Duration, Instant};

use it::harness::{OTHER_PASSWORD, Sandbox, Visitor, World, run_alone};
use latchkey::db::{self, Db};
use latchkey::identity::{Moment, Role};
use latchkey::records::outbox;

const ROUNDS: usize = 300;

fn main() {
    println!(
        "median milliseconds among 1,000 and among 1,000,000 people, and their ratio (goal: 0.8 to 1.2)"
    );
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let (Some(mut small), Some(mut large)) = (world.sandbox(), world.sandbox()) else { continue };
        prepare(*world, &mut small, 1_000);
        prepare(*world, &mut large, 1_000_000);
        run_alone(async || compare(*world, [&small, &large]).await);
    }
}

fn prepare(world: World, sandbox: &mut Sandbox, people: u32) {
    sandbox.settings.insert("RATE_LIMITS", "off".to_owned());
    sandbox.open().migrate().expect("tables");
    it::harness::fill(world, sandbox, people);
}

async fn compare(world: World, places: [&Sandbox; 2]) {
    let (mut sites, mut visitors, mut chiefs) = (Vec::new(), Vec::new(), Vec::new());
    for sandbox in places {
        let site = sandbox.site().await;
        site.appoint(Role::User, "annalee").await;
        visitors.push(site.visitor());
        site.appoint(Role::Superuser, "chief").await;
        let mut chief = site.visitor();
        chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
        chiefs.push(chief);
        sites.push(site);
    }
    report(world, "sign-in", async |side| {
        sign_out(&mut visitors[side]).await;
        visitors[side].visit("/auth/sign-in/user/").await;
        visitors[side]
            .fill("Username or email address", "annalee@example.org")
            .fill("Password", OTHER_PASSWORD);
        let started = Instant::now();
        visitors[side].press("Sign in").await;
        started.elapsed()
    })
    .await;
    report(world, "profile page", async |side| {
        let started = Instant::now();
        visitors[side].visit("/user-profile/").await;
        started.elapsed()
    })
    .await;
    report(world, "people list", async |side| {
        let started = Instant::now();
        chiefs[side].visit("/admin/users/").await;
        started.elapsed()
    })
    .await;
    let stores: Vec<Db> = sites.iter().map(|site| site.app.db.clone()).collect();
    let now = sites[0].app.clock.now();
    report(world, "outbox claim", async |side| claim(&stores[side], now).await).await;
    for site in sites {
        drop(site.stop().await);
    }
}

async fn sign_out(visitor: &mut Visitor) {
    if visitor.is_signed_in().await {
        visitor.press("Sign out").await;
    }
}

async fn claim(db: &Db, now: Moment) -> Duration {
    let started = Instant::now();
    let claimed = db.write(move |conn| Ok::<_, db::Error>(outbox::claim(conn, now)?)).await;
    assert!(claimed.expect("an answer").is_none(), "nothing waits");
    started.elapsed()
}

/// Measures both sides in turn, so that whatever else the machine does falls on both.
async fn report(world: World, what: &str, mut measure: impl AsyncFnMut(usize) -> Duration) {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for side in [round % 2, 1 - round % 2] {
            times[side].push(measure(side).await);
        }
    }
    let [few, many] = times.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64() * 1000.0
    });
    println!("{world:?}: {what}: {few:.2} and {many:.2} ms, ratio {:.2}", many / few);
}
