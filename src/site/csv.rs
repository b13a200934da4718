//! Lines of a CSV file (RFC 4180) that no spreadsheet takes for a formula.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Bytes;
use futures_util::Stream;

use crate::web::errors::HttpError;

/// Answers with a file to save, called `name` with `.csv`, sent while its lines are still being read.
pub fn answer(name: &str, lines: impl Stream<Item = Result<Bytes, HttpError>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
        .streaming(lines)
}

/// One line, with its end.
pub fn line(cells: &[&str]) -> String {
    let quoted: Vec<String> = cells.iter().map(|cell| quote(cell)).collect();
    quoted.join(",") + "\r\n"
}

/// Always in quotes. What a spreadsheet would calculate gets a `'` in front (OWASP, CSV Injection), also where one that splits
/// at semicolons, tabs or lines would see the beginning of a cell.
fn quote(cell: &str) -> String {
    let mut guarded = String::with_capacity(cell.len());
    if cell.starts_with(['\t', '\r', '\n']) {
        guarded.push('\'');
    }
    let mut begins = true;
    for c in cell.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '|' | '%') {
            guarded.push('\'');
        }
        begins = matches!(c, ';' | '\t' | '\r' | '\n') || (begins && matches!(c, ' ' | '"' | '\u{a0}'));
        guarded.push(c);
    }
    format!("\"{}\"", guarded.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_calculated() {
        assert_eq!(line(&["a", "", "b\"c,d\r\ne"]), "\"a\",\"\",\"b\"\"c,d\r\ne\"\r\n");
        for formula in ["=1+1", "+491234", "-1", "@SUM(A1)", "\t=1", "＝1", "|calc"] {
            assert!(line(&[formula]).starts_with(&format!("\"'{}", formula.split(['\t']).next().unwrap())));
        }
        for (split, guarded) in [
            ("Ann;=1+1", "Ann;'=1+1"),
            ("a\n@b", "a\n'@b"),
            ("a; \"=1", "a; \"\"'=1"),
            (" =1", " '=1"),
            ("a-b;c+d", "a-b;c+d"),
        ] {
            assert_eq!(line(&[split]), format!("\"{guarded}\"\r\n"));
        }
    }
}
