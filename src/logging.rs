//! What a log line looks like: one line for each record, whatever is in it, so that nobody who chooses a name or
//! a browser can write lines of their own (CWE-117).

use std::fmt::Write as _;
use std::io::Write as _;

use env_logger::{Builder, Target};
use log::Record;

use crate::config::{Config, LogFormat};

/// Starts logging to standard error, as `RUST_LOG` and `LOG_FORMAT` say. Panics are logged, too.
///
/// # Errors
/// When logging was started already.
pub fn start(filter: Option<String>, to_journal: bool, config: &Config) -> Result<(), log::SetLoggerError> {
    let talkative =
        if config.debug { "info,latchkey=debug,actix_server=warn" } else { "info,actix_server=warn" };
    let filter = filter.filter(|filter| !filter.is_empty()).unwrap_or_else(|| talkative.to_owned());
    let mut builder = Builder::new();
    // Each malformed request would be an error of theirs, before any limit: whoever wants to see them says so.
    builder.filter_module("actix_http", log::LevelFilter::Off);
    // Says what anybody sent as a passkey; we say that it was refused.
    builder.filter_module("webauthn_rs_core", log::LevelFilter::Off);
    builder.parse_filters(&filter).target(Target::Stderr);
    match config.log_format {
        // It has a clock of its own, and takes the level from the number in front (sd-daemon(3)).
        LogFormat::Text if to_journal => builder
            .format(|out, record| writeln!(out, "<{}>{}", priority(record.level()), one_line(&line(record)))),
        LogFormat::Text => builder.format(|out, record| {
            let time = out.timestamp_millis();
            writeln!(out, "{time} {:5} {}", record.level(), one_line(&line(record)))
        }),
        LogFormat::Json => builder.format(|out, record| {
            let time = out.timestamp_millis().to_string();
            writeln!(out, "{}", json(&time, record))
        }),
    };
    builder.try_init()?;
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    Ok(())
}

/// As syslog counts.
fn priority(level: log::Level) -> u8 {
    match level {
        log::Level::Error => 3,
        log::Level::Warn => 4,
        log::Level::Info => 6,
        log::Level::Debug | log::Level::Trace => 7,
    }
}

/// The message; of our three streams for programs, with their name in front.
fn line(record: &Record<'_>) -> String {
    match record.target() {
        stream @ ("audit" | "auth" | "access") => format!("{stream}: {}", record.args()),
        _ => record.args().to_string(),
    }
}

fn json(time: &str, record: &Record<'_>) -> serde_json::Value {
    let message = record.args().to_string();
    // Events are objects already.
    let event = if record.target() == "audit" { serde_json::from_str(&message).ok() } else { None };
    serde_json::json!({
        "time": time,
        "level": record.level().as_str(),
        "target": record.target(),
        "message": event.unwrap_or(serde_json::Value::String(message)),
    })
}

/// Control characters, and those that would break the line elsewhere, are written as escapes.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            // Writing to a string does not fail.
            write!(line, "{}", c.escape_default()).unwrap_or_default();
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        assert_eq!(one_line("a\r\nERROR b\u{1b}[2J\u{2028}é"), "a\\r\\nERROR b\\u{1b}[2J\\u{2028}é");
    }

    #[test]
    fn a_json_record_is_an_object() {
        let record =
            Record::builder().args(format_args!("a\n\"b\"")).level(log::Level::Warn).target("t").build();
        assert_eq!(
            json("now", &record).to_string(),
            r#"{"level":"WARN","message":"a\n\"b\"","target":"t","time":"now"}"#
        );
    }
}
