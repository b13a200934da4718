//! From whatever somebody sends to pixels that we drew ourselves.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::decoding::{Decoded, DrawError, decode};

const SIDE: u32 = 256;

/// The longest side of what is cropped from, in pixels.
const SOURCE_SIDE: u32 = 1024;

/// What becomes of an upload: both upright, on white, without metadata.
pub struct Drawn {
    /// The JPEG to keep: its middle, square, 256 pixels.
    pub square: Vec<u8>,
    /// All of it, smaller: for choosing another part.
    pub source: Vec<u8>,
}

/// Which part of a picture is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Of three columns and three rows, from the left and from the top.
    pub column: u8,
    pub row: u8,
    pub zoom: Zoom,
}

/// How near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zoom {
    Whole,
    Near,
    Nearer,
}

impl Zoom {
    /// The part of the shorter side that is kept, in quarters.
    fn quarters(self) -> u32 {
        match self {
            Self::Whole => 4,
            Self::Near => 3,
            Self::Nearer => 2,
        }
    }
}

/// Draws an upload.
pub(super) fn draw(upload: &[u8]) -> Result<Drawn, DrawError> {
    let Decoded { picture, orientation } = decode(upload)?;
    let picture = on_white(picture);
    let source = {
        let (width, height) = fitting(picture.width(), picture.height());
        // Nobody keeps it: what is fast is good enough.
        let small = imageops::thumbnail(&picture, width, height);
        jpeg(&upright(small, orientation))?
    };
    Ok(Drawn { square: jpeg(&square_of(&picture, orientation))?, source })
}

/// Draws a part of what was drawn before.
pub(super) fn crop(source: &[u8], crop: Crop) -> Result<Vec<u8>, DrawError> {
    let picture = on_white(decode(source)?.picture);
    let side = picture.width().min(picture.height()) * crop.zoom.quarters() / 4;
    let left = (picture.width() - side) * u32::from(crop.column.min(2)) / 2;
    let top = (picture.height() - side) * u32::from(crop.row.min(2)) / 2;
    let part = imageops::crop_imm(&picture, left, top, side, side);
    jpeg(&imageops::resize(&*part, SIDE, SIDE, FilterType::Triangle))
}

/// The pixels that are kept.
#[cfg(test)]
pub(super) fn square(upload: &[u8]) -> Result<RgbImage, DrawError> {
    let Decoded { picture, orientation } = decode(upload)?;
    Ok(square_of(&on_white(picture), orientation))
}

fn square_of(picture: &RgbImage, orientation: Orientation) -> RgbImage {
    // Crop and shrink before turning: the same pixels with a fraction of the work.
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let middle = imageops::crop_imm(picture, left, top, side, side);
    upright(imageops::resize(&*middle, SIDE, SIDE, FilterType::Triangle), orientation)
}

fn upright(picture: RgbImage, orientation: Orientation) -> RgbImage {
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    picture.into_rgb8()
}

/// The size of a picture that is no longer than [`SOURCE_SIDE`].
fn fitting(width: u32, height: u32) -> (u32, u32) {
    let longest = width.max(height);
    let fit = |side: u32| if longest <= SOURCE_SIDE { side } else { (side * SOURCE_SIDE / longest).max(1) };
    (fit(width), fit(height))
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, DrawError> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 85);
    picture.write_with_encoder(encoder).map_err(|_| DrawError::Broken)?;
    Ok(jpeg)
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
                &draw(&encoded(&clear, format)).unwrap().square,
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
    fn each_part_of_a_picture_can_be_kept() {
        // Columns of red, green and blue, three hundred pixels each.
        let wide = RgbImage::from_fn(900, 300, |x, _| {
            let mut pixel = [0; 3];
            pixel[usize::try_from(x / 300).unwrap()] = 255;
            image::Rgb(pixel)
        });
        let source = draw(&encoded(&wide.into(), ImageFormat::Png)).unwrap().source;
        for column in 0..3_u8 {
            for zoom in [Zoom::Whole, Zoom::Near, Zoom::Nearer] {
                let part = crop(&source, Crop { column, row: 1, zoom }).unwrap();
                let part = image::load_from_memory(&part).unwrap().to_rgb8();
                assert_eq!(part.dimensions(), (SIDE, SIDE));
                let middle = part.get_pixel(SIDE / 2, SIDE / 2);
                assert!(middle[usize::from(column)] > 200, "{column} {zoom:?}: {middle:?}");
            }
        }
        let tall = draw(&encoded(&DynamicImage::new_rgb8(1200, 2400), ImageFormat::Png)).unwrap().source;
        let tall = image::load_from_memory(&tall).unwrap();
        assert_eq!((tall.width(), tall.height()), (512, 1024));
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
