//! Three nodes of MariaDB that are one database (Galera).

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection, QueryableByName, RunQueryDsl, sql_types};

use super::{Guard, find, free_port, is_root, run_to_end, wait_until};

/// Debian's place for what makes them one.
const PROVIDER: &str = "/usr/lib/galera/libgalera_smm.so";
/// A node that is gone is given up after a second, where six are usual.
const IMPATIENCE: &str = "evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;\
     evs.inactive_timeout=PT2S;evs.join_retrans_period=PT0.3S;gmcast.peer_timeout=PT1S";

/// The nodes, with their folder.
pub struct Galera {
    nodes: Vec<Node>,
    program: PathBuf,
    folder: tempfile::TempDir,
}

struct Node {
    port: u16,
    /// The first of three ports by which the nodes talk: as a group, and to bring one up to date, by log or by copy.
    group: [u16; 3],
    guard: Guard,
}

#[derive(QueryableByName)]
struct Status {
    #[diesel(sql_type = sql_types::Text, column_name = "Value")]
    value: String,
}

impl Galera {
    /// Three nodes that are in step; `None` when there is no MariaDB on this machine.
    pub fn start() -> Option<Self> {
        let program = find("mariadbd", &[], "mariadb-server")?;
        let install = find("mariadb-install-db", &[], "mariadb-server")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display().to_string();
        if is_root() {
            // As root, what copies a node to another one would be somebody else at its other end.
            run_to_end("chown".as_ref(), &["mysql:mysql", &place]);
        }
        let new = |_| Node { port: free_port(), group: [(); 3].map(|()| free_port()), guard: Guard(None) };
        let mut galera = Self { nodes: (0..3).map(new).collect(), program, folder };
        for number in 0..3 {
            let install = format!(
                "{}'{}' --no-defaults --auth-root-authentication-method=normal --skip-test-db --datadir='{place}/{number}' --tmpdir='{place}'",
                as_mysql(),
                install.display()
            );
            run_to_end("sh".as_ref(), &["-c", &install]);
        }
        // The others copy the accounts, as they copy everything.
        let grants = ["localhost", "%"].map(|host| {
            format!(
                "CREATE USER IF NOT EXISTS latchkey@'{host}' IDENTIFIED BY 'latchkey';\n\
                 GRANT ALL ON *.* TO latchkey@'{host}' WITH GRANT OPTION;\n"
            )
        });
        std::fs::write(galera.folder.path().join("init.sql"), grants.concat()).expect("a file");
        galera.spawn(0, "gcomm://", &format!("--init-file='{place}/init.sql'"));
        galera.wait_for(0);
        galera.rejoin(1);
        galera.rejoin(2);
        Some(galera)
    }

    /// The address of a database on one node.
    pub fn url(&self, node: usize, database: &str) -> String {
        format!("mysql://latchkey:latchkey@127.0.0.1:{}/{database}", self.nodes[node].port)
    }

    /// The address of a database on all nodes, that one first.
    pub fn url_of_all(&self, first: usize, database: &str) -> String {
        let hosts = (0..3).map(|turn| format!("127.0.0.1:{}", self.nodes[(first + turn) % 3].port));
        format!("mysql://latchkey:latchkey@{}/{database}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Ends a node at once.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].guard.stop();
    }

    /// Freezes a node: it takes what is sent to it, and says nothing.
    pub fn freeze(&self, node: usize) {
        self.nodes[node].guard.signal("STOP");
    }

    /// Starts a node again, and waits until it is in step with the others.
    pub fn rejoin(&mut self, node: usize) {
        let group = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.group[0]));
        let address = format!("gcomm://{}", group.collect::<Vec<_>>().join(","));
        self.spawn(node, &address, "");
        self.wait_for(node);
    }

    /// Runs statements on one node.
    pub fn execute(&self, node: usize, statements: &str) {
        let mut conn =
            wait_until("no connection to a node", || MysqlConnection::establish(&self.url(node, "mysql")));
        conn.batch_execute(statements).expect(statements);
    }

    fn spawn(&mut self, number: usize, address: &str, more: &str) {
        let place = self.folder.path().display();
        let node = &mut self.nodes[number];
        let [group, log, copy] = node.group;
        let options = format!(
            "base_host=127.0.0.1;base_port={group};gmcast.listen_addr=tcp://127.0.0.1:{group};ist.recv_addr=127.0.0.1:{log};\
             gcache.size=16M;gcache.page_size=16M;{IMPATIENCE}"
        );
        node.guard = Guard::start(&format!(
            "exec {}'{}' --no-defaults --datadir='{place}/{number}' --socket='{place}/socket{number}' --pid-file='{place}/pid{number}' \
             --port={} --bind-address=127.0.0.1 --log-error='{place}/log{number}.err' --innodb-flush-log-at-trx-commit=2 \
             --max-connections=200 --skip-log-bin --innodb-buffer-pool-size=32M --innodb-log-file-size=16M \
             --innodb-autoinc-lock-mode=2 --binlog-format=ROW --default-storage-engine=InnoDB --wsrep-on=ON \
             --wsrep-provider={PROVIDER} --wsrep-cluster-name=latchkey --wsrep-node-name=n{number} \
             --wsrep-cluster-address='{address}' --wsrep-node-address=127.0.0.1:{group} \
             --wsrep-node-incoming-address=127.0.0.1:{} --wsrep-sst-method=rsync \
             --wsrep-sst-receive-address=127.0.0.1:{copy} --wsrep-provider-options='{options}' {more}",
            as_mysql(),
            self.program.display(),
            node.port,
            node.port,
        ));
    }

    fn wait_for(&self, node: usize) {
        wait_until("a node does not get in step", || {
            let mut conn =
                MysqlConnection::establish(&self.url(node, "mysql")).map_err(|error| error.to_string())?;
            let status = diesel::sql_query("SHOW STATUS LIKE 'wsrep_ready'").get_result::<Status>(&mut conn);
            match status {
                Ok(status) if status.value == "ON" => Ok(()),
                Ok(_) => Err("not ready".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        });
    }
}

fn as_mysql() -> &'static str {
    if is_root() { "setpriv --reuid=mysql --regid=mysql --clear-groups " } else { "" }
}
