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
pub fn start(filter: Option<String>, config: &Config) -> Result<(), log::SetLoggerError> {
    let talkative =
        if config.debug { "info,latchkey=debug,actix_server=warn" } else { "info,actix_server=warn" };
    let filter = filter.filter(|filter| !filter.is_empty()).unwrap_or_else(|| talkative.to_owned());
    let mut builder = Builder::new();
    builder.parse_filters(&filter).target(Target::Stderr);
    match config.log_format {
        LogFormat::Text => builder.format(|out, record| {
            let time = out.timestamp_millis();
            writeln!(out, "{time} {:5} {}", record.level(), one_line(&record.args().to_string()))
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

fn json(time: &str, record: &Record<'_>) -> serde_json::Value {
    serde_json::json!({
        "time": time,
        "level": record.level().as_str(),
        "target": record.target(),
        "message": record.args().to_string(),
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
