//! Paths of one's own account.

use super::Route;

pub const PROFILE: Route<0> = Route::new("/user-profile/");
pub const DETAILS: Route<0> = Route::new("/user-profile/update/");
pub const CHANGE_EMAIL: Route<0> = Route::new("/user-profile/change-email/");
pub const CHANGE_EMAIL_VERIFY: Route<0> = Route::new("/user-profile/change-email/verify/");
pub const CHANGE_EMAIL_RESEND: Route<0> = Route::new("/user-profile/change-email/resend/");
pub const CHANGE_EMAIL_CANCEL: Route<0> = Route::new("/user-profile/change-email/cancel/");
pub const CHANGE_PICTURE: Route<0> = Route::new("/user-profile/change-picture/");
pub const CROP: Route<0> = Route::new("/user-profile/change-picture/crop/");
pub const CROP_SOURCE: Route<0> = Route::new("/user-profile/change-picture/source/");
pub const PASSWORD: Route<0> = Route::new("/user-profile/update-password/");
pub const SESSIONS: Route<0> = Route::new("/user-profile/sessions/");
pub const END_OTHERS: Route<0> = Route::new("/user-profile/sessions/end-others/");
pub const END_SESSION: Route<1> = Route::new("/user-profile/sessions/{id}/end/");
pub const RENAME_SESSION: Route<1> = Route::new("/user-profile/sessions/{id}/rename/");
pub const TWO_FACTOR: Route<0> = Route::new("/user-profile/two-factor/");
pub const NEW_AUTHENTICATOR: Route<0> = Route::new("/user-profile/two-factor/authenticators/new/");
pub const REMOVE_AUTHENTICATOR: Route<1> = Route::new("/user-profile/two-factor/authenticators/{id}/remove/");
pub const RECOVERY_CODES: Route<0> = Route::new("/user-profile/two-factor/recovery-codes/");
pub const RECOVERY_CODES_FILE: Route<0> = Route::new("/user-profile/two-factor/recovery-codes/download/");
pub const TWO_FACTOR_OFF: Route<0> = Route::new("/user-profile/two-factor/turn-off/");
pub const TWO_FACTOR_KEEP: Route<0> = Route::new("/user-profile/two-factor/keep/");
pub const DISTRUST: Route<1> = Route::new("/user-profile/two-factor/trusted-devices/{id}/remove/");
pub const APPLICATIONS: Route<0> = Route::new("/user-profile/applications/");
pub const LEAVE_APPLICATION: Route<0> = Route::new("/user-profile/applications/sign-out/");
pub const ACTIVITY: Route<0> = Route::new("/user-profile/activity/");
pub const ACTIVITY_CSV: Route<0> = Route::new("/user-profile/activity.csv");
pub const SECURE_OWN: Route<0> = Route::new("/user-profile/secure-account/");
pub const UNDO_DETAILS: Route<0> = Route::new("/user-profile/undo/details/");
pub const UNDO_PICTURE: Route<0> = Route::new("/user-profile/undo/picture/");
pub const DOWNLOAD: Route<0> = Route::new("/user-profile/download/");
pub const LEAVE: Route<0> = Route::new("/user-profile/delete/");
pub const STAY: Route<0> = Route::new("/user-profile/delete/cancel/");
pub const PICTURE: Route<1> = Route::new("/user-profile/picture/{random}/");
