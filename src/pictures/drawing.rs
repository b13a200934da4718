//! From whatever somebody sends to pixels that we drew ourselves.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};

use super::decoding::{Decoded, DrawError, decode};

const SIDE: u32 = 256;

/// The JPEG to keep of an upload: upright, square, 256 pixels, on white, without metadata.
pub(super) fn draw(upload: &[u8]) -> Result<Vec<u8>, DrawError> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 85)
        .encode_image(&square(upload)?)
        .map_err(|_| DrawError::Broken)?;
    Ok(jpeg)
}

/// The pixels that are kept.
pub(super) fn square(upload: &[u8]) -> Result<RgbImage, DrawError> {
    let Decoded { picture, orientation } = decode(upload)?;
    let picture = on_white(picture);
    // Crop and shrink before turning: the same pixels with a fraction of the work.
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let middle = imageops::crop_imm(&picture, left, top, side, side);
    let mut drawn = DynamicImage::ImageRgb8(imageops::resize(&*middle, SIDE, SIDE, FilterType::Triangle));
    drawn.apply_orientation(orientation);
    Ok(drawn.into_rgb8())
}

/// Before anything is shrunk: else the colours below what is transparent would shine through at its edges.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let rgba = picture.into_rgba8();
    let (width, height) = rgba.dimensions();
    // In place: a second picture of that size would double the memory.
    let mut bytes = rgba.into_raw();
    let mut to = 0;
    for from in (0..bytes.len()).step_by(4) {
        let Some(&[red, green, blue, alpha]) = bytes.get(from..from + 4).and_then(|four| four.first_chunk())
        else {
            break;
        };
        let over = |channel: u8| {
            let (channel, alpha) = (u32::from(channel), u32::from(alpha));
            u8::try_from((channel * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(255)
        };
        if let Some(three) = bytes.get_mut(to..to + 3) {
            three.copy_from_slice(&[over(red), over(green), over(blue)]);
        }
        to += 3;
    }
    bytes.truncate(to);
    RgbImage::from_raw(width, height, bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

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
