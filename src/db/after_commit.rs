//! What is to be logged about a transaction once it is one: it may be rolled back, or run again.

use std::cell::RefCell;

thread_local! {
    // A transaction stays on one thread from its beginning to its end.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Logs a line of the audit log when the current transaction is committed.
pub(crate) fn audit(line: String) {
    LINES.with_borrow_mut(|lines| lines.push(line));
}

pub(super) fn forget() {
    LINES.with_borrow_mut(Vec::clear);
}

pub(super) fn run() {
    for line in LINES.take() {
        log::info!(target: "audit", "{line}");
    }
}
