//! Checks every part that the settings name, and reports all that is wrong, not only the first. Nothing is left behind: what is
//! written to prove that it can be is taken back.

mod applications;

use std::path::Path;

use super::{Outcome, say};
use crate::config::{Config, MediaConfig, TransportKind};
use crate::courier::Transport;
use crate::db::Db;
use crate::pictures::{Pictures, prove_writable};
use crate::places::Places;
use crate::redis_connection::RedisConnection;

/// What was found about a part.
enum Finding {
    Fine,
    /// It is fine not to have it, as this says.
    NotUsed(&'static str),
    /// It will be fine, or is allowed and unwise.
    Careful(String),
    Failed(String),
}

pub(super) async fn run(config: &Config) -> Outcome {
    say("ok      settings")?;
    for warning in &config.warnings {
        say(format_args!("warning {warning}"))?;
    }
    let mut findings = vec![
        ("database".to_owned(), database(config).await),
        ("Redis".to_owned(), redis(config).await),
        ("mail".to_owned(), mail(config).await),
        ("pictures".to_owned(), pictures(config).await),
        ("places".to_owned(), places(config)),
    ];
    findings.extend(applications::findings(config).await);
    let mut has_failed = false;
    for (part, finding) in findings {
        match finding {
            Finding::Fine => say(format_args!("ok      {part}"))?,
            Finding::NotUsed(how) => say(format_args!("ok      {part}: not used; {how}"))?,
            Finding::Careful(what) => say(format_args!("warning {part}: {what}"))?,
            Finding::Failed(why) => {
                has_failed = true;
                say(format_args!("FAILED  {part}: {why}"))?;
            }
        }
    }
    if has_failed { Err("some checks failed".into()) } else { Ok(()) }
}

async fn database(config: &Config) -> Finding {
    if let Some(file) = config.database.missing_file() {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return match prove_writable(folder) {
            Ok(()) => Finding::Careful("doesn't exist yet; it will be created at the first start".to_owned()),
            Err(error) => Finding::Failed(format!("{}: {error}", folder.display())),
        };
    }
    let db = Db::open(&config.database);
    if let Err(error) = db.refuse_unfit() {
        return Finding::Failed(error.to_string());
    }
    match db.is_empty().await {
        Ok(true) => Finding::Careful("has no tables yet; they will be created at the first start".to_owned()),
        Ok(false) => match db.prove().await {
            Ok(()) => Finding::Fine,
            Err(error) => Finding::Failed(error.to_string()),
        },
        Err(error) => Finding::Failed(error.to_string()),
    }
}

async fn redis(config: &Config) -> Finding {
    let Some(redis) = &config.redis else {
        return Finding::NotUsed("sessions are kept in cookies, limits in memory");
    };
    let proved = match RedisConnection::new(redis) {
        Ok(connection) => connection.prove().await,
        Err(error) => Err(error.to_string()),
    };
    proved.map_or_else(Finding::Failed, |()| Finding::Fine)
}

async fn pictures(config: &Config) -> Finding {
    match &config.media {
        MediaConfig::Folder(folder) => folder_to_write_in(folder),
        MediaConfig::Bucket(_) => {
            let prepared = match Pictures::new(&config.media) {
                Ok(pictures) => pictures.prepare().await,
                Err(error) => Err(error),
            };
            prepared.map_or_else(|error| Finding::Failed(error.to_string()), |()| Finding::Fine)
        }
    }
}

fn places(config: &Config) -> Finding {
    let Some(file) = &config.geoip_database else {
        return Finding::NotUsed("no places are named beside IP addresses");
    };
    match Places::open(file) {
        Ok(_) => Finding::Fine,
        Err(error) => Finding::Failed(format!("{}: {error}", file.display())),
    }
}

fn folder_to_write_in(folder: &Path) -> Finding {
    match prove_writable(nearest(folder)) {
        Err(error) => Finding::Failed(format!("{}: {error}", folder.display())),
        Ok(()) if folder.exists() => Finding::Fine,
        Ok(()) => {
            Finding::Careful(format!("the folder {} will be created at the first start", folder.display()))
        }
    }
}

/// The folder itself, or the nearest one above it that exists: there it will be made.
fn nearest(folder: &Path) -> &Path {
    let here = Path::new(".");
    let above = folder.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty());
    above.unwrap_or(here)
}

async fn mail(config: &Config) -> Finding {
    let smtp = match &config.mail.transport {
        TransportKind::Smtp(smtp) => smtp,
        TransportKind::Console => return Finding::Fine,
        TransportKind::File(folder) => return folder_to_write_in(folder),
    };
    let probed = match Transport::open(&config.mail) {
        Ok(transport) => transport.probe().await,
        Err(error) => Err(error),
    };
    match probed {
        Ok(()) => Finding::Fine,
        Err(error) => {
            Finding::Failed(format!("{}:{}: {error}; check EMAIL_HOST and EMAIL_PORT", smtp.host, smtp.port))
        }
    }
}
