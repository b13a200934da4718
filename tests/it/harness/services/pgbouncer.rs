//! A `PgBouncer` of our own in front of a PostgreSQL.

use std::path::Path;

use super::{Guard, Postgres, find, free_port, is_root, run_to_end, wait_for_port};

/// A pooler, with its folder.
pub struct PgBouncer {
    port: u16,
    _folder: tempfile::TempDir,
    _guard: Guard,
}

impl PgBouncer {
    /// Debian's, with that `pool_mode`.
    pub fn start(server: &Postgres, mode: &str) -> Option<Self> {
        Some(Self::run(&find("pgbouncer", &[], "pgbouncer")?, server, mode))
    }

    /// A newer one, which keeps apart what its clients prepare: `.ci/run` builds it.
    pub fn start_newer(server: &Postgres, mode: &str) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/pgbouncer");
        let program = find("pgbouncer-1.24", &[folder], "pgbouncer-1.24, which .ci/run builds")?;
        Some(Self::run(&program, server, mode))
    }

    fn run(program: &Path, server: &Postgres, mode: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (place, port) = (folder.path().display(), free_port());
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=latchkey\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\nlogfile = {place}/log\n",
            server.port()
        );
        std::fs::write(folder.path().join("conf"), config).expect("a file");
        let user = if is_root() { "setpriv --reuid=postgres --regid=postgres --clear-groups " } else { "" };
        if is_root() {
            run_to_end("chown".as_ref(), &["-R", "postgres:postgres", &place.to_string()]);
        }
        let guard = Guard::start(&format!("exec {user}'{}' '{place}/conf'", program.display()));
        wait_for_port(port);
        Self { port, _folder: folder, _guard: guard }
    }

    /// The address of a database, by way of it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://latchkey@127.0.0.1:{}/{database}", self.port)
    }
}
