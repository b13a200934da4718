//! The load: wrk, which asks one page again and again, and people who sign in without pause.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::it::harness::{PASSWORD, Program, Visitor, program};

/// What wrk says of one round, and what the server spent on it.
#[derive(Clone, Copy, Default)]
pub struct Round {
    pub per_second: f64,
    /// In milliseconds, as the other times.
    pub p50: f64,
    pub p99: f64,
    pub slowest: f64,
    /// Microseconds of the server's processor time for each request.
    pub cpu: f64,
}

/// What is asked, and how.
#[derive(Clone)]
pub struct Ask {
    pub url: String,
    pub headers: Vec<String>,
}

/// Debian's package of that name.
#[derive(Clone)]
pub struct Wrk(PathBuf);

impl Wrk {
    pub fn find() -> Option<Self> {
        program("wrk", "wrk").map(Self)
    }

    /// Asks the server of that process id for so many seconds.
    pub fn run(&self, ask: &Ask, connections: usize, seconds: u32, server: u32) -> Round {
        let mut command = Command::new(&self.0);
        command.args(["--latency", "-t1", "-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
        for header in &ask.headers {
            command.args(["-H", header]);
        }
        let before = cpu(server);
        let output = command.arg(&ask.url).output().expect("wrk");
        let spent = cpu(server).saturating_sub(before);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("Non-2xx"), "{ask_url}: {said}", ask_url = ask.url);
        let words = |line: &str, index: usize| {
            let found = said.lines().find(|text| text.trim_start().starts_with(line));
            let found = found.unwrap_or_else(|| panic!("{line} in {said}"));
            found.split_whitespace().nth(index).expect("a figure").to_owned()
        };
        let requests = said.lines().find(|line| line.contains(" requests in ")).expect("a sum");
        let requests: f64 = requests.split_whitespace().next().unwrap().parse().unwrap();
        Round {
            per_second: words("Requests/sec:", 1).parse().unwrap(),
            p50: milliseconds(&words("50%", 1)),
            p99: milliseconds(&words("99%", 1)),
            slowest: milliseconds(&words("Latency", 3)),
            cpu: spent.as_secs_f64() * 1e6 / requests,
        }
    }
}

/// A process and its children: gunicorn is three.
fn family(pid: u32) -> impl Iterator<Item = u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("Linux");
    let children: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    std::iter::once(pid).chain(children)
}

/// Processor time that a server has used so far, its threads included. Linux counts it in hundredths of a second.
fn cpu(pid: u32) -> Duration {
    let ticks = |pid: u32| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux");
        let (_, fields) = text.rsplit_once(')').expect("a name");
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
    };
    Duration::from_millis(family(pid).map(ticks).sum::<u64>() * 10)
}

/// Megabytes that a server has resident.
pub fn resident(pid: u32) -> f64 {
    family(pid).map(|pid| Program::memory_of(pid, "VmRSS")).sum()
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

/// The median of each figure.
pub fn median(rounds: &[Round]) -> Round {
    let middle = |figure: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Round {
        per_second: middle(|round| round.per_second),
        p50: middle(|round| round.p50),
        p99: middle(|round| round.p99),
        slowest: middle(|round| round.slowest),
        cpu: middle(|round| round.cpu),
    }
}

/// People who sign in without pause, until it is dropped.
pub struct Flood {
    /// How often each client has signed in.
    signed_in: Vec<Arc<AtomicU32>>,
    clients: Vec<actix_web::rt::task::JoinHandle<()>>,
}

impl Flood {
    pub fn start(port: u16, clients: u8) -> Self {
        let client = |number: u8| {
            let signed_in = Arc::<AtomicU32>::default();
            let visitor = Visitor::new(format!("http://localhost:{port}"), format!("10.1.{number}.1"));
            let count = Arc::clone(&signed_in);
            let client = actix_web::rt::spawn(async move {
                loop {
                    let fields = [("username", "bobbob"), ("password", PASSWORD)];
                    let answer = visitor.posting("/auth/sign-in/user/", &fields).send().await;
                    let is_in = answer.expect("an answer").status() == 303;
                    count.fetch_add(is_in.into(), Ordering::Relaxed);
                }
            });
            (signed_in, client)
        };
        let (signed_in, clients) = (0..clients).map(client).unzip();
        Self { signed_in, clients }
    }

    /// Waits until each has signed in twice: then no email about a new device is left to be sent.
    pub async fn get_under_way(&self) {
        let patience = Instant::now();
        while self.signed_in.iter().any(|count| count.load(Ordering::Relaxed) < 2) {
            self.assert_that_all_go_on();
            assert!(patience.elapsed() < Duration::from_secs(120), "nobody signs in");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Does `work`, and counts how many sign in per second meanwhile.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> (f64, T) {
        let count =
            || self.signed_in.iter().map(|count| f64::from(count.load(Ordering::Relaxed))).sum::<f64>();
        let (began, before) = (Instant::now(), count());
        let done = work.await;
        self.assert_that_all_go_on();
        ((count() - before) / began.elapsed().as_secs_f64(), done)
    }

    fn assert_that_all_go_on(&self) {
        assert!(self.clients.iter().all(|client| !client.is_finished()), "a client gave up");
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.clients.iter().for_each(actix_web::rt::task::JoinHandle::abort);
    }
}
