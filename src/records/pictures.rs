//! The folder of pictures, and what becomes of an upload before it gets there.
//!
//! Whatever somebody sends, only pixels that we drew ourselves are kept: decoded within limits, turned
//! upright, cropped square, 256 pixels, on white, as JPEG without any metadata, under a random name.

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use tokio::sync::{Semaphore, oneshot};

use crate::identity::random_name;

/// The largest upload.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
const MAX_SIDE: u32 = 4096;
const MAX_DECODED: u64 = 96 * 1024 * 1024;
const SIDE: u32 = 256;

/// Why an upload cannot become a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Not PNG, JPEG, WebP or GIF.
    Format,
    /// More pixels than we take.
    Dimensions,
    /// It cannot be decoded.
    Broken,
}

/// The folder of pictures.
#[derive(Clone)]
pub struct Pictures {
    folder: Arc<PathBuf>,
    /// One decode at a time: a picture may take 96 MiB while it is open.
    turn: Arc<Semaphore>,
}

impl Pictures {
    /// Pictures in that folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: Arc::new(folder.to_owned()), turn: Arc::new(Semaphore::new(1)) }
    }

    /// Makes the folder if need be and tries to write to it.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&*self.folder)?;
        let probe = self.folder.join(format!(".probe-{}", random_name()));
        fs::write(&probe, b"")?;
        fs::remove_file(probe)
    }

    /// Draws the upload anew; the JPEG to keep.
    ///
    /// # Errors
    /// When it is no picture that we take.
    pub async fn draw(&self, upload: Vec<u8>) -> Result<Vec<u8>, Unfit> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let (answer, answered) = oneshot::channel();
        // A thread of its own: those that serve the database have no time for it. The turn ends with the work, also
        // when nobody waits for it any more.
        let work = move || {
            drop(answer.send(draw(&upload)));
            drop(turn);
        };
        match std::thread::Builder::new().name("picture".to_owned()).spawn(work) {
            Ok(_) => answered.await.unwrap_or(Err(Unfit::Broken)),
            Err(error) => {
                log::error!("no thread for a picture: {error}");
                Err(Unfit::Broken)
            }
        }
    }

    /// Keeps a drawn picture, safe on the disk when this returns; its random name.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is left of it then.
    pub async fn keep(&self, jpeg: Vec<u8>) -> io::Result<String> {
        let folder = Arc::clone(&self.folder);
        off_the_loop(move || keep(&folder, &jpeg)).await?
    }

    /// The picture of that name, if there is one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn read(&self, name: String) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.path(&name) else { return Ok(None) };
        off_the_loop(move || match fs::read(path) {
            Ok(jpeg) => Ok(Some(jpeg)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await?
    }

    /// Removes a picture that no row names any more.
    pub async fn remove(&self, name: &str) {
        if let Some(path) = self.path(name) {
            self.remove_file(path).await;
        }
    }

    /// Removes a file of [`Pictures::settled`].
    pub async fn remove_file(&self, path: PathBuf) {
        let removed = off_the_loop(move || fs::remove_file(path)).await;
        if let Ok(Err(error)) | Err(error) = removed {
            log::warn!("an old picture could not be removed: {error}");
        }
    }

    /// The files older than an hour, with the name of the picture that each would be: what a crash left over is
    /// among them.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn settled(&self) -> io::Result<Vec<(PathBuf, String)>> {
        let folder = Arc::clone(&self.folder);
        off_the_loop(move || settled(&folder)).await?
    }

    /// Only names that we gave are names of files: no path can be built from anything else.
    fn path(&self, name: &str) -> Option<PathBuf> {
        is_ours(name).then(|| self.folder.join(format!("{name}.jpg")))
    }
}

/// Whether it is a name of the kind that we give; no other is worth a look.
pub fn is_ours(name: &str) -> bool {
    name.len() == 22 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn settled(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        let path = entry.path();
        let kind_is_ours = path.extension().is_some_and(|kind| kind == "jpg" || kind == "part");
        let name =
            path.file_stem().and_then(|name| name.to_str()).filter(|name| is_ours(name)).map(str::to_owned);
        if let Some(name) = name.filter(|_| kind_is_ours && age.as_secs() >= 3600) {
            files.push((path, name));
        }
    }
    Ok(files)
}

