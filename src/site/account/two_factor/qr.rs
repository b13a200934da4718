//! The QR code of an authenticator's key, drawn as one path.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder};

/// The quiet zone that scanners need, in modules (ISO/IEC 18004).
const MARGIN: usize = 4;

/// A drawing of dark squares, one unit each.
pub struct QrCode {
    /// Its width and height, with its margin.
    pub size: usize,
    /// The data of an SVG path.
    pub path: String,
}

impl QrCode {
    /// Draws a text; `None` where it is too long, and the key is typed instead.
    pub fn of(text: &str) -> Option<Self> {
        let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
        let mut path = String::new();
        for row in 0..code.size {
            for (column, _) in code[row].iter().enumerate().filter(|(_, module)| module.value()) {
                // A String takes everything.
                write!(path, "M{} {}h1v1h-1z", column + MARGIN, row + MARGIN).unwrap_or_default();
            }
        }
        Some(Self { size: code.size + 2 * MARGIN, path })
    }
}
