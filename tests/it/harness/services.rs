//! The services of this machine, started privately on free ports, and ended with the test run.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// A redis-server of our own.
pub struct Redis {
    port: u16,
    // Its standard input: the server ends when this end closes, however the test run ends.
    guard: Option<Child>,
    folder: tempfile::TempDir,
}

impl Redis {
    /// The one that most tests share, each under its own prefix; `None` when there is none on this machine.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<Redis>> = LazyLock::new(Redis::start);
        SHARED.as_ref()
    }

    /// One that can be stopped without harm to others.
    pub fn start() -> Option<Self> {
        find("redis-server", "redis-server")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Self { port: free_port(), guard: None, folder };
        redis.go_on();
        Some(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().expect("redis-server ends");
        }
    }

    /// Starts it again on the same port, with what it had saved.
    pub fn go_on(&mut self) {
        let line = format!(
            "redis-server --port {} --bind 127.0.0.1 --dir '{}' --appendonly yes --appendfsync always --save '' \
             --daemonize no >/dev/null & server=$!; read -r _; kill -9 $server; wait $server",
            self.port,
            self.folder.path().display()
        );
        let guard =
            Command::new("sh").args(["-c", &line]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        self.guard = Some(guard.expect("sh"));
        wait_for_port(self.port);
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs while a service starts")]
pub fn wait_for_port(port: u16) {
    let patience = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < patience, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The program of that name, or `None` and a note at the end of the test run. With `REQUIRE_SERVICES=1` a missing
/// one is a failure.
fn find(program: &str, package: &'static str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
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
fn note_missing(package: &'static str) {
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
