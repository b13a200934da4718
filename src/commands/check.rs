//! Checks every part that the settings name, and reports all that is wrong, not only the first.

use super::{Outcome, say};
use crate::config::{Config, TransportKind};
use crate::courier::Transport;
use crate::db::{self, Db};
use crate::pictures::Pictures;
use crate::redis_connection::RedisConnection;

pub(super) async fn run(config: &Config) -> Outcome {
    say("ok      settings");
    for warning in &config.warnings {
        say(format_args!("warning {warning}"));
    }
    let findings = [
        report("database", &database(config).await),
        report("Redis", &redis(config).await),
        report("mail", &mail(config).await),
        report("pictures", &pictures(config).await),
    ];
    if findings.contains(&false) { Err("some checks failed".into()) } else { Ok(()) }
}

fn report(part: &str, finding: &Result<(), String>) -> bool {
    match finding {
        Ok(()) => say(format_args!("ok      {part}")),
        Err(why) => say(format_args!("FAILED  {part}: {why}")),
    }
    finding.is_ok()
}

async fn database(config: &Config) -> Result<(), String> {
    let db = Db::open(&config.database);
    match db.ping().await {
        Ok(()) => Ok(()),
        Err(error @ db::Error::Query(_)) => Err(format!("{error}; run: latchkey migrate")),
        Err(error) => Err(error.to_string()),
    }
}

async fn redis(config: &Config) -> Result<(), String> {
    let Some(redis) = &config.redis else { return Ok(()) };
    let connection = RedisConnection::new(redis).map_err(|error| error.to_string())?;
    if connection.answers().await { Ok(()) } else { Err("no answer".to_owned()) }
}

async fn pictures(config: &Config) -> Result<(), String> {
    let pictures = Pictures::new(&config.media).map_err(|error| error.to_string())?;
    pictures.prepare().await.map_err(|error| error.to_string())
}

async fn mail(config: &Config) -> Result<(), String> {
    let probed = match Transport::open(&config.mail) {
        Ok(transport) => transport.probe().await,
        Err(error) => Err(error),
    };
    probed.map_err(|error| match &config.mail.transport {
        TransportKind::Smtp(smtp) => format!("{}:{}: {error}", smtp.host, smtp.port),
        TransportKind::File(_) | TransportKind::Console => error.to_string(),
    })
}
