//! Every sentence that people read, listed by a tool: `cargo test --all-features --test it sentences -- --nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The files under a folder.
fn files(folder: &str) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut ahead = vec![PathBuf::from(folder)];
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
            files.insert(path, text);
        }
    }
    files
}

/// The strings that follow each of these words, until something else than a string comes.
fn strings_after(text: &str, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for mark in marks {
        for (start, _) in text.match_indices(mark) {
            let mut rest = text[start + mark.len()..].trim_start();
            while let Some(after) = rest.strip_prefix('"') {
                let end = after.find('"').unwrap();
                found.push(after[..end].to_owned());
                rest = after[end + 1..].trim_start().trim_start_matches(',').trim_start();
            }
        }
    }
    found
}

/// The keys of a catalogue: what is marked in code, and in templates.
fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for text in files("src").values() {
        keys.extend(strings_after(text, &[" t(", "(t(", " tn(", "(tn("]));
    }
    // Acts and notices are lists of sentences, marked by their macros.
    for list in ["src/site/admin/acting.rs", "src/site/admin/bulk_act.rs"] {
        let text = std::fs::read_to_string(list).unwrap();
        keys.extend(text.split('"').skip(1).step_by(2).filter(|it| it.contains(' ')).map(str::to_owned));
    }
    keys.extend(strings_after(
        &std::fs::read_to_string("src/site/auth/recovery.rs").unwrap(),
        &["\"reset-requested\","],
    ));
    for text in files("templates").values() {
        keys.extend(strings_after(text, &["|counted("]));
        for (end, _) in text.match_indices("\"|tr") {
            let start = text[..end].rfind('"').unwrap() + 1;
            keys.insert(text[start..end].to_owned());
        }
    }
    keys
}

#[test]
fn sentences_can_be_listed_and_speak_our_language() {
    let keys = keys();
    println!("{}", keys.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
    assert!(keys.len() > 300, "{} keys", keys.len());
    // Words that WORDS.md replaced.
    for old in ["e-mail", "E-mail", "anew", "meanwhile", "Meanwhile", "besides", "keeps the person out"] {
        let with: Vec<_> = keys.iter().filter(|key| key.contains(old)).collect();
        assert!(with.is_empty(), "“{old}” in {with:#?}");
    }
    for key in &keys {
        assert!(!key.contains("  ") && key.trim() == key, "“{key}”");
        assert_eq!(key.matches('{').count(), key.matches('}').count(), "“{key}”");
        // Templates write sentences as they are, between double quotes, too.
        assert!(!key.is_empty() && !key.contains(['&', '<', '>', '"', '\\']), "“{key}”");
    }
    for (file, text) in files("templates") {
        let has_single_quotes = text.contains("='") || text.contains("= '");
        assert!(!has_single_quotes, "{}: an attribute in single quotes", file.display());
        let marked = text.matches("|tr").count() - text.matches("|trim").count();
        assert_eq!(
            marked,
            text.matches("\"|tr").count(),
            "{}: only a sentence is translated",
            file.display()
        );
    }
}

#[test]
fn no_template_holds_a_word_that_is_not_marked() {
    for (path, text) in files("templates") {
        let mut bare = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(['{', '<']) {
            bare.push_str(&rest[..start]);
            let end = match &rest[start..] {
                it if it.starts_with("{{") => "}}",
                it if it.starts_with("{%") => "%}",
                it if it.starts_with("{#") => "#}",
                it if it.starts_with('<') => ">",
                _ => "{",
            };
            rest = rest[start + 1..].split_once(end).map_or("", |(_, after)| after);
        }
        bare.push_str(rest);
        let attributes = [
            "aria-sort=",
            "aria-invalid=",
            "aria-describedby=",
            "true",
            "hint",
            "problem",
            "selected",
            "checked",
            "open",
            "value=",
        ];
        let words = attributes.iter().fold(bare.replace("Latchkey", ""), |text, it| text.replace(it, ""));
        let words: Vec<_> = words.split(|c: char| !c.is_alphabetic()).filter(|it| it.len() > 1).collect();
        assert!(words.is_empty() || path.ends_with("mail.html"), "{}: {words:?}", path.display());
    }
}
