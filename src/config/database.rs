//! `DATABASE_URL`: which database, of those that this binary is built for.

use secrecy::SecretString;

use super::reader::Reader;

/// `DATABASE_URL`, `DATABASE_POOL_SIZE`.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub backend: Backend,
    /// The file of SQLite, else the whole URL; it may hold a password.
    pub place: SecretString,
    /// Connections at most.
    pub pool_size: u32,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
    Mysql,
}

impl DatabaseConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let url = read.text("DATABASE_URL", "sqlite://latchkey.sqlite3");
        let database = Self::of_url(&url).unwrap_or_else(|mistake| {
            read.mistake("DATABASE_URL", mistake);
            Self { backend: Backend::Sqlite, place: "".into(), pool_size: 0 }
        });
        let pool_size = read.number("DATABASE_POOL_SIZE", default_pool_size(), 2..=1000);
        Self { pool_size, ..database }
    }

    /// The database of that URL, with as many connections as usual.
    ///
    /// # Errors
    /// What is wrong with the URL, as the end of a sentence that begins with its name.
    pub fn of_url(url: &str) -> Result<Self, &'static str> {
        let (backend, place) = parse(url)?;
        Ok(Self { backend, place: place.into(), pool_size: default_pool_size() })
    }
}

/// By scheme, never by trial: SQLite would take any text for the name of a file.
fn parse(url: &str) -> Result<(Backend, &str), &'static str> {
    match url.split_once("://") {
        Some(("sqlite", file)) if !file.is_empty() && cfg!(feature = "sqlite") => Ok((Backend::Sqlite, file)),
        Some(("postgres" | "postgresql", server)) if !server.is_empty() && cfg!(feature = "postgres") => {
            Ok((Backend::Postgres, url))
        }
        Some(("mysql", server)) if !server.is_empty() && cfg!(feature = "mysql") => Ok((Backend::Mysql, url)),
        Some(("sqlite", _)) if !cfg!(feature = "sqlite") => Err(
            "names SQLite, but this binary was built without it; build one with: cargo build --features sqlite",
        ),
        Some(("postgres" | "postgresql", _)) if !cfg!(feature = "postgres") => Err(
            "names PostgreSQL, but this binary was built without it; build one with: cargo build --features postgres",
        ),
        Some(("mysql", _)) if !cfg!(feature = "mysql") => Err(
            "names MySQL, but this binary was built without it; build one with: cargo build --features mysql",
        ),
        _ => Err("must look like sqlite://relative.sqlite3, sqlite:///absolute.sqlite3, \
                  postgres://user:password@host/name or mysql://user:password@host/name"),
    }
}

/// Worker threads (actix-web's default) with two blocking threads each, and the couriers'.
fn default_pool_size() -> u32 {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(2 * workers + 2).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_chooses_the_database() {
        assert_eq!(parse("sqlite://a.sqlite3"), Ok((Backend::Sqlite, "a.sqlite3")));
        assert_eq!(parse("sqlite:///var/lib/a.sqlite3"), Ok((Backend::Sqlite, "/var/lib/a.sqlite3")));
        let server = "postgresql://ann@localhost/accounts";
        assert_eq!(parse(server), Ok((Backend::Postgres, server)));
        for bad in
            ["", "latchkey.sqlite3", "postgre:oops", "postgre://oops", "sqlite://", "mysql://", "oracle://a"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("mysql://localhost/a").is_ok(), cfg!(feature = "mysql"));
    }
}
