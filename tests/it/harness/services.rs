//! The services of this machine, started privately on free ports, and ended with the test run.

mod bucket;
#[cfg(feature = "mysql")]
mod galera;
#[cfg(feature = "mysql")]
mod mariadb;
mod mta;
mod nginx;
mod pgbouncer;
mod postgres;
mod proxies;
mod redis;
mod redises;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use bucket::Bucket;
#[cfg(feature = "mysql")]
pub use galera::Galera;
#[cfg(feature = "mysql")]
pub use mariadb::Mariadb;
pub use mta::Mta;
pub use nginx::Nginx;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use proxies::{HOST, Kind as ProxyKind, Proxy};
pub use redis::Redis;
pub use redises::{Make as RedisMake, Redises};

/// A server that ends when its guard's standard input closes: however the test run ends.
struct Guard(Option<Child>);

impl Guard {
    /// Runs that command line of the shell beside the tests.
    fn start(server: &str) -> Self {
        let line = format!("{server} >/dev/null & server=$!; read -r _; kill -9 $server; wait $server");
        let guard =
            Command::new("sh").args(["-c", &line]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        Self(Some(guard.expect("sh")))
    }

    /// Sends a signal to the server and its children.
    fn signal(&self, signal: &str) {
        let shell = self.0.as_ref().expect("a running server").id();
        let servers = children(&shell.to_string());
        let theirs = servers.iter().flat_map(|server| children(server));
        let all: Vec<String> =
            [format!("-{signal}")].into_iter().chain(servers.clone()).chain(theirs).collect();
        run_to_end("kill".as_ref(), &all.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Ends it at once.
    fn stop(&mut self) {
        if let Some(mut guard) = self.0.take() {
            drop(guard.stdin.take());
            guard.wait().expect("the server ends");
        }
    }
}

fn children(pid: &str) -> Vec<String> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

/// Runs a program to its end.
fn run_to_end(program: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {said}", program.display());
}

/// A certificate for this machine that vouches for itself.
fn make_certificate(openssl: &Path, key: &str, certificate: &str) {
    make_certificate_for(openssl, "localhost", key, certificate);
}

/// One for that name and this machine.
fn make_certificate_for(openssl: &Path, name: &str, key: &str, certificate: &str) {
    let names = format!("subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1");
    let arguments = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
    let more = [
        "-addext",
        names.as_str(),
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        key,
        "-out",
        certificate,
    ];
    run_to_end(openssl, &[&arguments[..], &more].concat());
}

/// Tries until it works.
#[expect(clippy::disallowed_methods, reason = "nothing else runs while a service starts")]
fn wait_until<T, E: std::fmt::Display>(what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < patience, "{what}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn free_port() -> u16 {
    // Below those that the system gives to whoever asks for any: nobody takes it before its server does.
    const RANGE: std::ops::Range<u32> = 20_000..32_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = std::process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = RANGE.start + turn % (RANGE.end - RANGE.start);
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn wait_for_port(port: u16) {
    wait_until("nothing listens", || std::net::TcpStream::connect(("127.0.0.1", port)));
}

/// A program of a package, for a test that runs it itself.
pub fn program(name: &str, package: &'static str) -> Option<PathBuf> {
    find(name, &[], package)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// The program of that name, in the usual places or in `more`; or `None`, and a note at the end of the test run. With
/// `REQUIRE_SERVICES=1` a missing one is a failure.
fn find(program: &str, more: &[PathBuf], package: &'static str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]).chain(more.iter().cloned());
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("REQUIRE_SERVICES").is_none(),
            "{program} is missing: apt-get install {package}"
        );
        note_missing(package);
    }
    found
}

/// A process that says what was left out when this one has ended.
pub fn note_missing(package: &'static str) {
    static MISSING: Mutex<(BTreeSet<&'static str>, Option<Child>)> = Mutex::new((BTreeSet::new(), None));
    let mut missing = MISSING.lock().expect("no test holds it for long");
    if !missing.0.insert(package) {
        return;
    }
    let all: Vec<&str> = missing.0.iter().copied().collect();
    let farewell = missing.1.get_or_insert_with(|| {
        // The last line that it was told before the end counts.
        let line = r#"while read -r all; do last=$all; done; echo "Left out: the tests that need $last. They come with: apt-get install $last" >&2"#;
        Command::new("sh").args(["-c", line]).stdin(Stdio::piped()).spawn().expect("sh")
    });
    let pipe = farewell.stdin.as_mut().expect("a pipe");
    writeln!(pipe, "{}", all.join(" ")).expect("it listens");
}
