//! `RUST_LOG` and `LOG_FORMAT`.

use super::reader::Reader;

/// `LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        read.one_of("LOG_FORMAT", Self::Text, &[("text", Self::Text), ("json", Self::Json)])
    }
}

/// A word that is no level would be taken for a part of the program, and everything else would fall silent.
pub(super) fn check_filter(read: &mut Reader<'_>) {
    let is_level = |word: &str| word.eq_ignore_ascii_case("off") || word.parse::<::log::Level>().is_ok();
    let is_understood = |part: &str| match part.split_once('=') {
        Some((target, level)) => !target.trim().is_empty() && is_level(level.trim()),
        None => is_level(part.trim()),
    };
    let filter = read.text("RUST_LOG", "");
    let filter = filter.split('/').next().unwrap_or_default();
    if !filter.is_empty() && !filter.split(',').all(is_understood) {
        read.mistake(
            "RUST_LOG",
            "must be like info or info,audit=off; levels: error, warn, info, debug, trace, off",
        );
    }
}
