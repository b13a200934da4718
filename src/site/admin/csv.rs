//! Lines of a CSV file (RFC 4180) that no spreadsheet takes for a formula.

/// One line, with its end.
pub(super) fn line(cells: &[&str]) -> String {
    let quoted: Vec<String> = cells.iter().map(|cell| quote(cell)).collect();
    quoted.join(",") + "\r\n"
}

/// Always in quotes. What a spreadsheet would calculate gets a `'` in front (OWASP, CSV Injection).
fn quote(cell: &str) -> String {
    let is_formula =
        cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠', '|', '%']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_calculated() {
        assert_eq!(line(&["a", "", "b\"c,d\r\ne"]), "\"a\",\"\",\"b\"\"c,d\r\ne\"\r\n");
        for formula in ["=1+1", "+491234", "-1", "@SUM(A1)", "\t=1", "＝1", "|calc"] {
            assert_eq!(line(&[formula]), format!("\"'{formula}\"\r\n"));
        }
    }
}
