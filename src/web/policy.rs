//! What browsers may load and run (Content Security Policy, Level 3).

macro_rules! policy {
    ($script:literal, $more:literal) => {
        concat!(
            "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; ",
            "frame-ancestors 'none'; base-uri 'none'; object-src 'none'; script-src ",
            $script,
            "; require-trusted-types-for 'script'; trusted-types 'none'",
            $more
        )
    };
}

/// The policy of a page: no script at all, or that of passkeys.
pub fn of_page(has_script: bool, is_https: bool) -> &'static str {
    match (has_script, is_https) {
        (false, false) => policy!("'none'", ""),
        (false, true) => policy!("'none'", "; upgrade-insecure-requests"),
        (true, false) => policy!("'self'", ""),
        (true, true) => policy!("'self'", "; upgrade-insecure-requests"),
    }
}
