//! Is everything as it should be? Each part is tried, and all that is wrong is told, not only the first.

use super::{Outcome, say};
use crate::config::{Config, TransportKind};
use crate::db::{self, Db};
use crate::identity::Id;
use crate::mail::transport::Transport;
use crate::records::pictures::Pictures;
use crate::records::users;
use crate::web::redis_link::RedisLink;

pub(super) async fn run(config: &Config) -> Outcome {
    say("ok      settings");
    for warning in &config.warnings {
        say(format_args!("careful {warning}"));
    }
    let findings = [
        report("database", &database(config).await),
        report("Redis", &redis(config).await),
        report("mail", &mail(config).await),
        report("pictures", &pictures(config).await),
    ];
    if findings.contains(&false) { Err("something is not as it should be".into()) } else { Ok(()) }
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
    let nobody = Id::from_stored(String::new());
    match db.read(move |conn| Ok::<_, db::Error>(users::by_id(conn, &nobody)?)).await {
        Ok(_) => Ok(()),
        Err(error @ db::Error::Query(_)) => Err(format!("{error}; run: latchkey migrate")),
        Err(error) => Err(error.to_string()),
    }
}

async fn redis(config: &Config) -> Result<(), String> {
    let Some(redis) = &config.redis else { return Ok(()) };
    let link = RedisLink::new(redis).map_err(|error| error.to_string())?;
    if link.answers().await { Ok(()) } else { Err("it does not answer".to_owned()) }
}

async fn pictures(config: &Config) -> Result<(), String> {
    let pictures = Pictures::new(&config.media).map_err(|error| error.to_string())?;
    pictures.prepare().await.map_err(|error| error.to_string())
}

async fn mail(config: &Config) -> Result<(), String> {
    let probed = match Transport::open(&config.mail) {
        Ok(transport) => transport.probe().await,
        Err(trouble) => Err(trouble),
    };
    probed.map_err(|trouble| match &config.mail.transport {
        TransportKind::Smtp(smtp) => format!("{}:{}: {trouble}", smtp.host, smtp.port),
        _ => trouble.to_string(),
    })
}
