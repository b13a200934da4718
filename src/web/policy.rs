//! What browsers may load and run (Content Security Policy, Level 3).

use actix_web::http::header::HeaderValue;

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
pub fn of_page(has_script: bool, is_https: bool) -> HeaderValue {
    match (has_script, is_https) {
        (false, false) => const { HeaderValue::from_static(policy!("'none'", "")) },
        (false, true) => const { HeaderValue::from_static(policy!("'none'", "; upgrade-insecure-requests")) },
        (true, false) => const { HeaderValue::from_static(policy!("'self'", "")) },
        (true, true) => const { HeaderValue::from_static(policy!("'self'", "; upgrade-insecure-requests")) },
    }
}
