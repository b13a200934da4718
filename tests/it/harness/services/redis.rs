//! A redis-server of our own.

use std::sync::LazyLock;

use super::{Guard, find, free_port, wait_for_port};

/// A redis-server, with its folder.
pub struct Redis {
    port: u16,
    guard: Guard,
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
        find("redis-server", &[], "redis-server")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Self { port: free_port(), guard: Guard(None), folder };
        redis.go_on();
        Some(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.guard.stop();
    }

    /// Starts it again on the same port, with what it had saved.
    pub fn go_on(&mut self) {
        self.guard = Guard::start(&format!(
            "redis-server --port {} --bind 127.0.0.1 --dir '{}' --appendonly yes --appendfsync always --save '' --daemonize no",
            self.port,
            self.folder.path().display()
        ));
        wait_for_port(self.port);
    }
}
