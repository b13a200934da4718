//! How the tables are brought up to this program's version, all instances taking turns.

use diesel::prelude::*;
use diesel::result::Error::QueryBuilderError;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::DbConnection;

impl DbConnection {
    /// Runs the migrations that are missing, all instances taking turns; returns how many there were.
    ///
    /// # Errors
    /// Also when the database is newer than this program.
    pub(super) fn migrate(&mut self) -> QueryResult<usize> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(inner) => {
                use diesel::connection::AnsiTransactionManager;

                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
                if is_up_to_date(inner, &MIGRATIONS)? {
                    return Ok(0);
                }
                AnsiTransactionManager::begin_transaction_sql(inner, "BEGIN IMMEDIATE")?;
                let done = run_migrations(inner, MIGRATIONS);
                super::transaction::end(inner, done)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(inner) => {
                use diesel::connection::SimpleConnection;

                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
                // Before anything is asked of the server that only an owner of tables may: the role that serves need not be one.
                if is_up_to_date(inner, &MIGRATIONS)? {
                    return Ok(0);
                }
                inner.transaction(|inner| {
                    // Ends with the transaction, whatever becomes of this connection or of a pooler's. The number is ours alone.
                    inner.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")?;
                    let got: bool =
                        diesel::select(pg_try_advisory_xact_lock(7_241_906_328)).get_result(inner)?;
                    if !got {
                        log::info!("waiting for another instance, which brings the database up to date");
                        diesel::select(pg_advisory_xact_lock(7_241_906_328)).execute(inner)?;
                    }
                    run_migrations(inner, MIGRATIONS)
                })
            }
            #[cfg(feature = "mysql")]
            Self::Mysql(inner) => {
                use diesel::connection::SimpleConnection;

                const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");
                if is_up_to_date(inner, &MIGRATIONS)? {
                    return Ok(0);
                }
                inner.batch_execute(
                    "SET lock_wait_timeout = 3600 /*M!100300 , idle_transaction_timeout = 0, max_statement_time = 0 */",
                )?;
                // Ends with this connection at the latest.
                inner.batch_execute("DO GET_LOCK(CONCAT('latchkey migrations ', DATABASE()), 3600)")?;
                let done = run_migrations(inner, MIGRATIONS);
                inner.batch_execute("DO RELEASE_LOCK(CONCAT('latchkey migrations ', DATABASE()))")?;
                inner.batch_execute(super::connecting::MYSQL_LIMITS)?;
                // In a cluster the lock is one node's: at another node the same steps may have been taken at the same time.
                match done {
                    Err(_) if is_up_to_date(inner, &MIGRATIONS)? => Ok(0),
                    done => done,
                }
            }
        }
    }
}

#[cfg(feature = "postgres")]
#[diesel::declare_sql_function]
extern "SQL" {
    fn pg_try_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Bool;
    fn pg_advisory_xact_lock(key: diesel::sql_types::BigInt) -> diesel::sql_types::Text;
}

/// Whether every migration has run. Only reads: the question is asked at each start, by roles that may not do more.
///
/// # Errors
/// When the database is newer than this program.
fn is_up_to_date<C, DB>(conn: &mut C, migrations: &EmbeddedMigrations) -> QueryResult<bool>
where
    C: diesel::connection::LoadConnection<Backend = DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
    for<'a> diesel::dsl::Select<applied::table, applied::version>:
        diesel::query_dsl::LoadQuery<'a, C, String>,
{
    // Without the table there is nothing yet; whatever else is wrong shows when it is made.
    let Ok(applied) = applied::table.select(applied::version).load::<String>(conn) else { return Ok(false) };
    let known = versions::<DB>(migrations)?;
    refuse_newer(&known, &applied)?;
    Ok(known.iter().all(|version| applied.contains(version)))
}

diesel::table! {
    #[sql_name = "__diesel_schema_migrations"]
    applied (version) {
        version -> Text,
    }
}

fn versions<DB: diesel::backend::Backend>(migrations: &EmbeddedMigrations) -> QueryResult<Vec<String>>
where
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let all = diesel::migration::MigrationSource::<DB>::migrations(migrations).map_err(QueryBuilderError)?;
    Ok(all.iter().map(|migration| migration.name().version().to_string()).collect())
}

fn refuse_newer(known: &[String], applied: &[String]) -> QueryResult<()> {
    if applied.iter().all(|version| known.contains(version)) {
        return Ok(());
    }
    Err(QueryBuilderError("the database is newer than this program; run the newer latchkey".into()))
}

fn run_migrations<C, DB>(conn: &mut C, migrations: EmbeddedMigrations) -> QueryResult<usize>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    let known = versions::<DB>(&migrations)?;
    let applied = conn.applied_migrations().map_err(QueryBuilderError)?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    refuse_newer(&known, &applied)?;
    Ok(conn.run_pending_migrations(migrations).map_err(QueryBuilderError)?.len())
}
