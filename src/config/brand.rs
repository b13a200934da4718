//! `SITE_NAME`, `SITE_LOGO`, `ACCENT`, `SUPPORT_EMAIL`, `SUPPORT_URL` and `FOOTER_LINKS`: whose site it is, in pages and mails.

use std::str::FromStr;

use palette::convert::FromColorUnclamped;
use palette::{Oklch, Srgb};

use super::reader::Reader;
use crate::identity::{Email, visible_line};

/// The site's own name and face.
#[derive(Debug, Clone)]
pub struct Brand {
    /// What the site is called.
    pub name: String,
    /// `None`: our key, in the accent's colour.
    pub logo: Option<Logo>,
    /// The hue of links and buttons, in degrees.
    hue: u32,
    pub palette: Palette,
    /// Where people find help.
    pub support: Option<Support>,
    /// What stands at the foot of each page: privacy, imprint, terms.
    pub links: Vec<FooterLink>,
}

/// A picture for the head of each page.
#[derive(Debug, Clone)]
pub struct Logo {
    pub kind: LogoKind,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoKind {
    Svg,
    Png,
}

/// The way to somebody who can help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// `mailto:` or `https:`.
    pub url: String,
    /// The email address, or the URL without its scheme.
    pub name: String,
}

impl Support {
    /// What a plain text says: an email address, or the whole URL.
    pub fn text(&self) -> &str {
        if self.url.starts_with("mailto:") { &self.name } else { &self.url }
    }
}

/// A label and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FooterLink {
    pub label: String,
    pub url: String,
}

/// Our key as a PNG, on our own green.
const OUR_KEY: &[u8] = include_bytes!("../../static/touch-icon.png");
/// The hue of our own green, in degrees of OKLCH.
const OUR_GREEN: u32 = 165;
/// The largest logo, in bytes: it is loaded with the first page.
const MAX_LOGO: usize = 64 * 1024;
/// The longest name, in characters: it stands in the subject of mails.
const MAX_NAME: usize = 40;

impl Brand {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let name = read.text("SITE_NAME", "Latchkey");
        let name = visible_line(&name).trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME {
            read.mistake("SITE_NAME", "must be 1 to 40 visible characters");
        }
        let hue = read.number("ACCENT", OUR_GREEN, 0..=360);
        Self {
            name,
            logo: logo(read),
            hue,
            palette: Palette::of_hue(hue),
            support: support(read),
            links: read.parsed_list(
                "FOOTER_LINKS",
                "a comma-separated list of Label=URL, for example Privacy=https://example.org/privacy,Terms=https://example.org/terms",
            ),
        }
    }
}

impl Brand {
    /// The icon for home screens, which draw no SVG.
    pub fn touch_icon(&self) -> &[u8] {
        self.png().unwrap_or(OUR_KEY)
    }

    /// The site's face as a PNG, for mail programs; none where the site's own is an SVG, which few of them draw, or where
    /// our key would have another colour than the site.
    pub fn png(&self) -> Option<&[u8]> {
        match &self.logo {
            Some(Logo { kind: LogoKind::Png, bytes }) => Some(bytes),
            Some(Logo { kind: LogoKind::Svg, .. }) => None,
            None => (self.hue == OUR_GREEN).then_some(OUR_KEY),
        }
    }
}

fn logo(read: &mut Reader<'_>) -> Option<Logo> {
    let path = read.text("SITE_LOGO", "");
    if path.is_empty() {
        return None;
    }
    Logo::read(&path).map_err(|why| read.mistake("SITE_LOGO", &why)).ok()
}

impl Logo {
    /// Reads the picture in a file; the error says what is wrong with it.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("can't be read: {}", error.kind()))?;
        Self::parse(bytes)
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() > MAX_LOGO {
            return Err("must be 64 KB or smaller".to_owned());
        }
        let is_png = bytes.starts_with(b"\x89PNG\r\n\x1a\n") && image::load_from_memory(&bytes).is_ok();
        // Drawn as an image, an SVG runs no script and loads nothing, whatever it holds.
        let is_svg = std::str::from_utf8(&bytes)
            .is_ok_and(|text| text.contains("<svg") && text.trim_end().ends_with("</svg>"));
        match (is_png, is_svg) {
            (true, _) => Ok(Self { kind: LogoKind::Png, bytes }),
            (false, true) => Ok(Self { kind: LogoKind::Svg, bytes }),
            (false, false) => Err("must be an SVG or PNG file".to_owned()),
        }
    }
}

fn support(read: &mut Reader<'_>) -> Option<Support> {
    let email = read.text("SUPPORT_EMAIL", "");
    let url = read.text("SUPPORT_URL", "");
    if !url.is_empty() && !is_web(&url) {
        read.mistake("SUPPORT_URL", "must be a URL like https://example.org/help");
    }
    if !email.is_empty() && Email::parse(&email).is_err() {
        read.mistake("SUPPORT_EMAIL", "must be an email address like help@example.org");
    }
    // A page says more than a mailbox.
    if !url.is_empty() {
        let name = url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        return Some(Support { name: name.to_owned(), url });
    }
    (!email.is_empty()).then(|| Support { url: format!("mailto:{email}"), name: email })
}

