//! Whether being asked about every request costs more than it must: `cargo bench --bench forward_auth --all-features`.
//!
//! `/forward-auth` of the real program beside a bare handler that does the same reads in the fastest way known, in turns, on each
//! database; then while 32 clients sign in without pause. The load comes from wrk (Debian's package of that name) on the same machine.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement fails loudly, and the bare handler blocks as such handlers do"
)]

/// The program, its visitors and its services are those of the tests.
#[path = "../tests/it"]
#[expect(dead_code, unused_imports, unused_macros, reason = "not all of it is needed here")]
mod it {
    pub mod harness;
}

mod bare;

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use it::harness::{
    AtApplication, MailServer, PASSWORD, Program, World, free_port, program, run_alone, wait_for_port,
};

const ROUNDS: usize = 5;
/// How long wrk asks in each of them.
const SPAN: &str = "4s";
const CONNECTIONS: &str = "32";
/// A busy site that is not at its limit.
const FEW: &str = "8";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, url, port] = arguments.as_slice()
        && word == "bare"
    {
        return bare::serve(url, port.parse().expect("a port"));
    }
    let Some(wrk) = program("wrk", "wrk") else { return };
    let mut missed = Vec::new();
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        run_alone(async || missed.extend(measure(*world, wrk.to_str().unwrap()).await));
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// What wrk says of one round.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    /// In milliseconds.
    p99: f64,
}

/// Measures in one world; returns the goals that were missed.
async fn measure(world: World, wrk: &str) -> Vec<String> {
    let Some(sandbox) = world.sandbox() else { return Vec::new() };
    let site = sandbox.site().await;
    let mut ann = site.member("annalee").await;
    let mut wiki = AtApplication::new(&site, "wiki.example.org");
    assert_eq!(wiki.open(&mut ann, "/").await.status, 200);
    // Whose sessions push out only their own.
    site.member("bobbob").await;
    drop(site.stop().await);

    let (folder, mail) = (tempfile::tempdir().unwrap(), MailServer::start().await);
    let (port, bare_port) = (free_port(), free_port());
    let mut settings: HashMap<&'static str, String> = sandbox.settings.clone();
    settings.extend([
        ("DATABASE_URL", sandbox.url()),
        ("PUBLIC_URL", format!("http://localhost:{port}")),
        ("APPS", "https://wiki.example.org user".to_owned()),
        ("RATE_LIMITS", "off".to_owned()),
        ("BCRYPT_COST", "12".to_owned()),
    ]);
    let ours = Program::serve(folder.path(), port, &mail, &settings);
    let bare = Bare::start(&sandbox.url(), bare_port);
    let (our_url, bare_url) =
        (format!("http://127.0.0.1:{port}/forward-auth"), format!("http://127.0.0.1:{bare_port}/"));
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let pair =
            (run(wrk, CONNECTIONS, &our_url, &wiki.cookie), run(wrk, CONNECTIONS, &bare_url, &wiki.cookie));
        // The first one warms up.
        if round > 0 {
            rounds.push(pair);
        }
    }
    let (our, their) = (median(rounds.iter().map(|pair| pair.0)), median(rounds.iter().map(|pair| pair.1)));
    let ratio = our.per_second / their.per_second;
    println!(
        "{world:?}: /forward-auth {:.0} requests/s, p99 {:.1} ms; bare handler {:.0}, {:.1} ms; ratio {ratio:.2} (goal: 0.80); {:.1} MB resident",
        our.per_second,
        our.p99,
        their.per_second,
        their.p99,
        ours.memory("VmRSS")
    );
    drop(bare);
    let flood = flood(port);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let wrk = wrk.to_owned();
    let cookie = wiki.cookie.clone();
    let both = tokio::task::spawn_blocking(move || {
        [FEW, CONNECTIONS].map(|connections| run(&wrk, connections, &our_url, &cookie))
    });
    let [few, many] = both.await.expect("wrk");
    let signed_in = flood.stop().await;
    println!(
        "{world:?}: while 32 clients sign in without pause ({signed_in} did): {FEW} connections {:.0} requests/s, p99 {:.1} ms (goal: 10); {CONNECTIONS} connections {:.0}, {:.1} ms",
        few.per_second, few.p99, many.per_second, many.p99
    );
    let ratio_missed = (ratio < 0.8).then(|| format!("{world:?}: ratio {ratio:.2}"));
    let flood_missed = (few.p99 >= 10.0).then(|| format!("{world:?}: p99 {:.1} ms", few.p99));
    ratio_missed.into_iter().chain(flood_missed).collect()
}

fn median(rounds: impl Iterator<Item = Round>) -> Round {
    let all: Vec<Round> = rounds.collect();
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Round {
        per_second: middle(all.iter().map(|round| round.per_second).collect()),
        p99: middle(all.iter().map(|round| round.p99).collect()),
    }
}

/// Asks as a proxy does, for as long as a round lasts.
fn run(wrk: &str, connections: &str, url: &str, cookie: &str) -> Round {
    let mut command = Command::new(wrk);
    command.args(["--latency", "-t1", "-c", connections, "-d", SPAN]);
    for header in [
        "X-Forwarded-Method: GET",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: wiki.example.org",
        "X-Forwarded-Uri: /static/picture.png?version=3",
        "X-Forwarded-For: 203.0.113.9",
        "Accept: image/avif,image/webp,*/*",
        "Sec-Fetch-Mode: no-cors",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ] {
        command.args(["-H", header]);
    }
    let output = command.args(["-H", &format!("Cookie: {cookie}"), url]).output().expect("wrk");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("Non-2xx"), "{said}");
    let after = |word: &str| {
        let line = said.lines().find(|line| line.trim_start().starts_with(word));
        line.unwrap_or_else(|| panic!("{word} in {said}")).split_whitespace().last().unwrap().to_owned()
    };
    Round { per_second: after("Requests/sec:").parse().unwrap(), p99: milliseconds(&after("99%")) }
}

fn milliseconds(text: &str) -> f64 {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).expect("a unit"));
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => panic!("{text}"),
    };
    number.parse::<f64>().expect("a number") * factor
}

/// The bare handler, in a process of its own.
struct Bare(Child);

impl Bare {
    fn start(url: &str, port: u16) -> Self {
        let this = std::env::current_exe().expect("this program");
        let child = Command::new(this).args(["bare", url, &port.to_string()]).stdin(Stdio::null()).spawn();
        wait_for_port(port);
        Self(child.expect("it starts"))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

/// People who sign in without pause.
struct Flood {
    stop: tokio::sync::watch::Sender<bool>,
    clients: Vec<actix_web::rt::task::JoinHandle<usize>>,
}

fn flood(port: u16) -> Flood {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let client = |number: u8| {
        let stopped = stopped.clone();
        let visitor =
            it::harness::Visitor::new(format!("http://localhost:{port}"), format!("10.1.{number}.1"));
        actix_web::rt::spawn(async move {
            let mut count = 0;
            while !*stopped.borrow() {
                let fields = [("username", "bobbob"), ("password", PASSWORD)];
                let answer = visitor.posting("/auth/sign-in/user/", &fields).send().await.expect("an answer");
                count += usize::from(answer.status() == 303);
            }
            count
        })
    };
    Flood { stop, clients: (0..32).map(client).collect() }
}

impl Flood {
    async fn stop(self) -> usize {
        self.stop.send_replace(true);
        let mut count = 0;
        for client in self.clients {
            count += client.await.expect("a client");
        }
        count
    }
}
