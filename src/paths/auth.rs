//! Paths of proving who you are.

use super::Route;

pub const SIGN_UP_ANY: Route<0> = Route::new("/auth/sign-up/");
pub const SIGN_UP: Route<1> = Route::new("/auth/sign-up/{role:user|merchant}/");
pub const VERIFY: Route<2> = Route::new("/auth/verify-otp/{uid}/{token}/");
pub const RESEND: Route<2> = Route::new("/auth/resend-otp/{uid}/{token}/");
pub const SIGN_IN_ANY: Route<0> = Route::new("/auth/sign-in/");
pub const SIGN_IN: Route<1> = Route::new("/auth/sign-in/{role:user|merchant|staff|superuser}/");
pub const SIGN_OUT: Route<0> = Route::new("/auth/sign-out/");
pub const FORGOT: Route<0> = Route::new("/auth/forgot-password/");
pub const RESET: Route<2> = Route::new("/auth/reset-password/{uid}/{token}/");
pub const UNDO_EMAIL: Route<2> = Route::new("/auth/undo-email/{uid}/{token}/");
pub const SECURE: Route<2> = Route::new("/auth/secure-account/{uid}/{token}/");
pub const KEEP: Route<2> = Route::new("/auth/keep-account/{uid}/{token}/");
pub const PASSKEY: Route<0> = Route::new("/auth/passkey/");
pub const SIGN_IN_CODE: Route<0> = Route::new("/auth/sign-in-code/");
pub const ENTER_CODE: Route<0> = Route::new("/auth/sign-in-code/enter/");
pub const RESEND_CODE: Route<0> = Route::new("/auth/sign-in-code/resend/");
pub const SECOND_STEP: Route<0> = Route::new("/auth/two-factor/");
pub const LOST_FACTOR: Route<0> = Route::new("/auth/two-factor/lost/");
pub const KEEP_TWO_FACTOR: Route<2> = Route::new("/auth/keep-two-factor/{uid}/{token}/");
pub const REFRESH: Route<0> = Route::new("/auth/refresh/");
pub const ENTER: Route<0> = Route::new("/auth/enter/");
pub const WHOAMI: Route<0> = Route::new("/auth/whoami/");
pub const PREFERENCES: Route<0> = Route::new("/preferences/");
pub const CONFIRM: Route<0> = Route::new("/auth/confirm-password/");
