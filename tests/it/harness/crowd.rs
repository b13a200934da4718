//! Many people at once, written by the database itself: each with a sign-in that ended and a mail that was sent.

use diesel::connection::SimpleConnection;

use latchkey::db::Connection;

use super::{Sandbox, World};

/// The statements that add so many people: `p1`, `p2`, … at `example.org`, of every role and status, who signed up by threes,
/// a second a person, since the beginning of 2026.
fn crowd(world: World, count: u32) -> String {
    let (n, numbers) = numbers(world, count);
    let (id, name) = match world {
        World::Embedded | World::Redis => {
            ("printf('00000000-0000-7000-8000-%012d', n)".to_owned(), "'p' || n".to_owned())
        }
        World::Postgres => {
            ("'00000000-0000-7000-8000-' || lpad(n::text, 12, '0')".to_owned(), "'p' || n".to_owned())
        }
        #[cfg(feature = "mysql")]
        World::Mariadb => {
            (format!("CONCAT('00000000-0000-7000-8000-', LPAD({n}, 12, '0'))"), format!("CONCAT('p', {n})"))
        }
    };
    let address = match world {
        #[cfg(feature = "mysql")]
        World::Mariadb => format!("CONCAT('p', {n}, '@example.org')"),
        _ => "'p' || n || '@example.org'".to_owned(),
    };
    let joined = match world {
        World::Embedded | World::Redis => "datetime('2026-01-01', (n - n % 3) || ' seconds')".to_owned(),
        World::Postgres => "timestamp '2026-01-01' + (n - n % 3) * interval '1 second'".to_owned(),
        #[cfg(feature = "mysql")]
        World::Mariadb => format!("'2026-01-01' + INTERVAL {n} - {n} % 3 SECOND"),
    };
    // One in a hundred has none: the look-alike of somebody else's sign-up.
    let email = format!("CASE WHEN {n} % 100 <> 99 THEN {address} END");
    // Recent enough for housekeeping to keep them.
    let (past, future) = ("'2026-01-01 00:00:00'", "'2099-01-01 00:00:00'");
    format!(
        "INSERT INTO users (id, username, username_canon, email, email_canon, password_hash, role, verified_at, \
           blocked_at, full_name, full_name_canon, phone, about, created_at, password_changed_at, theme, time_zone, email_since, \
           device_epoch, last_used_at, dormancy_notices) \
         SELECT {id}, {name}, {name}, {email}, {email}, 'v1$', \
           CASE WHEN {n} % 1000 = 0 THEN 'staff' WHEN {n} % 10 = 0 THEN 'merchant' ELSE 'user' END, {joined}, \
           CASE WHEN {n} % 49 = 0 THEN {joined} END, '', '', '', '', {joined}, {joined}, 'system', 'UTC', {joined}, 0 * {n}, {joined}, 0 * {n} FROM {numbers}; \
         INSERT INTO sessions (id, user_id, kind, generation, device, name, signed_in_by, ip, created_at, last_seen_at, confirmed_at, \
           idle_ends_at, absolute_ends_at, ended_at) \
         SELECT {id}, {id}, 'normal', 1, '', '', 'password', '', {joined}, {joined}, {joined}, {future}, {future}, {past} FROM {numbers}; \
         INSERT INTO outbox (id, kind, user_id, recipient, fields, state, tries, created_at, due_at, ended_at) \
         SELECT {id}, 'test', {id}, {address}, '{{}}', 'sent', 0 * {n}, {future}, {past}, {past} FROM {numbers}"
    )
}

/// The statement that adds so many events of so many people, of the weeks before November 2026; one in a thousand is of somebody
/// called `chief`.
fn chronicle(world: World, count: u32, people: u32) -> String {
    let (n, numbers) = numbers(world, count);
    let person = format!("1 + {n} % {people}");
    let chief = "(SELECT id FROM users WHERE username = 'chief')";
    let (id, of, at) = match world {
        World::Embedded | World::Redis => (
            "printf('01900000-0000-7000-8000-%012d', n)".to_owned(),
            format!("printf('00000000-0000-7000-8000-%012d', {person})"),
            "datetime('2026-09-10', (n % 6000000) || ' seconds')".to_owned(),
        ),
        World::Postgres => (
            "'01900000-0000-7000-8000-' || lpad(n::text, 12, '0')".to_owned(),
            format!("'00000000-0000-7000-8000-' || lpad(({person})::text, 12, '0')"),
            "timestamp '2026-09-10' + (n % 6000000) * interval '1 second'".to_owned(),
        ),
        #[cfg(feature = "mysql")]
        World::Mariadb => (
            format!("CONCAT('01900000-0000-7000-8000-', LPAD({n}, 12, '0'))"),
            format!("CONCAT('00000000-0000-7000-8000-', LPAD({person}, 12, '0'))"),
            format!("'2026-09-10' + INTERVAL {n} % 6000000 SECOND"),
        ),
    };
    format!(
        "INSERT INTO events (id, at, kind, user_id, source, detail, was, became) \
         SELECT {id}, {at}, CASE {n} % 4 WHEN 0 THEN 'sign-in-failed' WHEN 1 THEN 'details-changed' ELSE 'signed-in' END, \
           CASE WHEN {n} % 1000 = 0 THEN {chief} ELSE {of} END, '192.0.2.7', '', '', '' FROM {numbers}"
    )
}

/// What a number is called, and the table of all of them.
fn numbers(world: World, count: u32) -> (&'static str, String) {
    match world {
        World::Embedded | World::Redis => {
            let all = format!("SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < {count}");
            ("n", format!("(WITH RECURSIVE c AS ({all}) SELECT n FROM c)"))
        }
        World::Postgres => ("n", format!("generate_series(1, {count}) AS n")),
        #[cfg(feature = "mysql")]
        World::Mariadb => ("seq", format!("seq_1_to_{count}")),
    }
}

/// Adds so many people to a database that has its tables.
pub fn fill(world: World, sandbox: &Sandbox, count: u32) {
    let mut conn = sandbox.connection();
    conn.batch_execute(&crowd(world, count)).expect("people");
    settle(world, &mut conn);
}

/// Adds so many events of so many people to their database.
pub fn fill_events(world: World, sandbox: &Sandbox, count: u32, people: u32) {
    let mut conn = sandbox.connection();
    if world == World::Embedded {
        // Whoever is stopping may be writing still.
        conn.batch_execute("PRAGMA busy_timeout = 60000").expect("patience");
    }
    conn.batch_execute(&chronicle(world, count, people)).expect("events");
    settle(world, &mut conn);
}

fn settle(world: World, conn: &mut Connection) {
    if world == World::Postgres {
        // What its autovacuum does by itself within a minute.
        conn.batch_execute("VACUUM ANALYZE").expect("statistics");
    }
}
