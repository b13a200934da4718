//! A hundred thousand people: every page finds its rows through an index.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::{Connection as _, InstrumentationEvent, SimpleConnection};
use latchkey::clock::Clock;
use latchkey::db::Connection;
use latchkey::identity::{CodePurpose, Id, LinkPurpose, Role};
use latchkey::records::outbox::State;
use latchkey::records::users::directory::{self, Filter, Key, Order};
use latchkey::records::{Cursor, events, links, outbox, sessions, users, verifications};

#[cfg(feature = "mysql")]
use crate::harness::Mariadb;
#[cfg(feature = "mysql")]
use crate::harness::Sandbox;
use crate::harness::{PASSWORD, Site, World, fill, fill_events, run_alone};

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
    ann.fill("New email address", "lee@example.org")
        .fill("Current password", PASSWORD)
        .press("Send the code")
        .await;
    let code = site.code_to("lee@example.org").await;
    ann.fill("Code", &code).press("Confirm").await;
    ann.visit("/auth/forgot-password/").await;
    ann.fill("Username or email address", "annalee").press("Send the link").await;
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
    let Some(sandbox) = World::Postgres.sandbox() else { return };
    sandbox.open().migrate().unwrap();
    let mut conn = <diesel::PgConnection as diesel::Connection>::establish(&sandbox.url()).unwrap();
    fill(World::Postgres, &sandbox, 100_000);
    let mut read = || -> i64 {
        let query = "SELECT COALESCE(SUM(seq_tup_read), 0)::bigint AS rows FROM pg_stat_user_tables \
                     WHERE relname IN ('users', 'sessions', 'outbox')";
        conn.batch_execute("SELECT pg_stat_force_next_flush(); SELECT pg_stat_clear_snapshot()").unwrap();
        diesel::RunQueryDsl::get_result::<Read>(diesel::sql_query(query), &mut conn).unwrap().rows
    };
    let before = read();
    run_alone(async || look_around(sandbox.settings.clone()).await);
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
    let sandbox = Sandbox::on_mariadb(&server, "accounts");
    sandbox.open().migrate().unwrap();
    let settings = sandbox.settings.clone();
    fill(World::Mariadb, &sandbox, 100_000);
    let mut conn =
        <diesel::MysqlConnection as diesel::Connection>::establish(&server.url("accounts")).unwrap();
    conn.batch_execute("ANALYZE TABLE users, sessions, outbox").unwrap();
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

