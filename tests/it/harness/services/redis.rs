//! A redis-server of our own.

use std::sync::LazyLock;

use super::{Guard, find, free_port, make_certificate, wait_for_port};

/// A redis-server, with its folder.
pub struct Redis {
    port: u16,
    tls_port: u16,
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
        let mut redis = Self { port: free_port(), tls_port: 0, guard: Guard(None), folder };
        redis.go_on();
        Some(redis)
    }

    /// One that also listens with TLS, with a certificate of its own making.
    pub fn start_with_tls() -> Option<Self> {
        find("redis-server", &[], "redis-server")?;
        let openssl = find("openssl", &[], "openssl")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redis = Self { port: free_port(), tls_port: free_port(), guard: Guard(None), folder };
        let (key, certificate) = (redis.inside("key.pem"), redis.certificate());
        make_certificate(&openssl, &key, &certificate);
        redis.go_on();
        Some(redis)
    }

    fn inside(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn certificate(&self) -> String {
        self.inside("certificate.pem")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}/0", self.tls_port)
    }

    /// What the server answers, as text.
    pub fn command(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        for word in words {
            command.arg(word);
        }
        let answer: redis::Value = command.query(&mut self.connection()).expect(line);
        redis::from_redis_value::<String>(answer).unwrap_or_default()
    }

    /// Everything that it holds, as it dumps it.
    pub fn back_up(&self) -> Vec<(String, Vec<u8>)> {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connection()).expect("keys");
        let dump = |key: &String| redis::cmd("DUMP").arg(key).query(&mut self.connection()).expect("a dump");
        keys.iter().map(|key| (key.clone(), dump(key))).collect()
    }

    /// Puts all of that in the place of what it holds now.
    pub fn restore(&self, backup: &[(String, Vec<u8>)]) {
        self.command("FLUSHALL");
        for (key, dump) in backup {
            let mut restore = redis::cmd("RESTORE");
            let answer: String =
                restore.arg(key).arg(0).arg(dump).query(&mut self.connection()).expect("room");
            assert_eq!(answer, "OK");
        }
    }

    fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("a connection")
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: &str) {
        self.guard.signal(signal);
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.guard.stop();
    }

    /// Starts it again on the same port, with what it had saved.
    pub fn go_on(&mut self) {
        let tls = match self.tls_port {
            0 => String::new(),
            port => format!(
                "--tls-port {port} --tls-cert-file '{}' --tls-key-file '{}' --tls-auth-clients no",
                self.certificate(),
                self.inside("key.pem")
            ),
        };
        self.guard = Guard::start(&format!(
            "redis-server --port {} --bind 127.0.0.1 --dir '{}' --pidfile '{}' --appendonly yes --appendfsync always --save '' \
             --daemonize no {tls}",
            self.port,
            self.folder.path().display(),
            self.inside("pid")
        ));
        wait_for_port(self.port);
    }
}
