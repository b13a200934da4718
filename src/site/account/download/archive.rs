//! A ZIP that is sent while it is written: what has been packed goes to whoever takes it, and no more is packed before they do.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::Bytes;
use tokio::sync::mpsc;
use zip::ZipWriter;
use zip::write::{SimpleFileOptions, StreamWriter};

use crate::web::errors::HttpError;

/// A ZIP that is sent while it is written.
pub struct Archive {
    /// Large.
    zip: Box<ZipWriter<StreamWriter<Buffer>>>,
    buffer: Buffer,
    to: mpsc::Sender<Result<Bytes, HttpError>>,
}

/// What the ZIP has written and nobody has sent yet.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Archive {
    /// Begins an archive whose pieces go to a channel.
    pub fn new(to: mpsc::Sender<Result<Bytes, HttpError>>) -> Self {
        let buffer = Buffer::default();
        Self { zip: Box::new(ZipWriter::new_stream(buffer.clone())), buffer, to }
    }

    /// Begins the next file.
    ///
    /// # Errors
    /// When there is one of that name already.
    pub fn begin(&mut self, name: &str) -> Result<(), HttpError> {
        self.zip.start_file(name, SimpleFileOptions::default()).map_err(internal)
    }

    /// Writes more of it.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        self.zip.write_all(bytes).map_err(internal)?;
        self.buffer.send(&self.to).await
    }

    /// Writes what stands at the end.
    ///
    /// # Errors
    /// When nobody takes it any more.
    pub async fn finish(self) -> Result<(), HttpError> {
        self.zip.finish().map_err(internal)?;
        self.buffer.send(&self.to).await
    }
}

impl Buffer {
    /// Sends what is there.
    async fn send(&self, to: &mpsc::Sender<Result<Bytes, HttpError>>) -> Result<(), HttpError> {
        let written = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if written.is_empty() {
            return Ok(());
        }
        to.send(Ok(Bytes::from(written))).await.map_err(internal)
    }
}

/// What a download makes of whatever goes wrong in its middle: it breaks off.
pub fn internal(error: impl std::fmt::Display) -> HttpError {
    HttpError::Internal(format!("a download broke off: {error}"))
}
