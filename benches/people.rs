//! Whether the admin pages hold with a million people: `cargo bench --bench people`.
//!
//! Any page of the list, a search, one person's page and, with ten million events, one's own devices and activity are to answer in
//! under 50 ms, and the file of all people is to
//! stream in constant memory. Measured on the real program, over each database.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement fails loudly"
)]

/// The program, its visitors and its services are those of the tests.
#[path = "../tests/it"]
#[expect(dead_code, unused_imports, unused_macros, reason = "not all of it is needed here")]
mod it {
    pub mod harness;
}

use std::time::{Duration, Instant};

use it::harness::{
    MailServer, OTHER_PASSWORD, Program, Visitor, World, fill, fill_events, free_port, run_alone,
};
use latchkey::identity::Role;
use reqwest::Method;

const PEOPLE: u32 = 1_000_000;
/// Of which one's own are 10,000.
const EVENTS: u32 = 10_000_000;
const ROUNDS: usize = 40;

/// Person 500,000 in the order of joining, as an address says it.
const MIDDLE: &str = "j1767725598000000.00000000-0000-7000-8000-000000500000";

/// Somewhere in the middle of one's own events.
const LATER: &str = "/user-profile/activity/?after=1792022400000000.01900000-0000-7000-8000-000000000001";

fn main() {
    for world in World::ALL.iter().copied().filter(|world| *world != World::Redis) {
        run_alone(async || measure(world).await);
    }
}

async fn measure(world: World) {
    let Some(mut sandbox) = world.sandbox() else { return };
    let started = Instant::now();
    sandbox.open().migrate().expect("tables");
    fill(world, &sandbox, PEOPLE);
    println!("{world:?}: {PEOPLE} people written in {:.0} s", started.elapsed().as_secs_f64());
    sandbox.settings.extend([
        ("RATE_LIMITS", "off".to_owned()),
        ("DATABASE_URL", sandbox.url()),
        ("COURIER", "off".to_owned()),
    ]);
    let site = sandbox.site().await;
    site.appoint(Role::Superuser, "chief").await;
    drop(site.stop().await);
    let started = Instant::now();
    fill_events(world, &sandbox, EVENTS, PEOPLE);
    println!("{world:?}: {EVENTS} events written in {:.0} s", started.elapsed().as_secs_f64());

    let (folder, mail, port) = (tempfile::tempdir().unwrap(), MailServer::start().await, free_port());
    let program = Program::serve(folder.path(), port, &mail, &sandbox.settings);
    let mut chief = Visitor::new(format!("http://localhost:{port}"), "10.0.0.1".to_owned());
    chief.sign_in_at("/auth/sign-in/superuser/", "chief", OTHER_PASSWORD).await;
    let middle = format!("/admin/users/?after={MIDDLE}");
    let pages = [
        ("first page", "/admin/users/"),
        ("a page in the middle", middle.as_str()),
        ("last page by username", "/admin/users/?sort=username&after=up999980"),
        ("a page by address, backwards", "/admin/users/?sort=-email&after=ep500000@example.org"),
        ("merchants by username, a later page", "/admin/users/?role=merchant&sort=username&after=up50"),
        ("staff by address", "/admin/users/?role=staff&sort=email"),
        ("blocked", "/admin/users/?status=blocked"),
        ("blocked merchants by username", "/admin/users/?status=blocked&role=merchant&sort=username"),
        ("joined on a day", "/admin/users/?joined_from=2026-01-05&joined_until=2026-01-05"),
        ("search for the beginning of few", "/admin/users/?q=p99999"),
        ("search for the beginning of all", "/admin/users/?q=p"),
        ("one person", "/admin/users/00000000-0000-7000-8000-000000500000/"),
        ("their events", "/admin/events/?person=p500000"),
        ("overview", "/admin/"),
        ("one's devices", "/user-profile/sessions/"),
        ("one's activity", "/user-profile/activity/"),
        ("one's activity, sign-ins alone", "/user-profile/activity/?show=signing-in"),
        ("one's activity, changes by staff alone", "/user-profile/activity/?show=staff"),
        ("one's activity, a later page", LATER),
        ("search in the middle, of few", "/admin/users/?q=99999@ex"),
        ("search in the middle, of all", "/admin/users/?q=example"),
        ("search in the middle, of nobody", "/admin/users/?q=zebra@ex"),
    ];
    for (name, path) in pages {
        report(world, name, path, &mut chief).await;
    }
    let before = program.memory("VmHWM");
    let started = Instant::now();
    let mut answer = chief.request(Method::GET, "/admin/users.csv").send().await.expect("a file");
    let (mut bytes, mut lines) = (0, 0);
    while let Some(chunk) = answer.chunk().await.expect("more of it") {
        bytes += chunk.len();
        lines += chunk.split(|byte| *byte == b'\n').count() - 1;
    }
    println!(
        "{world:?}: all people as a file: {lines} lines, {:.0} MB in {:.1} s; peak memory {before:.1} MB before, {:.1} MB after",
        f64::from(u32::try_from(bytes >> 10).unwrap()) / 1024.0,
        started.elapsed().as_secs_f64(),
        program.memory("VmHWM")
    );
}

async fn report(world: World, name: &str, path: &str, chief: &mut Visitor) {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        chief.visit(path).await;
        times.push(started.elapsed());
        assert_eq!(chief.page().status, 200, "{path}: {}", chief.page());
    }
    times.sort_unstable();
    let milliseconds = |index: usize| times[index].as_secs_f64() * 1000.0;
    let (median, p95) = (milliseconds(ROUNDS / 2), milliseconds(ROUNDS * 95 / 100));
    println!("{world:?}: {name}: median {median:.1} ms, p95 {p95:.1} ms");
    // MariaDB has no index for it, and reads every row.
    let has_goal = !name.contains("in the middle") || matches!(world, World::Embedded | World::Postgres);
    assert!(median < 50.0 || !has_goal, "{name}: the goal is 50 ms");
}
