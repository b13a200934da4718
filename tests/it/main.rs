//! What people see, tested through the real forms over real HTTP, with a real database, mail server and Redis.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails loudly")]

mod harness;

mod access;
mod accessibility;
mod account;
mod admin;
mod auth;
mod browsers;
mod buckets;
mod checking_applications;
mod clocks;
mod commands;
mod crowds;
mod database_faults;
mod databases;
mod deploy;
mod events;
mod failover;
mod instances;
mod journal;
mod journey;
mod layers;
mod mail;
mod operating;
mod pages;
mod redis_faults;
mod sentences;
mod service;
mod settings;
mod shell;
mod storage;
mod text_browsers;
