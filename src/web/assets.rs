//! Style sheet and icon: embedded, compressed once, served under a name that holds their hash.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, Header, IF_NONE_MATCH,
    VARY,
};
use actix_web::web::{Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::errors::HttpError;
use crate::identity::fingerprint;
use crate::paths::service::STATIC;

struct Asset {
    path: String,
    etag: String,
    kind: &'static str,
    plain: Bytes,
    gzipped: Bytes,
}

/// What we have, the best first.
static OFFERED: LazyLock<[Encoding; 2]> = LazyLock::new(|| [Encoding::gzip(), Encoding::identity()]);

static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("site", "css", "text/css; charset=utf-8", include_bytes!("../../static/site.css"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../../static/icon.svg")));

/// The path of the style sheet.
pub fn stylesheet() -> &'static str {
    &STYLESHEET.path
}

/// The path of the icon.
pub fn icon() -> &'static str {
    &ICON.path
}

/// Serves a file, by the name that holds its hash.
///
/// # Errors
/// When there is none of that name.
pub async fn serve(req: HttpRequest, name: Path<String>) -> Result<HttpResponse, HttpError> {
    let asset: &'static Asset = [&*STYLESHEET, &*ICON]
        .into_iter()
        .find(|asset| asset.path == STATIC.to([name.as_str()]))
        .ok_or(HttpError::NotFound)?;
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
    let accepts = AcceptEncoding::parse(&req).ok().and_then(|accepts| accepts.negotiate(OFFERED.iter()));
    if accepts == Some(Encoding::gzip()) {
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
            path: STATIC.to([format!("{name}.{hash}.{extension}").as_str()]),
            etag: format!("\"{hash}\""),
            kind,
            plain: Bytes::from_static(plain),
            gzipped: gzipped.into(),
        }
    }
}
