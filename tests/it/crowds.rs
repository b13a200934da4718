//! A hundred thousand people: every page finds its rows through an index.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::{Connection as _, InstrumentationEvent, SimpleConnection};
use latchkey::clock::Clock;
use latchkey::db::Connection;
use latchkey::identity::{Id, Purpose};
use latchkey::records::{outbox, sign_ins, users, verifications};

#[cfg(feature = "mysql")]
use crate::harness::Mariadb;
use crate::harness::{PASSWORD, Site, World, crowd, run_alone};

/// Signs up, signs in, looks around, recovers, changes things: every query of every page, and those of the courier and of
/// housekeeping.
async fn look_around(settings: HashMap<&'static str, String>) {
    let site = Site::start(settings).await;
    latchkey::housekeeping::sweep(&site.app).await.unwrap();
    let mut ann = site.member("annalee").await;
    ann.visit("/user-profile/update/").await;
    ann.fill("Name", "Ann Lee").press("Save").await;
    ann.press("Sign out").await;
    ann.sign_in("annalee@example.org", PASSWORD).await;
    ann.visit("/user-profile/change-email/").await;
    ann.fill("New e-mail", "lee@example.org").fill("Current password", PASSWORD).press("Send the code").await;
    let code = site.code_to("lee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or e-mail", "annalee").press("Send the link").await;
    site.mail_to("lee@example.org").await;
    site.stop().await;
}

#[test]
fn a_hundred_thousand_people_are_never_read_from_end_to_end_on_postgres() {
    #[derive(diesel::QueryableByName)]
    struct Read {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let Some(place) = World::Postgres.place() else { return };
    place.open().migrate().unwrap();
    let mut conn = <diesel::PgConnection as diesel::Connection>::establish(&place.url()).unwrap();
    conn.batch_execute(&crowd(World::Postgres, 100_000)).unwrap();
    conn.batch_execute("ANALYZE").unwrap();
    let mut read = || -> i64 {
        let query = "SELECT COALESCE(SUM(seq_tup_read), 0)::bigint AS rows FROM pg_stat_user_tables \
                     WHERE relname IN ('users', 'sign_ins', 'outbox')";
        conn.batch_execute("SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot()").unwrap();
        diesel::RunQueryDsl::get_result::<Read>(diesel::sql_query(query), &mut conn).unwrap().rows
    };
    let before = read();
    run_alone(async || look_around(place.settings.clone()).await);
    // The connections of the site have ended, and have said then what they read.
    let after = wait_for_stats(&mut read);
    assert!(after - before < 50_000, "{} rows were read one after the other", after - before);
}

/// What the server says once it has said the same twice.
#[expect(clippy::disallowed_methods, reason = "nothing else happens meanwhile")]
fn wait_for_stats(read: &mut impl FnMut() -> i64) -> i64 {
    let mut last = read();
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let now = read();
        if now == last {
            return now;
        }
        last = now;
    }
}

