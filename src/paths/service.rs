//! Paths for programs and developers.

use super::Route;

pub const HEALTHZ: Route<0> = Route::new("/healthz");
pub const READYZ: Route<0> = Route::new("/readyz");
pub const FORWARD_AUTH: Route<0> = Route::new("/forward-auth");
pub const FORWARD_AUTH_NGINX: Route<0> = Route::new("/forward-auth/nginx");
pub const FORWARD_AUTH_ENVOY: Route<1> = Route::new("/forward-auth/envoy/{path:.*}");
pub const INTROSPECT: Route<0> = Route::new("/forward-auth/introspect");
pub const STATIC: Route<1> = Route::new("/static/{name}");
pub const FAVICON: Route<0> = Route::new("/favicon.ico");
pub const TOUCH_ICON: Route<0> = Route::new("/apple-touch-icon.png");
pub const ROBOTS: Route<0> = Route::new("/robots.txt");
pub const CHANGE_PASSWORD: Route<0> = Route::new("/.well-known/change-password");
pub const PRIVACY: Route<0> = Route::new("/privacy/data/");
pub const DEV_MAILS: Route<0> = Route::new("/dev/mail/");
pub const DEV_MAIL: Route<1> = Route::new("/dev/mail/{number}/");
pub const DEV_MAIL_HTML: Route<1> = Route::new("/dev/mail/{number}/html/");
