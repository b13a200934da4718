//! A MariaDB server of our own.

use std::path::PathBuf;
use std::sync::LazyLock;

use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection};

use super::{Guard, find, free_port, is_root, run_to_end, wait_until};

/// A server, with its folder.
pub struct Mariadb {
    port: u16,
    guard: Guard,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Mariadb {
    /// The one that most tests share, each with a database of its own.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<Mariadb>> = LazyLock::new(Mariadb::start);
        SHARED.as_ref()
    }

    /// One that can be stopped without harm to others.
    pub fn start() -> Option<Self> {
        let program = find("mariadbd", &[], "mariadb-server")?;
        let install = find("mariadb-install-db", &[], "mariadb-server")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = format!("--datadir={}/data", folder.path().display());
        // Two that install at once would take each other's temporary tables away.
        let scratch = format!("--tmpdir={}", folder.path().display());
        let mut arguments = vec![
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            &data,
            &scratch,
        ];
        arguments.extend(is_root().then_some("--user=root"));
        run_to_end(&install, &arguments);
        // By both names: a fresh server has a nobody at localhost who would come first.
        let grants = ["localhost", "%"].map(|host| {
            format!(
                "CREATE USER IF NOT EXISTS latchkey@'{host}' IDENTIFIED BY 'latchkey';\n\
                 GRANT ALL ON *.* TO latchkey@'{host}' WITH GRANT OPTION;\n"
            )
        });
        std::fs::write(folder.path().join("init.sql"), grants.concat()).expect("a file");
        let mut server = Self { port: free_port(), guard: Guard(None), program, folder };
        server.go_on();
        Some(server)
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://latchkey:latchkey@127.0.0.1:{}/{database}", self.port)
    }

    /// Sends it a signal.
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
        let user = if is_root() { "--user=root" } else { "" };
        // What a crash of the machine costs is not what these tests are about.
        self.guard = Guard::start(&format!(
            "exec '{}' --no-defaults {user} --datadir='{place}/data' --socket='{place}/socket' --pid-file='{place}/pid' --port={} --bind-address=127.0.0.1 \
             --init-file='{place}/init.sql' --innodb-flush-log-at-trx-commit=2 --max-connections=400 --skip-log-bin",
            self.program.display(),
            self.port
        ));
        wait_until("MariaDB does not start", || MysqlConnection::establish(&self.url("mysql")));
    }

    /// Runs statements outside of any test's database.
    pub fn execute(&self, statements: &str) {
        let mut conn =
            wait_until("no connection to MariaDB", || MysqlConnection::establish(&self.url("mysql")));
        conn.batch_execute(statements).expect(statements);
    }
}
