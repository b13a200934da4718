//! Latchkey: accounts as plain pages. Sign-up, sign-in, verification by one-time code, recovery, profile, administration.
//!
//! Read from the top down; each room knows only those below it (ARCHITECTURE.md says more, and a test holds it):
//!
//! - [`commands`]: the command line
//! - [`server`]: the order in which a request passes, start and stop
//! - [`site`]: what people can do, by who stands before the page
//! - [`web`]: everything about HTTP and HTML; [`housekeeping`]: what is done periodically
//! - [`app`]: the parts of the running program
//! - [`courier`]: the worker that sends mail; [`readiness`]: whether we can serve; [`statistics`]: the numbers of the admin pages
//! - [`accounts`]: what happens to an account, whoever asks
//! - [`mail`]: what mails say, and how they are queued
//! - [`records`]: what is kept, one file for each table
//! - [`db`]: everything that talks SQL
//! - [`identity`]: what things are, as values
//!
//! Leaves that anyone above [`identity`] may read: [`logging`], [`config`], [`paths`], [`language`], [`limits`], [`redis_connection`],
//! [`pictures`], [`passkeys`], [`hasher`], [`keys`], [`clock`], `places`; `threads`, for what waits.

pub mod commands;
pub mod logging;

pub mod server;

pub mod site;

pub mod housekeeping;
pub mod web;

pub mod app;

pub mod courier;
pub mod readiness;
pub mod statistics;

pub mod accounts;

pub mod mail;

pub mod records;

pub mod db;

pub mod identity;

pub mod clock;
pub mod config;
pub mod hasher;
pub mod keys;
pub mod language;
pub mod limits;
pub mod passkeys;
pub mod paths;
pub mod pictures;
mod places;
pub mod redis_connection;
mod threads;
