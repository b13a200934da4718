//! Where settings come from: the process' environment, then the file `.env` of the current folder.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use crate::config::Given;

const FILE: &str = ".env";

/// Whether standard error is systemd's journal (systemd.exec(5), `JOURNAL_STREAM`).
pub(super) fn logs_to_journal(given: &Given) -> bool {
    let Some(stream) = given.value("JOURNAL_STREAM") else { return false };
    let Ok(own) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    stream == format!("{}:{}", own.st_dev, own.st_ino)
}

/// Takes what the process' environment gives, and nothing else.
pub(super) fn of_process() -> Given {
    Given::by_process(std::env::vars_os())
}

/// Takes what the environment gives, and what the file gives where it gives nothing.
///
/// # Errors
/// When there is a `.env` that cannot be read. Its content is not shown: it holds secrets.
pub(super) fn with_env_file() -> Result<Given, String> {
    let bytes = match fs::read(FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(of_process()),
        Err(error) => return Err(format!("{FILE} cannot be read: {error}")),
    };
    let text = String::from_utf8(bytes).map_err(|_| format!("{FILE} is not UTF-8"))?;
    let mut given = of_process().and_file(&text).map_err(|malformed| format!("{FILE}: {malformed}"))?;
    given.file_is_open = fs::metadata(FILE).is_ok_and(|file| file.permissions().mode() & 0o007 != 0);
    Ok(given)
}
