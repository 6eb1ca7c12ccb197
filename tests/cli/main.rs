//! The command line, from outside: every command, every bad input, real files.
#![cfg(feature = "cli")]

mod bad_input;
mod commands;
mod damage;
mod import;
mod interrupted;
mod real;
mod support;
