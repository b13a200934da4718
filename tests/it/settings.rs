//! Every setting that the program reads is documented, and no other.

use std::cell::RefCell;
use std::collections::BTreeSet;

use latchkey::config::Config;

/// The names that are read by programs with settings of every kind.
fn read() -> BTreeSet<String> {
    let names = RefCell::new(BTreeSet::new());
    let worlds: [&[(&str, &str)]; 4] = [
        &[],
        &[("EMAIL_BACKEND", "file"), ("DATABASE_URL", "sqlite://x")],
        &[("EMAIL_BACKEND", "console"), ("MEDIA_URL", "s3://bucket/folder")],
        &[
            ("EMAIL_HOST", "mail.example.org"),
            ("REDIS_URL", "redis://localhost"),
            ("DATABASE_URL", "postgres://u@h/n"),
        ],
    ];
    for world in worlds {
        let lookup = |name: &str| {
            names.borrow_mut().insert(name.to_owned());
            let given = world.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            given.or_else(|| (name == "SECRET_KEY").then(|| "k".repeat(64)))
        };
        Config::from_lookup(&lookup).unwrap();
    }
    // A file that holds the value is the second way to give any secret.
    let names = names.into_inner();
    let is_way = |name: &String| name.strip_suffix("_FILE").is_some_and(|setting| names.contains(setting));
    names.iter().filter(|name| !is_way(name)).cloned().collect()
}

fn documented(file: &str, is_name: fn(&str) -> Option<&str>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().filter_map(is_name).map(str::to_owned).collect()
}

#[test]
fn the_example_lists_every_setting_that_is_read_and_no_other() {
    let example = documented(".env.example", |line| {
        let name = line.trim_start_matches('#').split_once('=')?.0;
        name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_').then_some(name)
    });
    assert_eq!(example, read());
}

#[test]
fn the_readme_names_every_setting_that_is_read() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let missing: Vec<_> = read().into_iter().filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
