//! Pixels of an upload, eight bits a channel: what a decoder would repair in silence is damaged, and what it would draw wrong is
//! not of a kind that we take.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use libjpeg_turbo_rs::{Decoder, JpegError, PixelFormat, ScalingFactor};

/// The most pixels across and down.
const MAX_SIDE: u32 = 12_000;
/// The most pixels that are open at a time, whatever their kind: the 48 megapixels of a phone. A JPEG may have more, as far
/// as it can be shrunk while it is read.
const MAX_PIXELS: u64 = 50_000_000;
/// The most memory that they take, in bytes.
pub(super) const MAX_DECODED: u64 = MAX_PIXELS * 4;
/// The shorter side of a JPEG is shrunk to no fewer pixels than these while it is read: four times what is kept, so that
/// nothing of it is seen.
const MIN_SHRUNK: usize = 1024;
/// The most passes of a progressive JPEG. Encoders make about ten; a hundred over 49 megapixels take less than a second.
const MAX_SCANS: u32 = 128;

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
}

/// What was decoded, and how it is to be turned.
pub(super) struct Decoded {
    pub(super) picture: DynamicImage,
    pub(super) orientation: Orientation,
}

/// Decodes an upload, by its first bytes: neither the file's name nor the sent type is believed.
pub(super) fn decode(upload: &[u8]) -> Result<Decoded, DrawError> {
    match image::guess_format(upload).map_err(|_| DrawError::Format)? {
        ImageFormat::Jpeg => jpeg(upload),
        ImageFormat::Png => png(upload),
        format @ (ImageFormat::WebP | ImageFormat::Gif) => other(upload, format),
        _ => Err(DrawError::Format),
    }
}

fn require_size(width: u32, height: u32) -> Result<(), DrawError> {
    let is_too_large = width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS;
    if is_too_large { Err(DrawError::Dimensions) } else { Ok(()) }
}

/// Strictly: half a file would else be drawn with the other half grey.
fn jpeg(upload: &[u8]) -> Result<Decoded, DrawError> {
    let mut decoder = Decoder::new(upload).map_err(|error| jpeg_error(&error))?;
    refuse_rare_jpeg(&decoder)?;
    let header = decoder.header();
    let (width, height) = (header.width(), header.height());
    if width.min(height) == 0 {
        return Err(DrawError::Broken);
    }
    if width.max(height) > MAX_SIDE as usize || coefficients(&decoder) > MAX_DECODED {
        return Err(DrawError::Dimensions);
    }
    let shrink = [8, 4, 2].into_iter().find(|by| width.min(height) / by >= MIN_SHRUNK).unwrap_or(1);
    let scale = u32::try_from(shrink).ok().and_then(|by| ScalingFactor::try_new(1, by).ok());
    decoder.set_scale(scale.unwrap_or_default());
    decoder.set_stop_on_warning(true);
    decoder.set_scan_limit(MAX_SCANS);
    decoder.set_output_format(PixelFormat::Rgb);
    let size = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    require_size(size(decoder.output_width()), size(decoder.output_height()))?;
    let image = decoder.decode_image().map_err(|error| jpeg_error(&error))?;
    let orientation = image.exif_data.as_deref().and_then(Orientation::from_exif_chunk);
    let picture = RgbImage::from_raw(size(image.width), size(image.height), image.data);
    Ok(Decoded {
        picture: DynamicImage::ImageRgb8(picture.ok_or(DrawError::Broken)?),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    })
}

