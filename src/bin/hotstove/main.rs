//! The command line of hotstove: one file a command, over the public API.
//!
//! Results alone go to standard output; notes, warnings, progress and errors
//! go to standard error. Exit codes: 0 done, 1 failed, 2 usage; 3 and 4 are said
//! by `health`.

mod backup;
mod clock;
mod compact;
mod define;
mod demo;
mod failure;
mod health;
mod import;
mod inspect;
mod metrics;
mod open;
mod print;
mod progress;
mod query;
mod releases;
mod repair;
mod retain;
mod verify;

use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};

use crate::failure::Result;

/// An embedded time-series store for the health of software releases and experiments.
///
/// Times are RFC 3339 in UTC to the minute, such as 2026-11-22T10:41Z; every
/// upper bound is exclusive. In a GLOB `*` stands for any characters, `/`
/// included, `?` for one, and `\` takes their meaning away.
#[derive(Parser)]
#[command(name = "hotstove", version, color = ColorChoice::Never, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value a process")]
enum Command {
    Define(define::Define),
    Import(import::Import),
    Query(query::Query),
    Health(health::Health),
    Releases(releases::Releases),
    Metrics(metrics::Metrics),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Repair(repair::Repair),
    Compact(compact::Compact),
    Backup(backup::Backup),
    Retain(retain::Retain),
    Demo(demo::Demo),
}

impl Command {
    fn run(self) -> Result<ExitCode> {
        match self {
            Command::Define(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Query(command) => command.run(),
            Command::Health(command) => command.run(),
            Command::Releases(command) => command.run(),
            Command::Metrics(command) => command.run(),
            Command::Inspect(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Repair(command) => command.run(),
            Command::Compact(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Retain(command) => command.run(),
            Command::Demo(command) => command.run(),
        }
    }
}

fn main() -> ExitCode {
    failure::follow_log();
    match Arguments::parse().command.run() {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}
