//! Pixels of an upload, eight bits a channel: what a decoder would repair in silence is damaged, and what it would draw wrong is
//! not of a kind that we take.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The most pixels across and down.
const MAX_SIDE: u32 = 12_000;
/// The most pixels in all, whatever their kind: the 48 megapixels of a phone. Drawing takes its time for each of them.
const MAX_PIXELS: u64 = 50_000_000;
/// The most memory that they take, in bytes.
pub(super) const MAX_DECODED: u64 = MAX_PIXELS * 4;

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
    refuse_rare_jpeg(upload)?;
    let most = MAX_SIDE as usize;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(most).set_max_height(most);
    let options = options.jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(upload), options);
    decoder.decode_headers().map_err(|_| jpeg_too_large_or_broken(upload))?;
    let (width, height) = decoder.dimensions().ok_or(DrawError::Broken)?;
    let size = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    require_size(size(width), size(height))?;
    let pixels = decoder.decode().map_err(|_| DrawError::Broken)?;
    let picture = RgbImage::from_raw(size(width), size(height), pixels).ok_or(DrawError::Broken)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(Decoded {
        picture: DynamicImage::ImageRgb8(picture),
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
    })
}

/// Finds the frame of a JPEG, and refuses those that our decoder does not know or draws wrong: arithmetic coding, lossless and
/// hierarchical ones, more than 8 bits, and colours that are sampled finer than the light (ITU-T T.81, B.2.2).
fn refuse_rare_jpeg(upload: &[u8]) -> Result<(), DrawError> {
    let Some(frame) = frame_of_jpeg(upload) else { return Err(DrawError::Broken) };
    let is_usual_process = matches!(frame.marker, 0xc0..=0xc2);
    let across_and_down = |factors: u8| (factors >> 4, factors & 15);
    let light = across_and_down(frame.sampling.first().copied().unwrap_or_default());
    let is_finer = |factors: &u8| {
        let (across, down) = across_and_down(*factors);
        across == 0 || down == 0 || across > light.0 || down > light.1
    };
    if !is_usual_process || frame.bits != 8 || frame.sampling.iter().any(is_finer) {
        return Err(DrawError::Format);
    }
    Ok(())
}

struct Frame {
    /// Its kind.
    marker: u8,
    bits: u8,
    width: u16,
    height: u16,
    /// How each component is sampled: across in the upper four bits, down in the lower.
    sampling: Vec<u8>,
}

fn frame_of_jpeg(upload: &[u8]) -> Option<Frame> {
    let mut rest = upload.get(2..)?;
    loop {
        let start = rest.iter().position(|byte| *byte == 0xff)?;
        rest = rest.get(start..)?;
        let marker = *rest.iter().find(|byte| **byte != 0xff)?;
        let at = rest.iter().position(|byte| *byte == marker)?;
        rest = rest.get(at + 1..)?;
        // Those that stand alone, and a zero, which is none.
        if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
        // Every SOF; not the tables of Huffman (C4), JPG (C8) and arithmetic coding (CC).
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let segment = rest.get(2..length)?;
            let number = |at: usize| Some(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?]));
            let components = segment.get(6..)?.chunks_exact(3);
            let sampling = components.filter_map(|component| component.get(1).copied()).collect();
            return Some(Frame {
                marker,
                bits: *segment.first()?,
                height: number(1)?,
                width: number(3)?,
                sampling,
            });
        }
        rest = rest.get(length..)?;
    }
}

fn jpeg_too_large_or_broken(upload: &[u8]) -> DrawError {
    match frame_of_jpeg(upload) {
        Some(frame) if u32::from(frame.width.max(frame.height)) > MAX_SIDE => DrawError::Dimensions,
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
