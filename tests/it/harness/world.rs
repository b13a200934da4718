//! Where a site keeps things: which database, and sessions in Redis or embedded.

use std::collections::HashMap;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use latchkey::config::DatabaseConfig;
use latchkey::db::{Connection, Db};
use latchkey::identity::Id;
use tokio::sync::OnceCell;

use super::Site;
use super::mailbox::MailServer;
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
pub struct Sandbox {
    pub settings: HashMap<&'static str, String>,
    database: Option<Database>,
    folder: tempfile::TempDir,
    /// Of all its sites: any of them may send what another one queued.
    mail: OnceCell<MailServer>,
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

    /// A sandbox in it; `None` when this machine lacks a service.
    pub fn sandbox(self) -> Option<Sandbox> {
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
        Some(Sandbox::new(settings, database))
    }
}

impl Sandbox {
    fn new(settings: HashMap<&'static str, String>, database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { settings, database, folder, mail: OnceCell::new() }
    }

    /// A database that is there already, and goes with its server.
    #[cfg(feature = "mysql")]
    pub fn on_mariadb(server: &Mariadb, name: &str) -> Self {
        let settings = HashMap::from([("DATABASE_URL", server.url(name))]);
        Self::new(settings, None)
    }

    /// The address of its database.
    pub fn url(&self) -> String {
        let file = || format!("sqlite://{}", self.folder.path().join("db.sqlite3").display());
        self.settings.get("DATABASE_URL").cloned().unwrap_or_else(file)
    }

    /// Its database, as a program opens it.
    pub fn open(&self) -> Db {
        Db::open(&DatabaseConfig::of_url(&self.url()).expect("a database"))
    }

    /// A connection to it.
    pub fn connection(&self) -> Connection {
        let url = self.url();
        match url.split_once("://") {
            Some(("sqlite", file)) => SqliteConnection::establish(file).map(|mut conn| {
                // A pool that has just been dropped may still be closing a connection.
                conn.batch_execute("PRAGMA busy_timeout = 5000").expect("a setting");
                Connection::Sqlite(conn)
            }),
            #[cfg(feature = "mysql")]
            Some(("mysql", _)) => diesel::MysqlConnection::establish(&url).map(Connection::Mysql),
            _ => PgConnection::establish(&url).map(Connection::Postgres),
        }
        .expect("a connection")
    }

    /// A site there.
    pub async fn site(&self) -> Site {
        self.site_with(&[]).await
    }

    /// A site there with more settings.
    pub async fn site_with(&self, more: &[(&'static str, &str)]) -> Site {
        let mut settings = self.settings.clone();
        settings.insert("DATABASE_URL", self.url());
        settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mail = self.mail.get_or_init(MailServer::start).await.clone();
        Site::start_in(tempfile::tempdir().expect("a temporary folder"), mail, settings).await
    }
}

impl Drop for Sandbox {
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
