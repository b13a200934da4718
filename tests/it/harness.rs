//! What the tests are made with: a site, its visitors, their mailbox, and the services of this machine.

mod application;
mod authenticator;
mod browser;
mod burst;
mod crowd;
mod mailbox;
mod nu;
mod passkey;
pub mod pictures;
mod program;
mod services;
mod site;
mod terminal;
mod tiny_application;
mod visitor;
mod world;

pub use application::AtApplication;
pub use authenticator::{Authenticator, Enrolled, codes_on};
pub use browser::{Browser, Look, tool};
pub use burst::{at_once, first_line_of_answer};
pub use crowd::{fill, fill_events};
pub use mailbox::{MailServer, Mood};
pub use nu::nu;
pub use passkey::{Passkey, WithPasskey};
pub use program::Program;
pub use services::note_missing;
pub use services::{Bucket, Mta, Nginx, PgBouncer, Postgres, Redis, free_port, program, wait_for_port};
#[cfg(feature = "mysql")]
pub use services::{Galera, Mariadb};
pub use services::{HOST, Proxy, ProxyKind, RedisMake, Redises};
pub use site::{Site, WRITE_LOCK, hours, minutes, run, run_alone, seconds};
pub use terminal::{Terminal, TextBrowser};
pub use tiny_application::{TinyApplication, WEBSOCKET_KEY};
pub use visitor::Visitor;
pub use world::{Sandbox, World};

/// A password that nobody guesses.
pub const PASSWORD: &str = "violet canyon umbrella";
/// Another one.
pub const OTHER_PASSWORD: &str = "cobalt lantern harbour";

/// Stories that hold wherever things are kept: each of these functions is run in every [`World`].
macro_rules! stories {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use $crate::harness::{World, run};

            #[test]
            fn embedded() {
                run(World::Embedded, super::$name);
            }

            #[test]
            fn with_redis() {
                run(World::Redis, super::$name);
            }

            #[test]
            fn on_postgres() {
                run(World::Postgres, super::$name);
            }

            #[cfg(feature = "mysql")]
            #[test]
            fn on_mariadb() {
                run(World::Mariadb, super::$name);
            }
        })+
    };
}
pub(crate) use stories;
