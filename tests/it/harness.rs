//! What the tests are made with: a site, its visitors, their mailbox, and the services of this machine.

mod burst;
mod mailbox;
mod services;
mod site;
mod visitor;

pub use burst::at_once;
pub use mailbox::{MailServer, Mood};
pub use services::{Redis, free_port, wait_for_port};
pub use site::{Site, hours, minutes, run, run_alone, seconds};
pub use visitor::Visitor;

/// A password that nobody guesses.
pub const PASSWORD: &str = "violet canyon umbrella";
/// Another one.
pub const OTHER_PASSWORD: &str = "cobalt lantern harbour";

/// Stories that hold wherever sessions and limits are kept: each is run with everything embedded, and with a real
/// Redis.
macro_rules! stories {
    ($($(#[$about:meta])* async fn $name:ident($site:ident: &Site) $body:block)+) => {
        $($(#[$about])* mod $name {
            use super::*;

            async fn story($site: &Site) $body

            #[test]
            fn embedded() {
                $crate::harness::run(false, story);
            }

            #[test]
            fn with_redis() {
                $crate::harness::run(true, story);
            }
        })+
    };
}
pub(crate) use stories;