/// Refuses the JPEGs that nobody sends and whose drawing nobody has compared: arithmetic coding, lossless ones, more than 8
/// bits, and colours that are sampled finer than the light or in odd parts of it (ITU-T T.81, B.2.2).
fn refuse_rare_jpeg(decoder: &Decoder<'_>) -> Result<(), DrawError> {
    let header = decoder.header();
    let factors: Vec<(u8, u8)> =
        header.components.iter().map(|one| (one.horizontal_sampling, one.vertical_sampling)).collect();
    let is_usual = |(across, down)| matches!((across, down), (1 | 2 | 4, 1 | 2) | (1 | 2, 4));
    let are_known = match factors[..] {
        [light] => is_usual(light),
        [light, blue, red] => {
            is_usual(light) && [blue, red].iter().all(|one| *one == (1, 1) || *one == light)
        }
        // Black as the light, for print.
        [light, blue, red, black] => {
            is_usual(light) && blue == red && (blue == (1, 1) || blue == light) && black == light
        }
        _ => false,
    };
    let is_known = header.precision == 8 && !header.is_lossless && !decoder.is_arithmetic();
    if is_known && are_known { Ok(()) } else { Err(DrawError::Format) }
}

/// The bytes that a JPEG needs besides its pixels: one that comes in several passes is held as two bytes for each value.
fn coefficients(decoder: &Decoder<'_>) -> u64 {
    if !decoder.has_multiple_scans() {
        return 0;
    }
    let header = decoder.header();
    let area = |across: u8, down: u8| u64::from(across) * u64::from(down);
    let areas = header.components.iter().map(|one| area(one.horizontal_sampling, one.vertical_sampling));
    let most = areas.clone().max().unwrap_or(1).max(1);
    let pixels = u64::from(header.width) * u64::from(header.height);
    pixels * areas.sum::<u64>() / most * 2
}

fn jpeg_error(error: &JpegError) -> DrawError {
    match error {
        JpegError::Unsupported(_) => DrawError::Format,
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => DrawError::Dimensions,
        _ => DrawError::Broken,
    }
}

/// With eight bits a channel while it is read: sixteen would take twice the memory for nothing that can be seen.
fn png(upload: &[u8]) -> Result<Decoded, DrawError> {
    let bytes = usize::try_from(MAX_DECODED).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(upload), png::Limits { bytes });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| png_error(&error))?;
    let info = reader.info();
    let (width, height) = (info.width, info.height);
    require_size(width, height)?;
    let exif = info.exif_metadata.as_ref();
    let orientation = exif.and_then(|exif| Orientation::from_exif_chunk(exif));
    let size = reader.output_buffer_size().filter(|size| *size <= bytes).ok_or(DrawError::Dimensions)?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|error| png_error(&error))?;
    let picture = match frame.color_type {
        png::ColorType::Grayscale => {
            image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
        }
        png::ColorType::GrayscaleAlpha => {
            image::GrayAlphaImage::from_raw(width, height, pixels).map(DynamicImage::from)
        }
        png::ColorType::Rgb => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        png::ColorType::Rgba => RgbaImage::from_raw(width, height, pixels).map(DynamicImage::from),
        png::ColorType::Indexed => None,
    };
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { picture: picture.ok_or(DrawError::Broken)?, orientation })
}

fn png_error(error: &png::DecodingError) -> DrawError {
    match error {
        png::DecodingError::LimitsExceeded => DrawError::Dimensions,
        _ => DrawError::Broken,
    }
}

/// WebP, and the first frame of a GIF.
fn other(upload: &[u8], format: ImageFormat) -> Result<Decoded, DrawError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let mut reader = ImageReader::with_format(Cursor::new(upload), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| draw_error(&error))?;
    let (width, height) = decoder.dimensions();
    require_size(width, height)?;
    // The decoder does not count the pixels themselves.
    limits.reserve(decoder.total_bytes()).map_err(|error| draw_error(&error))?;
    let orientation = decoder.orientation().map_err(|error| draw_error(&error))?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| draw_error(&error))?;
    Ok(Decoded { picture, orientation })
}

fn draw_error(error: &image::ImageError) -> DrawError {
    match error {
        image::ImageError::Limits(_) => DrawError::Dimensions,
        image::ImageError::Unsupported(_) => DrawError::Format,
        _ => DrawError::Broken,
    }
}
