//! From whatever somebody sends to pixels that we drew ourselves.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

const MAX_SIDE: u32 = 4096;
const MAX_DECODED: u64 = 96 * 1024 * 1024;
const SIDE: u32 = 256;

/// Why an upload cannot become a picture.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// Not PNG, JPEG, WebP or GIF.
    #[error("not a format that we read")]
    Format,
    /// More pixels than we take.
    #[error("too many pixels")]
    Dimensions,
    /// It cannot be decoded.
    #[error("it cannot be decoded")]
    Broken,
    /// There was no thread to draw it: our fault, and it may work later.
    #[error("no thread to draw it: {0}")]
    NoThread(std::io::Error),
}

/// The JPEG to keep of an upload: upright, square, 256 pixels, on white, without metadata.
pub(super) fn draw(upload: &[u8]) -> Result<Vec<u8>, DrawError> {
    // By its first bytes: neither the file's name nor the sent type is believed.
    let format = image::guess_format(upload).map_err(|_| DrawError::Format)?;
    if !matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Gif) {
        return Err(DrawError::Format);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| draw_error(&error))?;
    // The decoder does not count the pixels themselves.
    limits.reserve(decoder.total_bytes()).map_err(|error| draw_error(&error))?;
    let orientation = decoder.orientation().map_err(|error| draw_error(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| draw_error(&error))?;
    // Crop and shrink before turning: the same pixels with a fraction of the work.
    let side = picture.width().min(picture.height());
    let left = (picture.width() - side) / 2;
    let top = (picture.height() - side) / 2;
    if picture.width() != picture.height() {
        picture = picture.crop_imm(left, top, side, side);
    }
    picture = picture.resize_exact(SIDE, SIDE, FilterType::Triangle);
    picture.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 85)
        .encode_image(&on_white(&picture))
        .map_err(|error| draw_error(&error))?;
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

fn draw_error(error: &image::ImageError) -> DrawError {
    match error {
        image::ImageError::Limits(_) => DrawError::Dimensions,
        image::ImageError::Unsupported(_) => DrawError::Format,
        _ => DrawError::Broken,
    }
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
            assert!(matches!(draw(bytes), Err(DrawError::Format)));
        }
        let png = encoded(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png);
        for length in (0..png.len()).step_by(16) {
            assert!(draw(&png[..length]).is_err());
        }
    }
}
