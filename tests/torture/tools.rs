//! What may be missing on a machine, and numbers from the environment.

use std::env;
use std::process::{Command, Stdio};

/// Whether a command of this name can be run.
pub fn has(tool: &str) -> bool {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("command -v {tool}")])
        .stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says by name that a test does not run here, and why.
pub fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}

/// A number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