#[cfg(feature = "mysql")]
#[test]
fn a_hundred_thousand_people_are_never_read_from_end_to_end_on_mariadb() {
    #[derive(diesel::QueryableByName)]
    struct Read {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    // A server of its own: its counters are about all databases.
    let Some(server) = Mariadb::start() else { return };
    server.execute("CREATE DATABASE accounts");
    let settings = HashMap::from([("DATABASE_URL", server.url("accounts"))]);
    run_alone(async || drop(Site::start(settings.clone()).await.stop().await));
    let mut conn =
        <diesel::MysqlConnection as diesel::Connection>::establish(&server.url("accounts")).unwrap();
    conn.batch_execute(&crowd(World::Mariadb, 100_000)).unwrap();
    conn.batch_execute("ANALYZE TABLE users, sign_ins, outbox").unwrap();
    let mut read = || -> i64 {
        let query = "SELECT variable_value AS value FROM information_schema.global_status \
                     WHERE variable_name = 'HANDLER_READ_RND_NEXT'";
        diesel::RunQueryDsl::get_result::<Read>(diesel::sql_query(query), &mut conn)
            .unwrap()
            .value
            .parse()
            .unwrap()
    };
    let before = read();
    run_alone(async || look_around(settings.clone()).await);
    let read = read() - before;
    assert!(read < 50_000, "{read} rows were read one after the other");
}

/// The statements behind a sign-in, a profile page and the courier's claim.
fn ask_everything(conn: &mut Connection) -> QueryResult<()> {
    let now = Clock::system().now();
    let id = Id::from_stored("p".repeat(36));
    users::by_username(conn, "p77")?;
    users::by_email(conn, "p77@example.org")?;
    verifications::claiming(conn, "p77@example.org")?;
    users::lock(conn, &id)?;
    sign_ins::by_id(conn, &id)?;
    sign_ins::end_all(conn, &id, None, now)?;
    verifications::pending(conn, &id, Purpose::ChangeEmail)?;
    outbox::claim(conn, now)?;
    outbox::next_due(conn)?;
    Ok(())
}

/// How the database says it finds the rows of a statement, a line for each table.
fn plan(conn: &mut Connection, statement: &str) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        step: String,
    }
    let load = |conn: &mut Connection, query: String| -> Vec<String> {
        let steps = diesel::RunQueryDsl::load::<Step>(diesel::sql_query(&query), conn);
        steps.expect(&query).into_iter().map(|it| it.step).collect()
    };
    match conn {
        Connection::Sqlite(inner) => {
            #[derive(diesel::QueryableByName)]
            struct Detail {
                #[diesel(sql_type = diesel::sql_types::Text)]
                detail: String,
            }
            let query = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}"));
            let steps = diesel::RunQueryDsl::load::<Detail>(query, inner).expect(statement);
            steps.into_iter().map(|it| it.detail).collect()
        }
        Connection::Postgres(_) => {
            // As for any value, and through an index wherever there is one.
            let values = (1..20).take_while(|n| statement.contains(&format!("${n}"))).count();
            let nulls =
                if values == 0 { String::new() } else { format!("({})", vec!["NULL"; values].join(", ")) };
            let prepare =
                "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; DEALLOCATE ALL";
            conn.batch_execute(prepare).unwrap();
            conn.batch_execute(&format!("PREPARE asked AS {statement}")).expect(statement);
            conn.batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.plan() RETURNS SETOF text LANGUAGE plpgsql AS \
                 $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN EXECUTE asked{nulls}'; END $$"
            ))
            .unwrap();
            load(conn, "SELECT step FROM pg_temp.plan() AS step".to_owned())
        }
        #[cfg(feature = "mysql")]
        Connection::Mysql(inner) => {
            #[derive(diesel::QueryableByName)]
            struct Access {
                #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>, column_name = "type")]
                how: Option<String>,
            }
            let asked = statement.replace("LIMIT ?", "LIMIT 1").replace('?', "'2026-01-01 00:00:00'");
            let steps =
                diesel::RunQueryDsl::load::<Access>(diesel::sql_query(format!("EXPLAIN {asked}")), inner);
            let steps = steps.expect(&asked).into_iter();
            steps.map(|it| format!("access {}", it.how.unwrap_or_default())).collect()
        }
    }
}

#[test]
fn sign_in_profile_and_courier_find_their_rows_through_an_index() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(place) = world.place() else { continue };
        place.open().migrate().unwrap();
        let mut conn = place.connection();
        conn.batch_execute(&crowd(*world, 100_000)).unwrap();
        let statements = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&statements);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                let text = query.to_string();
                seen.lock().unwrap().insert(text.split(" -- binds").next().unwrap().to_owned());
            }
        });
        ask_everything(&mut conn).unwrap();
        let statements = std::mem::take(&mut *statements.lock().unwrap());
        assert!(statements.len() >= 8, "{statements:?}");
        for statement in &statements {
            let plan = plan(&mut conn, statement);
            assert!(!plan.is_empty() && !reads_all(&plan), "{world:?}: {statement}\n{plan:#?}");
        }
        // A plan without an index would have been seen as one.
        assert!(reads_all(&plan(&mut conn, "SELECT id FROM users WHERE full_name = 'x'")), "{world:?}");
    }
}

/// Whether a table is read from end to end.
fn reads_all(plan: &[String]) -> bool {
    plan.iter().any(|step| step.starts_with("SCAN ") || step.contains("Seq Scan") || step == "access ALL")
}
