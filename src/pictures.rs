//! The pictures, and what becomes of an upload before it is one.
//!
//! Whatever is sent, only pixels that we drew ourselves are kept: decoded within limits, turned
//! upright, cropped square, 256 pixels, on white, as JPEG without any metadata, under a random name. They lie in a
//! folder, or in a bucket that several instances share. (No table.)

mod bucket;
#[cfg(test)]
mod corpus;
mod decoding;
mod drawing;
mod folder;
mod studio;

use std::io;
use std::time::Duration;

use bucket::S3Bucket;
pub use decoding::DrawError;
pub use drawing::{Crop, Drawn, Zoom};
use folder::Folder;
pub use folder::prove_writable;
use studio::Studio;

use crate::config::MediaConfig;
use crate::identity::random_name;

/// The largest upload.
pub const MAX_BYTES: usize = 10 * 1024 * 1024;
/// The longest that anybody waits for the storage.
const STORAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that housekeeping waits for a list of all files.
const LISTING_TIMEOUT: Duration = Duration::from_secs(600);
/// A file of that age is not being written any more.
pub const MIN_ORPHAN_AGE: Duration = Duration::from_secs(3600);

/// What a file holds, and how its name ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A picture, which a row names.
    Picture,
    /// What a part is chosen from, for an hour at most. No row names it.
    Source,
}

impl Kept {
    /// The longer ending first.
    const ALL: [Self; 2] = [Self::Source, Self::Picture];

    fn ending(self) -> &'static str {
        match self {
            Self::Picture => ".jpg",
            Self::Source => ".source.jpg",
        }
    }

    fn file(self, name: &str) -> String {
        format!("{name}{}", self.ending())
    }
}

/// A file that is not being written any more.
#[derive(Clone, Debug)]
pub struct Settled {
    pub file: String,
    /// The name of what it holds, or would have held.
    pub name: String,
    pub kept: Kept,
}

/// Where pictures lie.
#[derive(Clone)]
pub struct Pictures {
    storage: Storage,
    studio: Studio,
}

#[derive(Clone)]
enum Storage {
    Folder(Folder),
    S3(S3Bucket),
}

impl Pictures {
    /// Pictures where the settings say. Nothing is touched yet.
    ///
    /// # Errors
    /// When the settings name no usable bucket, or there is no thread to draw.
    pub fn new(config: &MediaConfig) -> io::Result<Self> {
        let storage = match config {
            MediaConfig::Folder(folder) => Storage::Folder(Folder::new(folder)),
            MediaConfig::Bucket(config) => Storage::S3(S3Bucket::new(config)?),
        };
        Ok(Self { storage, studio: Studio::open()? })
    }

    /// Makes the folder if need be, and tries to write there.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub async fn prepare(&self) -> io::Result<()> {
        match &self.storage {
            Storage::Folder(folder) => in_time(folder.prepare()).await,
            Storage::S3(bucket) => in_time(bucket.prepare()).await,
        }
    }

    /// Draws an upload again.
    ///
    /// # Errors
    /// When it is no picture that we take.
    pub async fn draw(&self, upload: Vec<u8>) -> Result<Drawn, DrawError> {
        self.studio.work(move || drawing::draw(&upload)).await
    }

    /// Draws another part of it.
    ///
    /// # Errors
    /// When it is damaged.
    pub async fn crop(&self, source: Vec<u8>, crop: Crop) -> Result<Vec<u8>, DrawError> {
        self.studio.work(move || drawing::crop(&source, crop)).await
    }

    /// Keeps a drawn picture, safe when this returns; returns its random name.
    ///
    /// # Errors
    /// When the disk or the storage refuses, or does not answer in time. If it kept the picture anyway, [`Pictures::settled`] finds it
    /// later.
    pub async fn keep(&self, kept: Kept, jpeg: Vec<u8>) -> io::Result<String> {
        let name = random_name();
        let file = kept.file(&name);
        match &self.storage {
            Storage::Folder(folder) => in_time(folder.keep(&file, jpeg)).await?,
            Storage::S3(bucket) => in_time(bucket.keep(&file, jpeg)).await?,
        }
        Ok(name)
    }

    /// Reads a picture, if there is one of that name.
    ///
    /// # Errors
    /// When the disk or the storage refuses.
    pub async fn read(&self, kept: Kept, name: &str) -> io::Result<Option<Vec<u8>>> {
        // No path is built from anything else than a name that we gave.
        if !is_ours(name) {
            return Ok(None);
        }
        let file = kept.file(name);
        match &self.storage {
            Storage::Folder(folder) => in_time(folder.read(&file)).await,
            Storage::S3(bucket) => in_time(bucket.read(&file)).await,
        }
    }

    /// Removes what nobody needs any more.
    pub async fn remove(&self, kept: Kept, name: &str) {
        if is_ours(name) {
            self.remove_file(kept.file(name)).await;
        }
    }

    /// Removes a file of [`Pictures::settled`].
    pub async fn remove_file(&self, file: String) {
        let removed = match &self.storage {
            Storage::Folder(folder) => in_time(folder.remove(&file)).await,
            Storage::S3(bucket) => in_time(bucket.remove(&file)).await,
        };
        if let Err(error) = removed {
            log::warn!("an old picture could not be removed: {error}");
        }
    }

    /// The files of ours that are older than an hour: what a crash left over is among them.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn settled(&self) -> io::Result<Vec<Settled>> {
        let files = match &self.storage {
            Storage::Folder(folder) => within(LISTING_TIMEOUT, folder.settled()).await?,
            Storage::S3(bucket) => within(LISTING_TIMEOUT, bucket.settled()).await?,
        };
        Ok(files.into_iter().filter_map(settled).collect())
    }
}

/// Whether it is a name of the kind that we give; no other is worth a look.
pub fn is_ours(name: &str) -> bool {
    name.len() == 22 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// What is in that file, whole or not, when it is one of ours.
fn settled(file: String) -> Option<Settled> {
    let whole = file.strip_suffix(folder::DRAFT).unwrap_or(&file);
    let (kept, name) = Kept::ALL.iter().find_map(|kept| Some((*kept, whole.strip_suffix(kept.ending())?)))?;
    let name = Some(name).filter(|name| is_ours(name))?.to_owned();
    Some(Settled { file, name, kept })
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    within(STORAGE_TIMEOUT, work).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_or_nobodys() {
        let ours = random_name();
        for (ending, kept) in [
            (".jpg", Kept::Picture),
            (".jpg.part", Kept::Picture),
            (".source.jpg", Kept::Source),
            (".source.jpg.part", Kept::Source),
        ] {
            let found = settled(format!("{ours}{ending}")).unwrap();
            assert_eq!((found.name.as_str(), found.kept), (ours.as_str(), kept));
        }
        for bad in ["", "../../etc/passwd......", "a", "ABCDEFGHIJKLMNOPQRSTU/", "%2e%2e%2fABCDEFGHIJKLM"] {
            assert!(!is_ours(bad) && settled(format!("{bad}.jpg")).is_none(), "{bad}");
        }
    }
}
