//! The house: every arrow between rooms points down, and no files form a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The floors from the top, each with its rooms; a room may use those of its own floor and of those below.
const FLOORS: [&[&str]; 12] = [
    &["main", "lib"],
    &["commands"],
    &["server"],
    &["site"],
    &["web", "housekeeping"],
    &["app"],
    &["courier", "readiness", "statistics"],
    &["accounts"],
    &["mail"],
    &["records"],
    &["db"],
    &[
        "limits",
        "logging",
        "hasher",
        "passkeys",
        "pictures",
        "places",
        "paths",
        "language",
        "config",
        "clock",
        "keys",
        "redis_connection",
        "threads",
    ],
];
/// Under all of them: what things are.
const GROUND: &str = "identity";

/// Each file of `src`, by its module path.
fn files() -> BTreeMap<Vec<String>, String> {
    let mut files = BTreeMap::new();
    let mut ahead = vec![PathBuf::from("src")];
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let module = path.strip_prefix("src").unwrap().with_extension("");
            let module = module.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            files.insert(module, without_tests(&path));
        }
    }
    files
}

fn without_tests(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\nmod tests {").next().unwrap().to_owned()
}

/// The files that a file names by `crate::`, `super::` or its own submodules.
fn used(module: &[String], text: &str, files: &BTreeMap<Vec<String>, String>) -> BTreeSet<Vec<String>> {
    let mut used = BTreeSet::new();
    let mut name = |from: &[String], rest: &str| {
        for path in spelled_out(rest) {
            let mut target = [from, &path].concat();
            while !target.is_empty() && !files.contains_key(&target) {
                target.pop();
            }
            used.insert(target);
        }
    };
    for (start, _) in text.match_indices("crate::") {
        name(&[], &text[start + "crate::".len()..]);
    }
    for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("use super::")) {
        let climbs = line.matches("super::").count() + 1;
        let from = &module[..module.len().saturating_sub(climbs)];
        name(from, line.trim_start_matches("super::"));
    }
    used.retain(|target| !target.is_empty() && target != module);
    used
}

/// The paths of `a::{b, c::d}`, one by one.
fn spelled_out(rest: &str) -> Vec<Vec<String>> {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    let path: Vec<String> =
        rest[..end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let Some(group) = rest[end..].strip_prefix('{') else { return vec![path] };
    let inside = group.split(['}', ';']).next().unwrap();
    inside
        .split(',')
        .flat_map(|one| spelled_out(one.trim()))
        .map(|one| [path.clone(), one].concat())
        .collect()
}

fn floor(room: &str) -> usize {
    let found = FLOORS.iter().position(|rooms| rooms.contains(&room));
    found.unwrap_or_else(|| if room == GROUND { FLOORS.len() } else { panic!("{room} stands on no floor") })
}

#[test]
fn every_arrow_between_rooms_points_down() {
    let files = files();
    let mut arrows = 0;
    let mut wrong = Vec::new();
    for (module, text) in &files {
        for target in used(module, text, &files) {
            arrows += 1;
            if floor(&target[0]) < floor(&module[0]) {
                wrong.push(format!("{} uses {}", module.join("::"), target.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(arrows > 300, "the arrows are found: {arrows}");
}

#[test]
fn no_files_form_a_circle() {
    let files = files();
    let mut left: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> =
        files.iter().map(|(module, text)| (module, used(module, text, &files))).collect();
    // Whoever uses nothing that is left, or is used by nobody left, is in no circle.
    loop {
        let names: BTreeSet<Vec<String>> = left.keys().map(|name| (*name).clone()).collect();
        let needed: BTreeSet<Vec<String>> = left.values().flatten().cloned().collect();
        let before = left.len();
        left.retain(|name, used| needed.contains(*name) && used.iter().any(|target| names.contains(target)));
        if left.len() == before {
            break;
        }
    }
    let names: Vec<String> = left
        .iter()
        .map(|(name, used)| {
            let of = used.iter().filter(|target| left.contains_key(target)).map(|target| target.join("::"));
            format!("{}: {}", name.join("::"), of.collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert!(names.is_empty(), "{names:#?}");
}

#[test]
fn no_file_is_longer_than_four_hundred_lines() {
    let mut lengths = Vec::new();
    let mut ahead = vec![PathBuf::from("src")];
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.ends_with("schema.rs") {
            lengths.push((std::fs::read_to_string(&path).unwrap().lines().count(), path));
        }
    }
    lengths.sort();
    let at = |share: usize| &lengths[lengths.len() * share / 100];
    assert!(at(50).0 <= 140 && at(90).0 <= 320, "median {:?}, nine of ten {:?}", at(50), at(90));
    assert!(lengths.last().unwrap().0 <= 400, "{:?}", lengths.last());
}
