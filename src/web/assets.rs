//! Style sheet, icons and the one script: embedded, in the colours of the site, compressed once, served under a name that holds their hash.

mod colors;

use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, Header, HeaderName,
    IF_NONE_MATCH, VARY,
};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::errors::HttpError;
use super::routes::{self, Pages};
use crate::config::{Application, Applications, Brand, Logo, LogoKind};
use crate::identity::fingerprint;
use crate::paths::service::{FAVICON, ROBOTS, STATIC, TOUCH_ICON};

/// The files of this site.
pub struct Assets {
    stylesheet: Asset,
    icon: Asset,
    /// For browsers that know no SVG, and for home screens.
    touch_icon: Asset,
    /// What asks a browser for a passkey.
    script: Asset,
    /// Those of the applications, by their hosts.
    app_icons: Vec<(String, Asset)>,
}

struct Asset {
    path: String,
    etag: String,
    kind: &'static str,
    plain: Bytes,
    /// Made for the first who asks: nobody waits for it at the start.
    gzipped: OnceLock<Bytes>,
}

const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";
/// The colour of the key in `icon.svg`, which a site of another hue replaces.
const KEY_COLOR: &str = "#0a5640";
const SCRIPT: &str = include_str!("../../static/passkey.js");
/// Browsers ask for these by name, once a day.
const A_DAY: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=86400");

impl Assets {
    /// Makes the files of a site.
    pub fn of(brand: &Brand, applications: &Applications) -> Self {
        let app_icon = |application: &Application| {
            let icon = application.icon.as_ref()?;
            Some((application.host.clone(), Asset::of_logo("app", icon)))
        };
        let stylesheet = colors::rules(&brand.palette) + include_str!("../../static/site.css");
        let icon = include_str!("../../static/icon.svg").replace(KEY_COLOR, &brand.palette.light.accent);
        Self {
            stylesheet: Asset::new("site", "css", "text/css; charset=utf-8", stylesheet.into_bytes()),
            icon: match &brand.logo {
                Some(logo) => Asset::of_logo("icon", logo),
                None => Asset::new("icon", "svg", SVG, icon.into_bytes()),
            },
            script: Asset::new("passkey", "js", "text/javascript; charset=utf-8", SCRIPT.into()),
            touch_icon: Asset::new("touch-icon", "png", PNG, brand.touch_icon().to_vec()),
            app_icons: applications.iter().filter_map(app_icon).collect(),
        }
    }

    /// The path of the style sheet.
    pub fn stylesheet(&self) -> &str {
        &self.stylesheet.path
    }

    /// The path of the script.
    pub fn script(&self) -> &str {
        &self.script.path
    }

    /// The path of the icon, or of the site's logo.
    pub fn icon(&self) -> &str {
        &self.icon.path
    }

    /// The media type of the icon.
    pub fn icon_kind(&self) -> &str {
        self.icon.kind
    }

    /// The path of an application's icon.
    pub fn app_icon(&self, host: &str) -> Option<&str> {
        self.app_icons.iter().find(|(of, _)| of == host).map(|(_, icon)| icon.path.as_str())
    }

    fn find(&self, path: &str) -> Option<&Asset> {
        let own = [&self.stylesheet, &self.icon, &self.touch_icon, &self.script];
        let all = own.into_iter().chain(self.app_icons.iter().map(|(_, icon)| icon));
        all.into_iter().find(|asset| asset.path == path)
    }
}

/// Registers the files.
pub fn routes(pages: &mut Pages) {
    pages
        .service(routes::page(STATIC, serve))
        .service(routes::page(FAVICON, favicon))
        .service(routes::page(TOUCH_ICON, touch_icon))
        .service(routes::page(ROBOTS, robots));
}

/// Serves a file, by the name that holds its hash.
///
/// # Errors
/// When there is none of that name.
async fn serve(
    assets: Data<Assets>,
    req: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, HttpError> {
    let asset = assets.find(&STATIC.to([name.as_str()])).ok_or(HttpError::NotFound)?;
    Ok(asset.answer(&req, (CACHE_CONTROL, "public, max-age=31536000, immutable")))
}

/// The icon, for whoever asks for it by its old name.
async fn favicon(assets: Data<Assets>, req: HttpRequest) -> HttpResponse {
    assets.icon.answer(&req, A_DAY)
}

/// The icon for home screens.
async fn touch_icon(assets: Data<Assets>, req: HttpRequest) -> HttpResponse {
    assets.touch_icon.answer(&req, A_DAY)
}

/// Tells search engines that there is nothing to find behind the start page.
async fn robots() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header(A_DAY)
        .body("User-agent: *\nAllow: /$\nDisallow: /\n")
}

/// What we have, the best first.
static OFFERED: LazyLock<[Encoding; 2]> = LazyLock::new(|| [Encoding::gzip(), Encoding::identity()]);

impl Asset {
    fn of_logo(name: &str, logo: &Logo) -> Self {
        match logo.kind {
            LogoKind::Svg => Self::new(name, "svg", SVG, logo.bytes.clone()),
            LogoKind::Png => Self::new(name, "png", PNG, logo.bytes.clone()),
        }
    }

    fn new(name: &str, extension: &str, kind: &'static str, plain: Vec<u8>) -> Self {
        let hash = fingerprint(&plain);
        Self {
            path: STATIC.to([format!("{name}.{hash}.{extension}").as_str()]),
            etag: format!("\"{hash}\""),
            kind,
            plain: plain.into(),
            gzipped: OnceLock::new(),
        }
    }

    fn answer(&self, req: &HttpRequest, caching: (HeaderName, &str)) -> HttpResponse {
        let header = |name| req.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_known = header(IF_NONE_MATCH).contains(&self.etag);
        let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer
            .insert_header(caching)
            .insert_header((ETAG, self.etag.as_str()))
            .insert_header((VARY, "Accept-Encoding"));
        if is_known {
            return answer.finish();
        }
        answer.insert_header((CONTENT_TYPE, self.kind));
        let accepts = AcceptEncoding::parse(req).ok().and_then(|accepts| accepts.negotiate(OFFERED.iter()));
        if accepts == Some(Encoding::gzip()) {
            answer.insert_header((CONTENT_ENCODING, "gzip"));
            return answer.body(self.gzipped.get_or_init(|| gzip(&self.plain)).clone());
        }
        answer.body(self.plain.clone())
    }
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    #[expect(clippy::expect_used, reason = "a vector takes everything")]
    let gzipped = encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory");
    gzipped.into()
}
