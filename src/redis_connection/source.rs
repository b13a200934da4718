//! Where a connection to Redis comes from: one server, whichever the sentinels name, or a cluster.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    RedisError, RedisFuture, TlsMode, Value,
};
use secrecy::{ExposeSecret, SecretString};

use crate::config::RedisPlace;

const RESPONSE_TIMEOUT: Duration = Duration::from_millis(400);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// For finding out which server to connect to, and connecting.
const OVERALL_CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// How often a command is led on within a cluster that changes, and how long it waits for that: a page waits for it.
const CLUSTER_RETRIES: u32 = 3;
const MAX_CLUSTER_WAIT: Duration = Duration::from_millis(100);

/// A way to connections.
#[expect(clippy::large_enum_variant, reason = "there is one for each worker")]
pub(super) enum Source {
    One(Client),
    Sentinel(Box<SentinelClient>),
    Cluster(ClusterClient),
}

/// A connection, to one server or to a cluster. Its copies share it.
#[derive(Clone)]
pub enum AnyConnection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Source {
    /// Prepares one.
    ///
    /// # Errors
    /// When an address is none.
    pub(super) fn new(place: &RedisPlace) -> Result<Self, RedisError> {
        match place {
            RedisPlace::One(url) => Client::open(info(url)?).map(Self::One),
            RedisPlace::Sentinel { sentinels, name, server } => {
                let sentinels = sentinels.iter().map(info).collect::<Result<Vec<_>, _>>()?;
                let node = node(&info(server)?);
                let client = SentinelClient::build(sentinels, name, Some(node), SentinelServerType::Master)?;
                Ok(Self::Sentinel(Box::new(client)))
            }
            RedisPlace::Cluster(nodes) => {
                let nodes = nodes.iter().map(info).collect::<Result<Vec<_>, _>>()?;
                let wait = u64::try_from(MAX_CLUSTER_WAIT.as_millis()).unwrap_or(u64::MAX);
                let client = ClusterClient::builder(nodes)
                    .tcp_settings(nodelay())
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .overall_response_timeout(Some(RESPONSE_TIMEOUT + CLUSTER_RETRIES * MAX_CLUSTER_WAIT))
                    .retries(CLUSTER_RETRIES)
                    .min_retry_wait(wait / 2)
                    .max_retry_wait(wait);
                client.build().map(Self::Cluster)
            }
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody answers in time, or no sentinel knows a server that takes writes.
    pub(super) async fn connect(&mut self) -> Result<AnyConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connecting = async {
            match self {
                Self::One(client) => {
                    client.get_multiplexed_async_connection_with_config(&config).await.map(AnyConnection::One)
                }
                Self::Sentinel(client) => {
                    client.get_async_connection_with_config(&config).await.map(AnyConnection::One)
                }
                Self::Cluster(client) => client.get_async_connection().await.map(AnyConnection::Cluster),
            }
        };
        // Sentinels that are asked in turn have patience of their own, and everybody waits for this one connection.
        let in_time = tokio::time::timeout(OVERALL_CONNECT_TIMEOUT, connecting).await;
        in_time.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}

fn info(url: &SecretString) -> Result<ConnectionInfo, RedisError> {
    Ok(url.expose_secret().into_connection_info()?.set_tcp_settings(nodelay()))
}

fn nodelay() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// How to sign in at the servers that sentinels name.
fn node(server: &ConnectionInfo) -> SentinelNodeConnectionInfo {
    let node = SentinelNodeConnectionInfo::default()
        .set_redis_connection_info(server.redis_settings().clone())
        .set_tcp_settings(nodelay());
    match server.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => node.set_tls_mode(TlsMode::Insecure),
        ConnectionAddr::TcpTls { .. } => node.set_tls_mode(TlsMode::Secure),
        _ => node,
    }
}

impl ConnectionLike for AnyConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
