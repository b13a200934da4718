//! The second step of signing in: what turns it on, what counts as it, and what ends it.

mod apps;
mod codes;
mod ending;

pub use apps::{
    Enrolled, MAX_AUTHENTICATORS, NewAuthenticator, RECOVERY_CODES, Removed, enrol, notify_of_change, remove,
    renew_recovery_codes,
};
pub use codes::{Factor, Tried, note_wrong_code, try_code};
pub use ending::{WaitRules, begin_recovery, settle_recovery, stop_recovery, take_back, turn_off};
