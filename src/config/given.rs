//! The settings as they were given: those of the process' environment, which outweigh, and those of a file `.env`.
//!
//! The file is read by our own code: the crates that read such files put variables in where a value holds a `$`, and cut it at
//! a `#`, which silently makes another password of one. Here a value is taken as it stands, or refused with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

/// Settings by name, and where they came from.
#[derive(Default)]
pub struct Given {
    process: BTreeMap<String, Option<String>>,
    file: BTreeMap<String, String>,
    /// In place of those that nobody gave.
    usual: BTreeMap<&'static str, String>,
    /// Whether others of this machine may read the file.
    pub file_is_open: bool,
}

impl Given {
    /// Takes the process' environment. A value that is not UTF-8 is kept as a mistake.
    pub fn by_process(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables = variables.into_iter();
        let named = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let process = named.map(|(name, value)| (name, value.into_string().ok())).collect();
        Self { process, ..Self::default() }
    }

    /// Adds the text of a `.env`.
    ///
    /// # Errors
    /// With the number of the first line that cannot be read, and never with what is in it: it holds secrets.
    pub fn and_file(self, text: &str) -> Result<Self, MalformedLine> {
        Ok(Self { file: parse(text)?, ..self })
    }

    /// Adds what counts where nobody gave anything.
    #[must_use]
    pub fn and_usual(self, usual: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { usual: usual.into_iter().collect(), ..self }
    }

    /// The value of a setting. One that is empty in the environment outweighs the file.
    pub fn value(&self, name: &str) -> Option<String> {
        match self.process.get(name) {
            Some(value) => value.clone(),
            // The value itself and the file that holds it are two ways to give the same.
            None if self.process.contains_key(&other_way(name)) => None,
            None => self.file.get(name).or_else(|| self.usual.get(name)).cloned(),
        }
    }

    /// Lists the names that the file gives and none of `known` is.
    pub(super) fn unknown_in_file(&self, known: &BTreeSet<String>) -> Vec<String> {
        self.file.keys().filter(|name| !known.contains(*name)).cloned().collect()
    }

    /// Lists the names of the environment whose values are not UTF-8.
    pub(super) fn unreadable(&self, known: &BTreeSet<String>) -> Vec<String> {
        let unreadable = self.process.iter().filter(|(name, value)| value.is_none() && known.contains(*name));
        unreadable.map(|(name, _)| name.clone()).collect()
    }

    /// Lists the names of the environment that look like one of `known` and are not, with what they look like.
    pub(super) fn look_alikes(&self, known: &BTreeSet<String>) -> Vec<(String, String)> {
        let unknown = self.process.keys().filter(|name| !known.contains(*name));
        unknown.filter_map(|name| Some((name.clone(), likeliest(name, known)?))).collect()
    }
}

/// The name of the other way to give a secret: `NAME_FILE` for `NAME`, and the other way round.
fn other_way(name: &str) -> String {
    name.strip_suffix("_FILE").map_or_else(|| format!("{name}_FILE"), str::to_owned)
}

/// What somebody may have meant by a name that is none of ours.
pub(super) fn likeliest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    // Short names are near to everything; `PATH` is nobody's mistake.
    if name.len() < 6 {
        return None;
    }
    let name = name.strip_prefix("LATCHKEY_").unwrap_or(name);
    // Only secrets come from a file.
    if let Some(ours) = name.strip_suffix("_FILE").filter(|ours| known.contains(*ours)) {
        return Some(ours.to_owned());
    }
    let squeezed = |name: &str| name.replace('_', "");
    let typed = squeezed(name);
    let near = known.iter().filter_map(|ours| {
        let (most, squeezed) = ((ours.len() / 4).min(3), squeezed(ours));
        // Each start compares every name of the environment: those that are too short or too long are not looked at.
        let may_be = squeezed.len().abs_diff(typed.len()) <= most;
        may_be.then(|| (distance(&typed, &squeezed), ours)).filter(|(distance, _)| *distance <= most)
    });
    near.min().map(|(_, ours)| ours.clone())
}

/// How many letters are to be changed, added or taken out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut left = i + 1;
        let mut new = vec![left];
        for (b, pair) in other.bytes().zip(row.windows(2)) {
            let (diagonal, above) = (pair.first().copied(), pair.last().copied());
            let (diagonal, above) = (diagonal.unwrap_or_default(), above.unwrap_or_default());
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            new.push(left);
        }
        row = new;
    }
    row.last().copied().unwrap_or_default()
}

/// A line that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedLine {
    #[error(
        "line {0} cannot be read; write NAME=value, with '…' around a value that contains spaces, quotes or backslashes"
    )]
    Unreadable(usize),
    /// Which of two was meant is nobody's guess.
    #[error("line {0} gives {1} for the second time; remove one of the two lines")]
    Repeated(usize, String),
}

