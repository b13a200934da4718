//! Latchkey: accounts as plain pages. Sign-up, sign-in, verification by one-time code, recovery, profile.
//!
//! Read from the top down; each layer knows only those below it (ARCHITECTURE.md tells more):
//!
//! - [`commands`]: the command line; [`logging`]: what a log line looks like
//! - [`app`]: the parts of the running application, the order of its middleware, start and stop
//! - [`site`]: what people can do, one module for each thing; [`housekeeping`]: what is done now and then
//! - [`web`]: the one door to HTML and HTTP
//! - [`acts`]: what superusers may do to accounts
//! - [`mail`]: what mails say and how they leave; [`records`]: what is kept, one file for each table
//! - [`db`]: the one door to SQL
//! - [`identity`]: what things are, as values
//!
//! Leaves that anyone may read: [`config`], [`paths`], [`keys`], [`clock`], [`hasher`].

pub mod commands;
pub mod logging;

pub mod app;

pub mod housekeeping;
pub mod site;

pub mod web;

pub mod acts;

pub mod mail;
pub mod records;

pub mod db;

pub mod identity;

pub mod clock;
pub mod config;
pub mod hasher;
pub mod keys;
pub mod paths;
