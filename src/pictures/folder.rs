//! Pictures as files of a folder.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::STORAGE_TIMEOUT;
use crate::identity::random_name;
use crate::threads::Threads;

/// What is still being written ends so.
pub(super) const DRAFT: &str = ".part";
/// How many files are read or written at once. While the server of a shared folder is away, these threads do not return, so they do
/// nothing else.
const THREADS: usize = 8;

/// A folder.
#[derive(Clone)]
pub(super) struct Folder {
    path: Arc<Path>,
    threads: Arc<Threads>,
}

impl Folder {
    /// The folder that the settings name.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), threads: Arc::new(Threads::new("files", THREADS)) }
    }

    /// Makes the folder if need be and tries to write to it.
    pub(super) async fn prepare(&self) -> io::Result<()> {
        self.on_thread(|folder| {
            fs::create_dir_all(folder)?;
            prove_writable(folder)
        })
        .await
    }

    pub(super) async fn keep(&self, file: &str, bytes: Vec<u8>) -> io::Result<()> {
        let file = file.to_owned();
        self.on_thread(move |folder| keep(folder, &file, &bytes)).await
    }

    /// The file, if there is one.
    pub(super) async fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        let file = file.to_owned();
        let read = move |folder: &Path| match fs::read(folder.join(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        self.on_thread(read).await
    }

    pub(super) async fn remove(&self, file: &str) -> io::Result<()> {
        let file = file.to_owned();
        self.on_thread(move |folder| fs::remove_file(folder.join(file))).await
    }

    /// The names of the files older than an hour.
    pub(super) async fn settled(&self) -> io::Result<Vec<String>> {
        self.on_thread(settled).await
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (folder, asked) = (Arc::clone(&self.path), Instant::now());
        let work = move || {
            // Whoever waited for so long has left.
            if asked.elapsed() < STORAGE_TIMEOUT {
                work(&folder)
            } else {
                Err(io::ErrorKind::TimedOut.into())
            }
        };
        self.threads.run(work).await.map_err(io::Error::other)?
    }
}

/// Writes a file that goes again at once.
pub fn prove_writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".probe-{}", random_name()));
    fs::write(&probe, b"")?;
    fs::remove_file(probe)
}

/// Written beside its place, made durable, then renamed: a file is there whole or not at all.
fn keep(folder: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
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

fn settled(folder: &Path) -> io::Result<Vec<String>> {
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
