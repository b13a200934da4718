//! Paths of the admin pages.

use super::Route;

pub const ADMIN: Route<0> = Route::new("/admin/");
pub const USERS: Route<0> = Route::new("/admin/users/");
pub const USERS_CSV: Route<0> = Route::new("/admin/users.csv");
pub const NEW_USER: Route<0> = Route::new("/admin/users/new/");
pub const BULK: Route<0> = Route::new("/admin/users/bulk/");
pub const USER: Route<1> = Route::new("/admin/users/{id}/");
pub const DELETE_USER: Route<1> = Route::new("/admin/users/{id}/delete/");
pub const USER_ACT: Route<2> = Route::new(
    "/admin/users/{id}/{act:edit|role|block|unblock|verify|send-code|send-reset|reset-two-factor|remind-two-factor|end-sessions|remove-picture|begin-deletion|keep}/",
);
pub const CODES: Route<0> = Route::new("/admin/otp-verifications/");
pub const CANCEL_CODE: Route<1> = Route::new("/admin/otp-verifications/{id}/cancel/");
pub const RESETS: Route<0> = Route::new("/admin/password-resets/");
pub const CANCEL_RESET: Route<1> = Route::new("/admin/password-resets/{id}/cancel/");
pub const MAILS: Route<0> = Route::new("/admin/mails/");
pub const MAIL: Route<1> = Route::new("/admin/mails/{id}/");
pub const MAIL_ACT: Route<2> = Route::new("/admin/mails/{id}/{act:retry|cancel}/");
pub const EVENTS: Route<0> = Route::new("/admin/events/");
pub const APPS: Route<0> = Route::new("/admin/apps/");
pub const APP: Route<1> = Route::new("/admin/apps/{host}/");