/// The statements behind a sign-in, a profile page, the courier's claim and the lists of the admin pages.
fn ask_everything(conn: &mut Connection) -> QueryResult<()> {
    let now = Clock::system().now();
    let id = Id::from_stored("p".repeat(36));
    users::by_username(conn, "p77")?;
    users::by_email(conn, "p77@example.org")?;
    verifications::by_claimed_email(conn, "p77@example.org")?;
    users::lock(conn, &id)?;
    sessions::by_id(conn, &id)?;
    sessions::end_all(conn, &id, None, now)?;
    verifications::pending(conn, &id, CodePurpose::ChangeEmail)?;
    outbox::claim(conn, now)?;
    outbox::next_due(conn)?;
    for key in [Key::Joined, Key::Username, Key::Email] {
        for (role, descending) in [(None, true), (Some(Role::Merchant), false)] {
            let filter = Filter { role, has_email: key == Key::Email, ..Filter::default() };
            let page = directory::page(conn, &filter, Order { key, descending }, None, 50)?;
            directory::page(conn, &filter, Order { key, descending }, page.next.as_ref(), 50)?;
        }
    }
    let search = Filter { search: "p99999".to_owned(), ..Filter::default() };
    let order = Order { key: Key::Joined, descending: true };
    directory::page(conn, &Filter { joined_from: Some(now), ..Filter::default() }, order, None, 50)?;
    assert_eq!(directory::page(conn, &search, order, None, 50)?.users.len(), 1);
    sessions::last_seen(conn, std::slice::from_ref(&id))?;
    let events = events::Filter { user: events::Whose::One(id.clone()), ..events::Filter::default() };
    events::list(conn, &events, None, 50)?;
    events::list(conn, &events::Filter::default(), Some(&Cursor { at: now, id: id.clone() }), 50)?;
    events::failures_before(conn, &id, events::Kind::SignInFailed, 5, now)?;
    events::is_newest(conn, &id, events::Kind::DetailsChanged, &id)?;
    users::leaving::due(conn, now, 50)?;
    users::dormancy::unused(conn, now.minus(Duration::from_secs(400 * 86_400)), 50)?;
    users::dormancy::due(conn, 1, now, 50)?;
    users::dormancy::call_all_off(conn)?;
    links::open(conn, &id, LinkPurpose::UndoEmail, now)?;
    links::all_of(conn, &id)?;
    sessions::all_of(conn, &id)?;
    verifications::all_of(conn, &id)?;
    outbox::list(conn, &outbox::Filter { user: Some(id.clone()), ..outbox::Filter::default() }, None, 50)?;
    outbox::list(
        conn,
        &outbox::Filter { state: Some(State::Failed), ..outbox::Filter::default() },
        None,
        50,
    )?;
    links::list(conn, LinkPurpose::ResetPassword, None, None, 50)?;
    verifications::list(conn, None, None, 50)?;
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
fn sign_in_profile_courier_and_lists_find_their_rows_through_an_index() {
    for world in World::ALL.iter().filter(|world| **world != World::Redis) {
        let Some(sandbox) = world.sandbox() else { continue };
        sandbox.open().migrate().unwrap();
        let mut conn = sandbox.connection();
        fill(*world, &sandbox, 100_000);
        // And something of each of them in the other tables that have lists.
        for rows in [
            "verifications (id, user_id, purpose, email, code_expires_at, tries, next_path, created_at) \
             SELECT id, id, 'sign-up', '', created_at, 0, '', created_at FROM users",
            "links (id, user_id, purpose, token_digest, email, created_at, expires_at) \
             SELECT id, id, 'reset-password', '', '', created_at, created_at FROM users",
        ] {
            conn.batch_execute(&format!("INSERT INTO {rows}")).unwrap();
        }
        fill_events(*world, &sandbox, 100_000, 100_000);
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

/// In the middle of names and addresses, where the database has an index for it.
#[test]
fn a_search_in_the_middle_reads_no_table_from_end_to_end_and_knows_every_change() {
    for world in [World::Embedded, World::Postgres] {
        let Some(sandbox) = world.sandbox() else { continue };
        sandbox.open().migrate().unwrap();
        let mut conn = sandbox.connection();
        fill(world, &sandbox, 100_000);
        let statements = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&statements);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                seen.lock().unwrap().push(query.to_string().split(" -- binds").next().unwrap().to_owned());
            }
        });
        let find = |conn: &mut Connection, text: &str| -> Vec<String> {
            let filter = Filter { search: text.to_owned(), ..Filter::default() };
            let order = Order { key: Key::Joined, descending: true };
            let page = directory::page(conn, &filter, order, None, 50).unwrap();
            assert_eq!(directory::count(conn, &filter, 100).unwrap(), page.users.len(), "{text}");
            page.users.into_iter().map(|user| user.username.to_string()).collect()
        };
        assert_eq!(find(&mut conn, "7777@ex").len(), 10, "{world:?}");
        let anywhere =
            statements.lock().unwrap().iter().rfind(|text| text.contains("LIKE")).cloned().unwrap();
        let plan = plan(&mut sandbox.connection(), &anywhere);
        let reads_users = |step: &String| step.contains("SCAN users ") || step.contains("Seq Scan on users");
        assert!(!plan.is_empty() && !plan.iter().any(reads_users), "{world:?}: {anywhere}\n{plan:#?}");
        let rename = "UPDATE users SET full_name_canon = 'ann o''neil \"x\" 100%' WHERE username = 'p5'";
        conn.batch_execute(rename).unwrap();
        assert_eq!(find(&mut conn, "neil \"x\" 100%"), ["p5"], "{world:?}");
        conn.batch_execute("UPDATE users SET full_name_canon = '' WHERE username = 'p5'").unwrap();
        assert!(find(&mut conn, "neil \"x\" 100%").is_empty(), "{world:?}");
        conn.batch_execute("DELETE FROM users WHERE username = 'p77777'").unwrap();
        assert_eq!(find(&mut conn, "7777@ex").len(), 9, "{world:?}: whoever is gone is not found");
    }
}

/// Whether a table is read from end to end.
fn reads_all(plan: &[String]) -> bool {
    // Walking an index in its order, as far as a page goes, is no such reading.
    let scans = |step: &String| step.starts_with("SCAN ") && !step.contains("USING INDEX");
    plan.iter().any(|step| scans(step) || step.contains("Seq Scan") || step == "access ALL")
}
