//! Pictures as files of a folder.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::identity::random_name;

/// What is still being written ends so.
pub(super) const DRAFT: &str = ".part";

/// Makes the folder if need be and tries to write to it.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    prove_writable(folder)
}

/// Writes a file that goes again at once.
pub fn prove_writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".probe-{}", random_name()));
    fs::write(&probe, b"")?;
    fs::remove_file(probe)
}

/// Written beside its place, made durable, then renamed: a file is there whole or not at all.
pub(super) fn keep(folder: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = folder.join(format!("{file}{DRAFT}"));
    let written = write_durably(&draft, bytes).and_then(|()| fs::rename(&draft, folder.join(file)));
    if let Err(error) = written {
        if let Err(left) = fs::remove_file(&draft) {
            log::debug!("nothing to remove of a failed picture: {left}");
        }
        return Err(error);
    }
    fs::File::open(folder)?.sync_all()
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The file, if there is one.
pub(super) fn read(folder: &Path, file: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(folder.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(folder: &Path, file: &str) -> io::Result<()> {
    fs::remove_file(folder.join(file))
}

/// The names of the files older than an hour.
pub(super) fn settled(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if let Some(file) = entry.file_name().to_str().filter(|_| age >= super::MIN_ORPHAN_AGE) {
            files.push(file.to_owned());
        }
    }
    Ok(files)
}
