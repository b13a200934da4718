//! Pictures, as people and attackers send them.

use std::io::Cursor;

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
