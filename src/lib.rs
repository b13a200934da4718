//! Latchkey
pub mod app;
pub mod clock;
pub mod config;
pub mod db;
pub mod hasher;
pub mod housekeeping;
pub mod identity;
pub mod keys;
pub mod mail;
pub mod paths;
pub mod records;
pub mod site;
pub mod web;
