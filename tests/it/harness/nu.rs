//! The Nu Html Checker, the one of the W3C: what it finds wrong with pages and style sheets.

use std::process::Command;

use serde_json::Value;

use super::browser::tool;

/// Checks all of these at once, by their names in a folder: it takes two seconds to start. A name ends in `.html`,
/// `.css` or `.svg`, which says what it is.
pub fn nu(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let mut java = Command::new("java");
    // Its schemas need a deep stack; for so short a run the second compiler does not pay.
    java.args(["-Xss4m", "-XX:TieredStopAtLevel=1", "-jar"]).arg(tool("vnu-jar/build/dist/vnu.jar"));
    java.args(["--format", "json", "--stdout", "--Werror", "--also-check-css", "--also-check-svg"]);
    java.args(files.iter().map(|(name, _)| name)).current_dir(&folder);
    let output = java.output().expect("java: apt-get install default-jre-headless");
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no checker: {}", String::from_utf8_lossy(&output.stderr)));
    let messages = said["messages"].as_array().expect("messages");
    assert_eq!(output.status.success(), messages.is_empty(), "{said}");
    // No line: with `--also-check-css` it is one too few.
    let one = |message: &Value| {
        let place = message["url"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let [what, extract] = ["message", "extract"].map(|name| message[name].as_str().unwrap_or_default());
        format!("{place}: {what} {extract:?}")
    };
    messages.iter().map(one).collect()
}
