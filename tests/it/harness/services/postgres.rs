//! A PostgreSQL server of our own.

use std::path::PathBuf;
use std::sync::LazyLock;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::{Guard, find, free_port, is_root, make_certificate, run_to_end, wait_until};

/// A server, with its folder.
pub struct Postgres {
    port: u16,
    guard: Guard,
    /// Further settings of the server.
    more: String,
    binaries: PathBuf,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// The one that most tests share, each with a database of its own.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<Postgres>> = LazyLock::new(Postgres::start);
        SHARED.as_ref()
    }

    /// One that can be stopped without harm to others.
    pub fn start() -> Option<Self> {
        let mut server = Self::prepare()?;
        server.go_on();
        Some(server)
    }

    /// One that speaks TLS, with a certificate of its own making.
    pub fn start_with_tls() -> Option<Self> {
        let openssl = find("openssl", &[], "openssl")?;
        let mut server = Self::prepare()?;
        let (key, certificate) =
            (server.folder.path().join("key.pem").display().to_string(), server.certificate());
        make_certificate(&openssl, &key, &certificate);
        if is_root() {
            run_to_end("chown".as_ref(), &["postgres:postgres", &key, &certificate]);
        }
        server.more = format!("-c ssl=on -c ssl_key_file='{key}' -c ssl_cert_file='{certificate}'");
        server.go_on();
        Some(server)
    }

    pub fn certificate(&self) -> String {
        self.folder.path().join("certificate.pem").display().to_string()
    }

    fn prepare() -> Option<Self> {
        // Debian keeps the servers of all versions beside each other.
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
        let initdb = find("initdb", &places, "postgresql")?.canonicalize().expect("a file");
        let binaries = initdb.parent().expect("a folder").to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        if is_root() {
            // It refuses to run as root; Debian's package brings a user for it.
            run_to_end("chown".as_ref(), &["postgres:postgres", &place]);
        }
        let server = Self { port: free_port(), guard: Guard(None), more: String::new(), binaries, folder };
        let initdb = format!(
            "{} -D '{place}/data' -U latchkey -A trust -N -E UTF8 --locale=C",
            server.program("initdb")
        );
        run_to_end("sh".as_ref(), &["-c", &initdb]);
        Some(server)
    }

    fn program(&self, name: &str) -> String {
        let user = if is_root() { "setpriv --reuid=postgres --regid=postgres --clear-groups " } else { "" };
        format!("{user}{}", self.binaries.join(name).display())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// One that follows it and can take its place: what the first one acknowledges from now on, the other one has.
    pub fn standby(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        if is_root() {
            run_to_end("chown".as_ref(), &["postgres:postgres", &place]);
        }
        let copy = format!(
            "{} -D '{place}/data' -R -c fast -h 127.0.0.1 -p {} -U latchkey",
            self.program("pg_basebackup"),
            self.port
        );
        run_to_end("sh".as_ref(), &["-c", &copy]);
        let binaries = self.binaries.clone();
        let mut standby =
            Self { port: free_port(), guard: Guard(None), more: String::new(), binaries, folder };
        standby.go_on();
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.execute("SELECT pg_reload_conf()");
        let mut conn = PgConnection::establish(&self.url("postgres")).expect("a connection");
        wait_until("the standby is not in step", || {
            let in_step =
                "SELECT 1 / count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')";
            conn.batch_execute(in_step)
        });
        standby
    }

    /// Makes a standby the one that writes.
    pub fn promote(&self) {
        self.execute("SELECT pg_promote()");
    }

    /// The address of a database on whichever of the two writes.
    pub fn url_of_both(&self, other: &Self, database: &str) -> String {
        format!("postgres://latchkey@127.0.0.1:{},127.0.0.1:{}/{database}", self.port, other.port)
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://latchkey@127.0.0.1:{}/{database}", self.port)
    }

    /// Sends a signal to all of its processes.
    pub fn signal(&self, signal: &str) {
        self.guard.signal(signal);
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.guard.stop();
    }

    /// Starts it again on the same port, with what it had.
    pub fn go_on(&mut self) {
        let place = self.folder.path().display();
        // What a crash of the machine costs is not what these tests are about.
        self.guard = Guard::start(&format!(
            "exec {} -D '{place}/data' -k '{place}' -p {} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=400 {}",
            self.program("postgres"),
            self.port,
            self.more
        ));
        wait_until("PostgreSQL does not start", || PgConnection::establish(&self.url("postgres")));
    }

    /// Runs statements outside of any test's database.
    pub fn execute(&self, statements: &str) {
        let mut conn =
            wait_until("no connection to PostgreSQL", || PgConnection::establish(&self.url("postgres")));
        conn.batch_execute(statements).expect(statements);
    }
}