/// Whether it is a page of the web, and nothing that a browser would run.
fn is_web(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|parsed| matches!(parsed.scheme(), "https" | "http") && parsed.has_host())
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

impl FromStr for FooterLink {
    type Err = ();

    /// Reads `Label=URL`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (label, url) = text.split_once('=').ok_or(())?;
        let (label, url) = (visible_line(label).trim().to_owned(), url.trim().to_owned());
        let is_mail = url.strip_prefix("mailto:").is_some_and(|email| Email::parse(email).is_ok());
        if label.is_empty() || !(is_web(&url) || is_mail) {
            return Err(());
        }
        Ok(Self { label, url })
    }
}

/// The colours that follow from one hue, as `#rrggbb`: computed in OKLCH, written in sRGB, so that old browsers and mail
/// programs show the same. Whatever the hue, text has a contrast of 7:1 or more (WCAG 2.2, 1.4.6).
#[derive(Debug, Clone)]
pub struct Palette {
    pub light: Shades,
    pub dark: Shades,
}

/// The accent's colours on a light or a dark page.
#[derive(Debug, Clone)]
pub struct Shades {
    /// Links, buttons, marks.
    pub accent: String,
    /// The same under a pointer.
    pub strong: String,
    /// The ground of a notice or a tag.
    pub soft: String,
    /// Text on the accent.
    pub on: String,
}

impl Palette {
    fn of_hue(hue: u32) -> Self {
        let shade = |lightness, chroma| hex(color(lightness, chroma, hue));
        Self {
            light: Shades {
                accent: shade(0.395, 0.09),
                strong: shade(0.33, 0.08),
                soft: shade(0.955, 0.02),
                on: "#ffffff".to_owned(),
            },
            dark: Shades {
                accent: shade(0.85, 0.1),
                strong: shade(0.9, 0.08),
                soft: shade(0.32, 0.045),
                on: shade(0.2, 0.03),
            },
        }
    }
}

/// The colour of that lightness and hue, with as much of the chroma as sRGB has.
fn color(lightness: f32, chroma: f32, hue: u32) -> Srgb<u8> {
    let at = |share: f32| -> Srgb {
        #[expect(clippy::cast_precision_loss, reason = "degrees")]
        Srgb::from_color_unclamped(Oklch::new(lightness, chroma * share, hue as f32))
    };
    let shares = (0..=20_u8).rev().map(|twentieths| f32::from(twentieths) / 20.0);
    let fits =
        |color: &Srgb| [color.red, color.green, color.blue].iter().all(|part| (0.0..=1.0).contains(part));
    shares.map(at).find(fits).unwrap_or_else(|| at(0.0)).into_format()
}

fn hex(color: Srgb<u8>) -> String {
    format!("#{:02x}{:02x}{:02x}", color.red, color.green, color.blue)
}

#[cfg(test)]
mod tests {
    use palette::color_difference::Wcag21RelativeContrast;

    use super::*;

    /// What a page is drawn on, as the style sheet has it.
    const LIGHT: [&str; 2] = ["#ffffff", "#f4f5f2"];
    const DARK: [&str; 2] = ["#1f2724", "#131816"];

    fn contrast(one: &str, other: &str) -> f32 {
        let read = |hex: &str| -> Srgb { hex.parse::<Srgb<u8>>().unwrap().into_format() };
        read(one).relative_contrast(read(other))
    }

    #[test]
    fn every_hue_can_be_read_by_everybody() {
        for hue in 0..=360 {
            let Palette { light, dark } = Palette::of_hue(hue);
            for (shades, grounds) in [(light, LIGHT), (dark, DARK)] {
                for ground in grounds.into_iter().chain([shades.soft.as_str()]) {
                    for text in [&shades.accent, &shades.strong] {
                        assert!(contrast(text, ground) >= 7.0, "{text} on {ground}, hue {hue}");
                    }
                }
                for ground in [&shades.accent, &shades.strong] {
                    assert!(contrast(&shades.on, ground) >= 7.0, "{} on {ground}, hue {hue}", shades.on);
                }
            }
        }
    }

    #[test]
    fn a_logo_is_what_it_says() {
        assert!(Logo::parse(b"<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>\n".to_vec()).is_ok());
        for bad in [&b""[..], b"<svg>", b"\x89PNG\r\n\x1a\nno", b"GIF89a", b"<html></html>"] {
            assert!(Logo::parse(bad.to_vec()).is_err(), "{bad:?}");
        }
        assert!(Logo::parse([b"<svg>", " ".repeat(MAX_LOGO).as_bytes(), b"</svg>"].concat()).is_err());
    }

    #[test]
    fn links_of_the_foot_lead_to_pages_and_run_nothing() {
        let link: FooterLink = "Privacy = https://example.org/privacy?a=b".parse().unwrap();
        assert_eq!((link.label.as_str(), link.url.as_str()), ("Privacy", "https://example.org/privacy?a=b"));
        assert!("Write to us=mailto:help@example.org".parse::<FooterLink>().is_ok());
        for bad in
            ["Privacy", "=https://example.org", "x=javascript:alert(1)", "x=//example.org", "x=https://a b/"]
        {
            assert!(bad.parse::<FooterLink>().is_err(), "{bad}");
        }
    }
}
