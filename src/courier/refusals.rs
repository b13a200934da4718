//! What mail servers refuse in the same words about everybody is about us.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// About people of how many domains a server says the same before it is taken to be about us.
const MANY_DOMAINS: usize = 3;

/// Whom a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This mail: it is given up.
    OfMail,
    /// Everybody's: it waits, and holds nobody up.
    OfUs,
}

/// The same refusal in a row, and the domains whose people it was about.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeSet<(String, String)>>);

impl Refusals {
    /// Remembers a refusal, and says whom it is about.
    pub(super) fn note(&self, recipient: &str, why: &str) -> Refusal {
        let text = why.replace(recipient, "…");
        let domain = recipient.rsplit('@').next().unwrap_or_default().to_owned();
        let mut refusals = self.lock();
        refusals.retain(|(known, _)| *known == text);
        let is_new = refusals.insert((text, domain));
        if is_new && refusals.len() == MANY_DOMAINS {
            log::warn!("the mail server refuses email to everybody: {why}");
        }
        if refusals.len() < MANY_DOMAINS { Refusal::OfMail } else { Refusal::OfUs }
    }

    /// Forgets them: a mail was taken.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
