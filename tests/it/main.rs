//! What people see, tested through the real forms over real HTTP, with a real database, mail server and Redis.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails loudly")]

mod harness;

mod access;
mod admin;
mod admin_acts;
mod buckets;
mod commands;
mod crowds;
mod database_faults;
mod databases;
mod deploy;
mod http;
mod instances;
mod journey;
mod mail;
mod pictures;
mod profile;
mod recovery;
mod redis_faults;
mod sessions;
mod shell;
mod sign_in;
mod sign_up;
mod storage;
mod verification;
