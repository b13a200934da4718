//! Where a site keeps things: which database, and sessions in Redis or embedded.

use std::collections::HashMap;

use latchkey::identity::Id;

#[cfg(feature = "mysql")]
use super::services::Mariadb;
use super::services::{Postgres, Redis};

/// A kind of world that every story holds in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// SQLite, and nothing else.
    Embedded,
    /// SQLite, with sessions and limits in Redis.
    Redis,
    /// PostgreSQL and Redis.
    Postgres,
    /// MariaDB and Redis.
    #[cfg(feature = "mysql")]
    Mariadb,
}

/// A world of one story's own: the settings that lead to it. Its database goes when the story ends.
pub struct Place {
    pub settings: HashMap<&'static str, String>,
    database: Option<Database>,
}

enum Database {
    Postgres(String),
    #[cfg(feature = "mysql")]
    Mariadb(String),
}

impl World {
    /// All that this binary is built for.
    pub const ALL: &[Self] = &[
        Self::Embedded,
        Self::Redis,
        Self::Postgres,
        #[cfg(feature = "mysql")]
        Self::Mariadb,
    ];

    /// A place in it; `None` when this machine lacks a service.
    pub fn place(self) -> Option<Place> {
        let mut settings = HashMap::new();
        if self != Self::Embedded {
            settings.insert("REDIS_URL", Redis::shared()?.url());
            settings.insert("REDIS_KEY_PREFIX", format!("{}:", Id::new().as_str()));
        }
        let name = format!("t{}", Id::new().as_str().replace('-', ""));
        let database = match self {
            Self::Embedded | Self::Redis => None,
            Self::Postgres => {
                let server = Postgres::shared()?;
                server.execute(&format!("CREATE DATABASE {name}"));
                settings.insert("DATABASE_URL", server.url(&name));
                Some(Database::Postgres(name))
            }
            #[cfg(feature = "mysql")]
            Self::Mariadb => {
                let server = Mariadb::shared()?;
                server.execute(&format!("CREATE DATABASE {name}"));
                settings.insert("DATABASE_URL", server.url(&name));
                Some(Database::Mariadb(name))
            }
        };
        Some(Place { settings, database })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.database {
            Some(Database::Postgres(name)) => {
                Postgres::shared().expect("it ran").execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
            }
            #[cfg(feature = "mysql")]
            Some(Database::Mariadb(name)) => {
                Mariadb::shared().expect("it ran").execute(&format!("DROP DATABASE {name}"));
            }
            None => {}
        }
    }
}
