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

/// The policy of a page: no script at all.
pub fn of_page(is_https: bool) -> HeaderValue {
    if is_https {
        const { HeaderValue::from_static(policy!("'none'", "; upgrade-insecure-requests")) }
    } else {
        const { HeaderValue::from_static(policy!("'none'", "")) }
    }
}

/// The policy of a page that asks for a passkey: it runs our only script.
pub fn of_page_with_script(is_https: bool) -> HeaderValue {
    if is_https {
        const { HeaderValue::from_static(policy!("'self'", "; upgrade-insecure-requests")) }
    } else {
        const { HeaderValue::from_static(policy!("'self'", "")) }
    }
}
