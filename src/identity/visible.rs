//! What can be seen of a text: characters that hide, or turn its direction around, are left out (Unicode TR 36).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Leaves out what cannot be seen, but for line breaks and tabs where a text has them.
pub fn visible_text(text: &str) -> String {
    keep_visible(text, &['\n', '\t'])
}

/// Leaves out what cannot be seen; for what stands on one line.
pub fn visible_line(text: &str) -> String {
    keep_visible(text, &[])
}

/// Reads what people copy from contacts and mails: without what cannot be seen, without blanks of any kind at its ends, and with
/// full-width letters and digits as the usual ones.
pub fn as_meant(typed: &str) -> String {
    visible_line(&typed.nfkc().collect::<String>()).trim().to_owned()
}

/// A dash of any kind.
pub fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

fn keep_visible(text: &str, also: &[char]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut before = None;
    for c in text.chars() {
        // Scripts and emoji join their letters with these; beside plain letters, blanks and each other they only hide.
        let joins = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}') && before.is_some_and(can_be_joined);
        if also.contains(&c) || joins || !is_hidden(c) {
            kept.push(c);
            before = Some(c);
        }
    }
    kept
}

/// Whether somebody sees anything of it: marks alone have nothing to stand on.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_hidden(c) && canonical_combining_class(c) == 0)
}

fn can_be_joined(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace() && (c == '\u{fe0f}' || !is_hidden(c))
}

/// Control characters, those that turn a text around, and those that nobody draws (`Default_Ignorable_Code_Point`, the fillers,
/// the empty braille cell, annotations).
fn is_hidden(c: char) -> bool {
    c.is_control()
        // Those that stand for no character in any version of Unicode.
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fffc}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_left_out() {
        for hidden in [
            '\0',
            '\u{1b}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2066}',
            '\u{2800}',
            '\u{3164}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0041}',
        ] {
            assert_eq!(visible_line(&format!("a{hidden}b")), "ab", "{:x}", u32::from(hidden));
        }
        assert_eq!(visible_line("a\nb\tc"), "abc");
        assert_eq!(visible_text("a\nb\tc\r"), "a\nb\tc");
    }

    #[test]
    fn what_joins_nothing_is_left_out() {
        for nothing in ["\u{a0}\u{200d}", "\u{3000}\u{200c}\u{200d}", "\u{1d159}", "\u{200d}\u{200d}"] {
            assert_eq!(as_meant(nothing), "", "{nothing:?}");
            assert_eq!(visible_line(nothing).trim(), "", "{nothing:?}");
        }
        assert_eq!(visible_line("é\u{200d}\u{200d}\u{200d}a"), "é\u{200d}a", "no more than one");
    }

    #[test]
    fn what_joins_letters_stays() {
        for written in ["علی‌رضا", "👩\u{200d}🌾", "☀\u{fe0f}", "🏳\u{fe0f}\u{200d}🌈", "éva", "한국어"]
        {
            assert_eq!(visible_line(written), written);
        }
    }
}
