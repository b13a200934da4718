//! The colours of all pages: neutral ones, and those that follow from the site's hue. Text on any ground has 7:1 or more.

use crate::config::{Palette, Shades};

const LIGHT: &str = "--ground:#f4f5f2;--paper:#fff;--field:#fff;--ink:#1d2421;--faint:#48524c;--line:#dde2dc;--edge:#6f7a73;--bad:#8f1d23;--bad-strong:#6f1218;--bad-soft:#fbeceb;--on-bad:#fff;--shadow:0 1px 2px rgb(20 40 30/6%),0 8px 24px rgb(20 40 30/6%)";
const DARK: &str = "--ground:#131816;--paper:#1f2724;--field:#151b18;--ink:#e8ece9;--faint:#b3beb8;--line:#3a4640;--edge:#8a968f;--bad:#ffb4ae;--bad-strong:#ffcfcb;--bad-soft:#3b2322;--on-bad:#2b0a09;--shadow:none";
/// Over either: everything is as far from its ground as can be.
const LIGHT_CONTRAST: &str = "--ground:#fff;--ink:#000;--faint:#000;--line:#000;--edge:#000;--shadow:none";
const DARK_CONTRAST: &str =
    "--ground:#000;--paper:#000;--field:#000;--ink:#fff;--faint:#fff;--line:#fff;--edge:#fff";

/// The rules that stand in front of the style sheet: for the system's choice, and for who chose a theme.
pub(super) fn rules(palette: &Palette) -> String {
    let light = format!("{LIGHT};{}", accent(&palette.light));
    let dark = format!("{DARK};{}", accent(&palette.dark));
    format!(
        ":root{{color-scheme:light dark;{light}}}\
         @media(prefers-color-scheme:dark){{:root{{{dark}}}}}\
         :root[data-theme=light]{{color-scheme:light;{light}}}\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\
         @media(prefers-contrast:more){{:root{{{LIGHT_CONTRAST}}}}}\
         :root[data-theme=contrast]{{{LIGHT_CONTRAST}}}\
         @media(prefers-color-scheme:dark){{\
         @media(prefers-contrast:more){{:root{{{DARK_CONTRAST}}}}}\
         :root[data-theme=contrast]{{{DARK_CONTRAST}}}}}\n"
    )
}

fn accent(Shades { accent, strong, soft, on }: &Shades) -> String {
    format!("--accent:{accent};--accent-strong:{strong};--accent-soft:{soft};--on-accent:{on}")
}
