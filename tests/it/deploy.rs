//! What we ship to run it with.

use std::process::Command;

use crate::harness::program;

#[test]
fn systemd_understands_the_unit_and_finds_it_well_shut() {
    let Some(analyze) = program("systemd-analyze", "systemd") else { return };
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("latchkey.service");
    let text = include_str!("../../deploy/latchkey.service");
    std::fs::write(&unit, text.replace("/usr/local/bin/latchkey", env!("CARGO_BIN_EXE_latchkey"))).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(&analyze).args(arguments).arg(&unit).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("latchkey.service:"), "{arguments:?}: {said}");
    };
    run(&["verify", "--man=no"]);
    // On its scale from 0 to 10, with a decimal; a unit without any of it has 9.6.
    run(&["security", "--offline=yes", "--threshold=20"]);
}
