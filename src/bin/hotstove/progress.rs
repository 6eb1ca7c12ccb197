//! Progress on standard error, when that is a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `total` bytes, or a count of them where nobody knows how many
/// come. Draws nothing unless somebody can see it.
pub fn bytes(label: &str, total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total).with_style(style(
            "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} to go",
        )),
        None => ProgressBar::new_spinner().with_style(style("{msg} {bytes} {bytes_per_sec}")),
    };
    shown(bar, label)
}

/// A sign of life for work without a measure.
pub fn spinner(label: &str) -> ProgressBar {
    let bar = shown(
        ProgressBar::new_spinner().with_style(style("{spinner} {msg} {elapsed}")),
        label,
    );
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn shown(bar: ProgressBar, label: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.with_message(label.to_owned())
}