fn draw(upload: &[u8]) -> Result<Vec<u8>, Unfit> {
    // By its first bytes: neither the file's name nor the sent type is believed.
    let format = image::guess_format(upload).map_err(|_| Unfit::Format)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Gif) {
        return Err(Unfit::Format);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| unfit(&error))?;
    // The decoder does not count the pixels themselves.
    limits.reserve(decoder.total_bytes()).map_err(|error| unfit(&error))?;
    let orientation = decoder.orientation().map_err(|error| unfit(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| unfit(&error))?;
    // Crop and shrink before turning: the same pixels with a fraction of the work.
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    if picture.width() != picture.height() {
        picture = picture.crop_imm(left, top, side, side);
    }
    picture = picture.resize_exact(SIDE, SIDE, FilterType::Triangle);
    picture.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 85)
        .encode_image(&on_white(&picture))
        .map_err(|error| unfit(&error))?;
    Ok(jpeg)
}

fn on_white(picture: &DynamicImage) -> RgbImage {
    let rgba = picture.to_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0.map(u32::from);
        let over = |channel: u32| u8::try_from((channel * alpha + 255 * (255 - alpha)) / 255).unwrap_or(255);
        image::Rgb([over(red), over(green), over(blue)])
    })
}

fn unfit(error: &image::ImageError) -> Unfit {
    match error {
        image::ImageError::Limits(_) => Unfit::Dimensions,
        image::ImageError::Unsupported(_) => Unfit::Format,
        _ => Unfit::Broken,
    }
}

/// Written beside its place, made durable, then renamed: a picture is there whole or not at all.
fn keep(folder: &Path, jpeg: &[u8]) -> io::Result<String> {
    let name = random_name();
    let draft = folder.join(format!("{name}.part"));
    let written =
        write_durably(&draft, jpeg).and_then(|()| fs::rename(&draft, folder.join(format!("{name}.jpg"))));
    if let Err(error) = written {
        if let Err(left) = fs::remove_file(&draft) {
            log::debug!("nothing to remove of a failed picture: {left}");
        }
        return Err(error);
    }
    fs::File::open(folder)?.sync_all()?;
    Ok(name)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[expect(clippy::disallowed_methods, reason = "the disk is one of the few that may")]
async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    actix_web::web::block(work).await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_format_becomes_a_square_jpeg_on_white() {
        let clear = DynamicImage::new_rgba8(300, 100);
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let drawn = image::load_from_memory_with_format(
                &draw(&encoded(&clear, format)).unwrap(),
                ImageFormat::Jpeg,
            )
            .unwrap();
            assert_eq!((drawn.width(), drawn.height()), (256, 256));
            assert!(
                drawn.to_rgb8().pixels().all(|pixel| pixel.0.iter().all(|channel| *channel > 250)),
                "{format:?}"
            );
        }
        assert!(draw(&encoded(&DynamicImage::new_rgb8(40, 50), ImageFormat::Jpeg)).is_ok());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [
            &b""[..],
            b"<svg onload=alert(1)>",
            b"<html><script>",
            b"%PDF-1.4",
            b"BM\x46\0\0\0",
            b"\0\0\x01\0",
        ] {
            assert_eq!(draw(bytes), Err(Unfit::Format));
        }
        let png = encoded(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png);
        for length in (0..png.len()).step_by(16) {
            assert!(draw(&png[..length]).is_err());
        }
    }

    #[test]
    fn names_are_ours_or_nobodys() {
        let pictures = Pictures::new(Path::new("/media"));
        assert!(pictures.path(&random_name()).is_some());
        for bad in ["", "../../etc/passwd......", "a", "ABCDEFGHIJKLMNOPQRSTU/", "%2e%2e%2fABCDEFGHIJKLM"] {
            assert!(pictures.path(bad).is_none(), "{bad}");
        }
    }
}
