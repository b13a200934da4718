//! Style sheet and icon: embedded, compressed once, served under a name that holds their hash.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::fault::Fault;
use crate::identity::fingerprint;

struct Asset {
    path: String,
    etag: String,
    kind: &'static str,
    plain: Bytes,
    gzipped: Bytes,
}

static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("site", "css", "text/css; charset=utf-8", include_bytes!("../../static/site.css"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../static/icon.svg")));

/// The address of the style sheet.
pub fn stylesheet() -> &'static str {
    &STYLESHEET.path
}

/// The address of the icon.
pub fn icon() -> &'static str {
    &ICON.path
}

/// A file, by the name that holds its hash.
///
/// # Errors
/// When there is none of that name.
pub async fn serve(req: HttpRequest, name: Path<String>) -> Result<HttpResponse, Fault> {
    let asset: &'static Asset = [&*STYLESHEET, &*ICON]
        .into_iter()
        .find(|asset| asset.path.strip_prefix("/static/") == Some(&name))
        .ok_or(Fault::NotFound)?;
    let header = |name| req.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut answer = if header(IF_NONE_MATCH).contains(&asset.etag) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((ETAG, asset.etag.as_str()))
        .insert_header((VARY, "Accept-Encoding"));
    if header(IF_NONE_MATCH).contains(&asset.etag) {
        return Ok(answer.finish());
    }
    answer.insert_header((CONTENT_TYPE, asset.kind));
    if header(ACCEPT_ENCODING).contains("gzip") {
        answer.insert_header((CONTENT_ENCODING, "gzip"));
        return Ok(answer.body(asset.gzipped.clone()));
    }
    Ok(answer.body(asset.plain.clone()))
}

impl Asset {
    fn new(name: &str, extension: &str, kind: &'static str, plain: &'static [u8]) -> Self {
        let hash = fingerprint(plain);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        #[expect(clippy::expect_used, reason = "a vector takes everything")]
        let gzipped = encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory");
        Self {
            path: format!("/static/{name}.{hash}.{extension}"),
            etag: format!("\"{hash}\""),
            kind,
            plain: Bytes::from_static(plain),
            gzipped: gzipped.into(),
        }
    }
}
