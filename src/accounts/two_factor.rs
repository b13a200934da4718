//! The second step of signing in: what turns it on, what counts as it, and what ends it.

mod adding;
mod apps;
mod codes;
mod ending;
mod passkeys;

pub use adding::{Added, Change, NotAdded, RECOVERY_CODES, Removed, notify_of_change, renew_recovery_codes};
pub use apps::{MAX_AUTHENTICATORS, NewAuthenticator, add_authenticator, remove_authenticator};
pub use codes::{Factor, Tried, note_wrong_code, try_code};
pub use ending::{WaitRules, begin_recovery, settle_recovery, stop_recovery, take_back, turn_off};
pub use passkeys::{
    MAX_PASSKEYS, NewPasskey, PasskeyBeside, PasskeyTried, add_passkey, remove_passkey, use_passkey,
};