/// Reads lines of `NAME=value`: empty ones, `# comments` and `export ` are skipped.
fn parse(text: &str) -> Result<BTreeMap<String, String>, MalformedLine> {
    let mut settings = BTreeMap::new();
    // Editors of Windows begin a file with a byte-order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let malformed = || MalformedLine::Unreadable(number + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or_else(malformed)?;
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(malformed());
        }
        let is_comment = value.starts_with([' ', '\t']) && value.trim_start().starts_with('#');
        let value = if is_comment { "" } else { value.trim() };
        let value = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                // Up to the closing quote, which may stand some lines below.
                let mut quoted = value.split_at(1).1.to_owned();
                loop {
                    match unquote(&quoted, quote) {
                        Quoted::Whole(value) => break value,
                        Quoted::Malformed => return Err(malformed()),
                        Quoted::Open => {}
                    }
                    let (_, next) = lines.next().ok_or_else(malformed)?;
                    quoted.push('\n');
                    quoted.push_str(next);
                }
            }
            _ => bare(value).ok_or_else(malformed)?.to_owned(),
        };
        if settings.insert(name.to_owned(), value).is_some() {
            return Err(MalformedLine::Repeated(number + 1, name.to_owned()));
        }
    }
    Ok(settings)
}

/// A value without quotes, and without a comment behind it.
fn bare(value: &str) -> Option<&str> {
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let value = value.get(..end)?.trim();
    (!value.contains([' ', '\t', '\'', '"', '\\'])).then_some(value)
}

/// What follows an opening quote.
enum Quoted {
    Whole(String),
    /// The closing quote is missing.
    Open,
    Malformed,
}

fn unquote(text: &str, quote: char) -> Quoted {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next() {
            None => return Quoted::Open,
            Some(c) if c == quote => break,
            Some('\\') if quote == '"' => match rest.next() {
                None => return Quoted::Open,
                Some('n') => value.push('\n'),
                Some(c @ ('\\' | '"' | '\'' | '$' | '`')) => value.push(c),
                Some(_) => return Quoted::Malformed,
            },
            Some(c) => value.push(c),
        }
    }
    let behind = rest.as_str().trim();
    if behind.is_empty() || behind.starts_with('#') { Quoted::Whole(value) } else { Quoted::Malformed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(malformed: &MalformedLine) -> usize {
        match malformed {
            MalformedLine::Unreadable(line) | MalformedLine::Repeated(line, _) => *line,
        }
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused_whatever_it_says() {
        let twice = parse("SECRET_KEY=a\n# b\nexport SECRET_KEY=\n").unwrap_err();
        assert_eq!(twice, MalformedLine::Repeated(3, "SECRET_KEY".to_owned()));
    }

    fn read(text: &str) -> Result<String, usize> {
        parse(text)
            .map(|all| all.get("A").cloned().unwrap_or_default())
            .map_err(|malformed| line_of(&malformed))
    }

    #[test]
    fn a_value_is_taken_as_it_stands() {
        for (text, value) in [
            ("A=pa$sword9", "pa$sword9"),
            ("A=pass$", "pass$"),
            ("A=#pass", "#pass"),
            ("A=pass#word", "pass#word"),
            ("A=${HOME}", "${HOME}"),
            ("A=one # a comment", "one"),
            ("A= # a comment", ""),
            ("A=", ""),
            ("\u{feff}A=one\r\nB=two\r\n", "one"),
            ("export A = 'a b\\n$c' # why", "a b\\n$c"),
            ("A=\"a \\\"b\\\" \\\\ \\n\"", "a \"b\" \\ \n"),
            ("A='one\ntwo'\nB=x", "one\ntwo"),
            ("A=a=b==", "a=b=="),
            ("A=zwölf", "zwölf"),
            ("A=one\rB=two\r", "one"),
        ] {
            assert_eq!(read(text), Ok(value.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_can_be_understood_in_two_ways_is_refused_with_its_line() {
        for (text, line) in [
            ("A=one two", 1),
            ("B=x\nA=it's", 2),
            ("A=back\\slash", 1),
            ("\n\nA", 3),
            ("A B=c", 1),
            ("A='open", 1),
            ("A='x' y", 1),
            ("A=\"\\x\"", 1),
        ] {
            assert_eq!(read(text), Err(line), "{text}");
        }
    }

    #[test]
    fn the_environment_outweighs_the_file_also_when_it_says_nothing() {
        let process = [("A".into(), "".into()), ("B".into(), "process".into())];
        let given = Given::by_process(process).and_file("A=file\nB=file\nC=file").unwrap();
        let given = given.and_usual([("C", "usual".to_owned()), ("D", "usual".to_owned())]);
        let values = ["A", "B", "C", "D", "E"].map(|name| given.value(name));
        assert_eq!(
            values.each_ref().map(Option::as_deref),
            [Some(""), Some("process"), Some("file"), Some("usual"), None]
        );
    }

    #[test]
    fn a_name_that_looks_like_ours_is_told() {
        let known: BTreeSet<String> =
            ["SIGN_UP", "TRUSTED_PROXIES", "PASSWORD_MIN_LENGTH", "BIND", "RATE_LIMITS"]
                .map(str::to_owned)
                .into();
        for (typed, meant) in [
            ("SIGNUP", Some("SIGN_UP")),
            ("TRUSTED_PROXY", Some("TRUSTED_PROXIES")),
            ("TRUSTED_PROXYS", Some("TRUSTED_PROXIES")),
            ("PASSWORD_MINLENGTH", Some("PASSWORD_MIN_LENGTH")),
            ("LATCHKEY_BIND", Some("BIND")),
            ("RATE_LIMIT", Some("RATE_LIMITS")),
            ("PATH", None),
            ("HOSTNAME", None),
        ] {
            assert_eq!(likeliest(typed, &known).as_deref(), meant, "{typed}");
        }
    }
}
