//! Several servers that are one Redis: with sentinels, which choose the one that writes, or as a cluster. Of Redis, or of Valkey.

use std::path::{Path, PathBuf};

use super::{Guard, find, free_port, run_to_end, wait_for_port, wait_until};

/// Whose servers.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    Redis,
    /// Its successor: `.ci/run` unpacks it.
    Valkey,
}

/// One of the servers.
struct Server {
    port: u16,
    guard: Guard,
}

/// The servers, with their folder.
pub struct Redises {
    servers: Vec<Server>,
    sentinels: Vec<Server>,
    folder: tempfile::TempDir,
}

impl Make {
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Redis => find("redis-server", &[], "redis-server"),
            Self::Valkey => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/valkey");
                find("valkey-server", &[folder], "valkey-server, which .ci/run unpacks")
            }
        }
    }
}

impl Redises {
    /// A server and its replica, under the eyes of three sentinels.
    pub fn with_sentinels(make: Make) -> Option<Self> {
        let program = make.program()?.display().to_string();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redises = Self { servers: Vec::new(), sentinels: Vec::new(), folder };
        redises.serve(&program, "--repl-diskless-sync-delay 0");
        let first = redises.servers[0].port;
        redises.serve(&program, &format!("--repl-diskless-sync-delay 0 --replicaof '127.0.0.1 {first}'"));
        wait_until("the replica is not in step", || match redises.ask(1, &["INFO", "replication"]) {
            said if said.contains("master_link_status:up") => Ok(()),
            said => Err(said),
        });
        for number in 0..3 {
            redises.watch(&program, number, first);
        }
        Some(redises)
    }

    /// Three servers with a replica each, as a cluster.
    pub fn as_cluster(make: Make) -> Option<Self> {
        let program = make.program()?.display().to_string();
        find("redis-cli", &[], "redis-tools")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut redises = Self { servers: Vec::new(), sentinels: Vec::new(), folder };
        for _ in 0..6 {
            let bus = free_port();
            redises.serve(
                &program,
                &format!(
                    "--cluster-enabled yes --cluster-port {bus} --cluster-config-file nodes.conf --cluster-node-timeout 1000 \
                     --cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0"
                ),
            );
        }
        let nodes: Vec<String> =
            redises.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(nodes.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        run_to_end("redis-cli".as_ref(), &create);
        for number in 0..6 {
            wait_until("the cluster is not whole", || match redises.ask(number, &["CLUSTER", "INFO"]) {
                said if said.contains("cluster_state:ok") && said.contains("cluster_known_nodes:6") => Ok(()),
                said => Err(said),
            });
        }
        Some(redises)
    }

    /// Starts a further server, in a folder of its own.
    fn serve(&mut self, program: &str, more: &str) {
        let (number, port) = (self.servers.len(), free_port());
        let place = self.folder.path().join(number.to_string());
        std::fs::create_dir(&place).expect("a folder");
        let guard = Guard::start(&format!(
            "exec '{program}' --port {port} --bind 127.0.0.1 --dir '{}' --save '' --daemonize no {more}",
            place.display()
        ));
        wait_for_port(port);
        self.servers.push(Server { port, guard });
    }

    /// Starts a sentinel that is quick to judge.
    fn watch(&mut self, program: &str, number: usize, first: u16) {
        let port = free_port();
        let place = self.folder.path().display();
        let file = self.folder.path().join(format!("sentinel{number}.conf"));
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {place}\ndaemonize no\nsentinel monitor main 127.0.0.1 {first} 2\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\nsentinel parallel-syncs main 1\n"
        );
        std::fs::write(&file, config).expect("a file");
        let guard = Guard::start(&format!("exec '{program}' '{}' --sentinel", file.display()));
        wait_for_port(port);
        self.sentinels.push(Server { port, guard });
        let tuned = "info-period 200 ping-period 300 ask-period 100 publish-period 200 min-link-reconnect-period 100 election-timeout 1000";
        let mut tune = redis::cmd("SENTINEL");
        tune.arg("DEBUG");
        for word in tuned.split(' ') {
            tune.arg(word);
        }
        tune.query::<()>(&mut connection(port)).expect("a quick sentinel");
    }

    /// Waits until the sentinels know each other and the replica.
    pub fn wait_for_sentinels(&self) {
        for sentinel in &self.sentinels {
            wait_until("the sentinels do not know each other", || {
                let mut ask = redis::cmd("SENTINEL");
                let known: std::collections::HashMap<String, String> =
                    ask.arg("MASTER").arg("main").query(&mut connection(sentinel.port)).expect("an answer");
                let number = |name: &str| known.get(name).cloned().unwrap_or_default();
                match (number("num-other-sentinels").as_str(), number("num-slaves").as_str()) {
                    ("2", "1") => Ok(()),
                    (others, replicas) => Err(format!("{others} others, {replicas} replicas")),
                }
            });
        }
    }

    /// The address by way of the sentinels.
    pub fn sentinel_url(&self) -> String {
        format!("redis+sentinel://{}/main/0", hosts(&self.sentinels))
    }

    /// The address of the cluster.
    pub fn cluster_url(&self) -> String {
        format!("redis+cluster://{}", hosts(&self.servers))
    }

    /// Ends a server at once. The first three of a cluster are those that write, and so is the first one of two.
    pub fn kill(&mut self, number: usize) {
        self.servers[number].guard.stop();
    }

    /// Freezes one: it takes what is sent to it, and says nothing.
    pub fn freeze(&self, number: usize) {
        self.servers[number].guard.signal("STOP");
    }

    fn ask(&self, number: usize, words: &[&str]) -> String {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection(self.servers[number].port)).expect("an answer")
    }
}

fn connection(port: u16) -> redis::Connection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    client.get_connection().expect("a connection")
}

fn hosts(servers: &[Server]) -> String {
    servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect::<Vec<_>>().join(",")
}
