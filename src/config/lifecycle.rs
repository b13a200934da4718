//! `DELETE_GRACE_DAYS`, `PRIVACY`, `DORMANT_…`: how accounts end, and what is kept of them.

use std::time::Duration;

use super::reader::Reader;

const DAY: Duration = Duration::from_secs(86_400);

/// How accounts end.
#[derive(Clone, Copy, Debug)]
pub struct LifecycleConfig {
    /// How long somebody who leaves can change their mind.
    pub grace: Duration,
    pub privacy: Privacy,
    /// What becomes of accounts that nobody uses; none: they stay.
    pub dormancy: Option<Dormancy>,
}

/// `PRIVACY`: what the audit log says of accounts that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// What it said before, for as long as it is kept.
    Usual,
    /// What was done, and no name or address.
    Strict,
}

/// `DORMANT_AFTER_DAYS`, `DORMANT_ACTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dormancy {
    /// How long nobody has signed in.
    pub after: Duration,
    pub action: DormantAction,
}

/// What becomes of an account that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DormantAction {
    Block,
    Delete,
}

impl DormantAction {
    /// The word in the settings and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Delete => "delete",
        }
    }
}

impl LifecycleConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let action = read.one_of(
            "DORMANT_ACTION",
            DormantAction::Block,
            &[DormantAction::Block, DormantAction::Delete].map(|action| (action.as_str(), action)),
        );
        let dormant_after = dormant_after(read);
        if dormant_after.is_none() && action == DormantAction::Delete {
            read.warn("DORMANT_ACTION has no effect while DORMANT_AFTER_DAYS is off");
        }
        Self {
            grace: DAY * read.number("DELETE_GRACE_DAYS", 7, 0..=365),
            privacy: read.one_of(
                "PRIVACY",
                Privacy::Usual,
                &[("usual", Privacy::Usual), ("strict", Privacy::Strict)],
            ),
            dormancy: dormant_after.map(|after| Dormancy { after, action }),
        }
    }
}

/// People are told 30 days before: a shorter span would begin with the notice.
fn dormant_after(read: &mut Reader<'_>) -> Option<Duration> {
    let given = read.text("DORMANT_AFTER_DAYS", "off");
    if given.eq_ignore_ascii_case("off") {
        return None;
    }
    let days = given.parse::<u32>().ok().filter(|days| (60..=36_500).contains(days));
    if days.is_none() {
        read.mistake("DORMANT_AFTER_DAYS", "must be off or a number from 60 to 36500");
    }
    days.map(|days| DAY * days)
}
