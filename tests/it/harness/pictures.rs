//! Pictures, as people and attackers send them.

use std::io::{Cursor, Write as _};

use image::{DynamicImage, ImageFormat, RgbImage};

use super::Visitor;

/// A picture of four fields: red, green, blue and yellow.
pub fn fields(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| match (x * 2 < width, y * 2 < height) {
        (true, true) => image::Rgb([220, 30, 30]),
        (false, true) => image::Rgb([30, 200, 30]),
        (true, false) => image::Rgb([30, 30, 220]),
        (false, false) => image::Rgb([220, 220, 30]),
    })
    .into()
}

pub fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&fields(width, height), ImageFormat::Png)
}

/// The address of the picture on the profile page.
pub fn address(visitor: &Visitor) -> String {
    let body = &visitor.page().body;
    let start = body.find("/user-profile/picture/").expect("a picture");
    body[start..].split('"').next().expect("an address").to_owned()
}

/// The file behind the picture on the profile page.
pub async fn file(visitor: &mut Visitor) -> Vec<u8> {
    let request = visitor.request(reqwest::Method::GET, &address(visitor));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    answer.bytes().await.expect("a file").to_vec()
}

/// The picture on the profile page.
pub async fn shown(visitor: &mut Visitor) -> DynamicImage {
    let file = file(visitor).await;
    image::load_from_memory_with_format(&file, ImageFormat::Jpeg).expect("a JPEG")
}

/// A PNG that says how large it is, and holds next to nothing.
pub fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    png_of_zeros(width, height, [8, 2], &vec![0; 1 + 3 * width as usize], height.min(6_000))
}

/// As large, with a bit for each pixel: few bytes, and as many pixels to draw.
pub fn grey_png_bomb(width: u32, height: u32) -> Vec<u8> {
    png_of_zeros(width, height, [1, 0], &vec![0; 1 + width as usize / 8], height)
}

fn png_of_zeros(width: u32, height: u32, depth_and_color: [u8; 2], row: &[u8], rows: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(data);
        let length = u32::try_from(data.len()).expect("memory").to_be_bytes();
        [&length[..], kind, data, &sum.sum().to_be_bytes()].concat()
    };
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &depth_and_color, &[0, 0, 0]].concat();
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..rows {
        zeros.write_all(row).expect("memory");
    }
    let pixels = zeros.finish().expect("memory");
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &head), &chunk(b"IDAT", &pixels), &chunk(b"IEND", b"")]
        .concat()
}
