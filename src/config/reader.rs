//! Reads single settings and collects what is wrong with them.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::SECRETS;
use super::given::{Given, likeliest};

/// Everything that is wrong with the settings, a line each.
#[derive(Debug)]
pub struct Errors(Vec<String>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Errors {}

/// Settings by name, from a lookup function.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<String>,
    warnings: Vec<String>,
    known: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, mistakes: Vec::new(), warnings: Vec::new(), known: BTreeSet::new() }
    }

    /// The warnings, or all the mistakes.
    pub(super) fn finish(self) -> Result<Vec<String>, Errors> {
        if self.mistakes.is_empty() { Ok(self.warnings) } else { Err(Errors(self.mistakes)) }
    }

    /// Tells about names that were given and are none of ours, and about values that cannot be read.
    pub(super) fn compare_with(&mut self, given: &Given) {
        for name in given.unreadable(&self.known) {
            self.mistake(&name, "is not UTF-8");
        }
        for name in given.unknown_in_file(&self.known) {
            let hint = likeliest(&name, &self.known)
                .map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            self.mistake(&name, &format!("in .env isn't a setting{hint}"));
        }
        for (name, meant) in given.look_alikes(&self.known) {
            self.warn(&format!("{name} in the environment isn't a setting; did you mean {meant}?"));
        }
        if given.file_is_open {
            self.warn(".env can be read by other users of this machine; run: chmod 600 .env");
        }
    }

    /// Takes a name for one of ours, whether or not it is asked for this time.
    pub(super) fn know(&mut self, name: &str) {
        self.known.insert(name.to_owned());
        if SECRETS.contains(&name) {
            self.known.insert(format!("{name}_FILE"));
        }
    }

    pub(super) fn mistake(&mut self, name: &str, what: &str) {
        self.mistakes.push(format!("{name} {what}"));
    }

    pub(super) fn warn(&mut self, what: &str) {
        self.warnings.push(what.to_owned());
    }

    /// The text of a setting; an empty one is as good as none.
    pub(super) fn text(&mut self, name: &str, default: &str) -> String {
        self.given(name).unwrap_or_else(|| default.to_owned())
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(word) = self.given(name) else { return default };
        match word.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => true,
            "false" | "0" | "off" | "no" => false,
            _ => {
                self.mistake(name, "must be on or off");
                default
            }
        }
    }

    /// The choice of that word.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(word) = self.given(name) else { return default };
        let chosen = choices.iter().find(|(known, _)| known.eq_ignore_ascii_case(&word));
        chosen.map_or_else(
            || {
                // Longer names of the same are not worth a word.
                let words = choices.iter().map(|(known, _)| *known).filter(|known| !known.contains('.'));
                let words: Vec<&str> = words.collect();
                let listed = match words.split_last() {
                    Some((last, [])) => (*last).to_owned(),
                    Some((last, before)) => format!("{} or {last}", before.join(", ")),
                    None => String::new(),
                };
                self.mistake(name, &format!("must be {listed}"));
                default
            },
            |(_, choice)| *choice,
        )
    }

    pub(super) fn number(&mut self, name: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let Some(text) = self.given(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.mistake(name, &format!("must be a number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    pub(super) fn seconds(&mut self, name: &str, default: u32) -> Duration {
        Duration::from_secs(self.number(name, default, 1..=31_536_000).into())
    }

    pub(super) fn days(&mut self, name: &str, default: u32) -> Duration {
        Duration::from_secs(u64::from(self.number(name, default, 1..=36_500)) * 86_400)
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, default: &str, form: &str) -> Option<T> {
        let parsed = self.text(name, default).parse().ok();
        if parsed.is_none() {
            self.mistake(name, &format!("must be {form}"));
        }
        parsed
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        self.text(name, "")
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn parsed_list<T: FromStr>(&mut self, name: &str, form: &str) -> Vec<T> {
        let is_given = !self.text(name, "").is_empty();
        let items: Vec<Option<T>> = self.list(name).iter().map(|item| item.parse().ok()).collect();
        if items.iter().any(Option::is_none) || (is_given && items.is_empty()) {
            self.mistake(name, &format!("must be {form}"));
        }
        items.into_iter().flatten().collect()
    }

    fn given(&mut self, name: &str) -> Option<String> {
        self.know(name);
        let plain = (self.lookup)(name).filter(|value| !value.is_empty());
        if !SECRETS.contains(&name) {
            return plain;
        }
        let path = (self.lookup)(&format!("{name}_FILE")).filter(|path| !path.is_empty());
        let Some(path) = path else { return plain };
        if plain.is_some() {
            self.mistake(name, &format!("and {name}_FILE are both set; remove one of them"));
            return plain;
        }
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let secret = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']).to_owned();
                if secret.is_empty() {
                    self.mistake(&format!("{name}_FILE"), "names an empty file");
                }
                Some(secret)
            }
            Err(error) => {
                self.mistake(&format!("{name}_FILE"), &format!("cannot be read: {}", error.kind()));
                None
            }
        }
    }
}
