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
        let text = words_of(&why.replace(recipient, "…"));
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

/// A refusal without what differs from one to the next: numbers of queues, times, addresses. Its codes stay.
fn words_of(why: &str) -> String {
    let is_code =
        |word: &str| word.len() <= 7 && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let differs = |word: &&str| word.contains(|c: char| c.is_ascii_digit()) && !is_code(word);
    why.split_whitespace().filter(|word| !differs(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_everybody_are_known_whatever_numbers_are_in_them() {
        let refusals = Refusals::default();
        let why = |id: &str, who: &str| {
            format!(
                "550 5.7.1 <{who}>: blocked using list.example, see https://list.example/?q=192.0.2.{} {id}: 2026-11-26T05:0{}Z",
                id.len(),
                id.len()
            )
        };
        let of = |id: &str, who: &str| refusals.note(who, &why(id, who));
        assert_eq!(of("4F2A1", "ann@one.example"), Refusal::OfMail);
        assert_eq!(of("4F2A19", "bob@two.example"), Refusal::OfMail);
        assert_eq!(of("4F", "cat@three.example"), Refusal::OfUs);
        // Other words, or another code, are another refusal.
        assert_eq!(refusals.note("dan@four.example", "550 5.1.1 no such person"), Refusal::OfMail);
        assert_eq!(refusals.note("eve@five.example", "550 5.1.2 no such person"), Refusal::OfMail);
        assert_eq!(refusals.note("fay@six.example", "550 5.1.1 no such person"), Refusal::OfMail);
    }
}
