//! `import`: rows of files into the store, in batches, exactly once where the
//! file has a name.

mod csv;
mod input;
mod pipeline;
mod place;
mod resume;
mod rows;
mod survey;
mod targets;
mod value;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use hotstove::{Durability, Kind, Name, Options, Rounding, Store};

use self::input::Input;
use self::pipeline::{Progress, Rules, Stop};
use self::place::Place;
use self::rows::{Format, Rows, Wrong};
use crate::failure::{Failure, Result, note};
use crate::print::grouped;
use crate::{define, open, progress};

/// Rows of a pipe that `--define-missing` looks at.
const PIPE_ROWS: u64 = 65_536;

/// Batches share a sync this often. Before a batch's lines are reported to be
/// in the store, all are synced.
const SYNC_INTERVAL: Duration = Duration::from_millis(200);

/// Read rows of release, branch, metric, minute and value.
///
/// Deltas of one cell add up. Batches of at most 8,192 lines are committed
/// whole or not at all. With --source an interrupted import can simply be
/// repeated: what is in the store is not added again, and a file that has
/// grown goes on where it left off.
#[derive(Args)]
pub struct Import {
    /// The store's directory; made where it does not exist.
    store: PathBuf,
    /// Files to read, one after the other; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// ndjson for .ndjson, .jsonl and .json, else csv, unless said otherwise.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file's name in the store's memory, by which it is imported once.
    #[arg(long, value_name = "NAME", value_parser = define::name)]
    source: Option<Name>,
    /// Declare metrics that are not: whole numbers make a counter, else a sum
    /// with as many decimals as seen. Looks at the whole file first, or at the
    /// first 65,536 rows of a pipe.
    #[arg(long)]
    define_missing: bool,
    /// Refuse digits beyond the decimals a metric keeps instead of rounding.
    #[arg(long)]
    strict: bool,
}

impl Import {
    pub fn run(self) -> Result<ExitCode> {
        if self.source.is_some() && self.files.len() > 1 {
            return Err(Failure::Usage(
                "--source names one file, not several".into(),
            ));
        }
        // A file that is not there must not leave a new store behind.
        let places = self.files.iter().map(|path| Place::open(path));
        let places = places.collect::<Result<Vec<_>>>()?;
        let durability = Durability::Buffered {
            interval: SYNC_INTERVAL,
        };
        let store = open::made(&self.store, Options::new().durability(durability))?;
        let mut done = Vec::new();
        for place in places {
            let label = place.label.clone();
            if let Err(what) = self.file(&store, place) {
                // What the message says is in the store must stay there.
                let kept = store.sync().and_then(|()| store.close());
                let lost = kept
                    .err()
                    .map(|error| format!(" (syncing failed too: {error})"));
                let before = match done.len() {
                    0 => String::new(),
                    _ => format!("; all of {} is in", done.join(", ")),
                };
                let lost = lost.unwrap_or_default();
                return Err(Failure::new(format!("{what}{before}{lost}")));
            }
            done.push(label);
        }
        open::close(&self.store, store)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Imports one file; what went wrong is a whole message.
    fn file(&self, store: &Store, mut place: Place) -> Result<(), String> {
        let started = Instant::now();
        let format = self.format.unwrap_or(place.format());
        let label = place.label.clone();
        let at = |wrong: Wrong| located(&label, &wrong);
        if self.define_missing {
            define_missing(store, &mut place, format)?;
        }
        let bar = progress::bytes(&label, place.length);
        let input = Input::new(place.reader(), bar.clone());
        let mut rows = Rows::open(input, format).map_err(at)?;
        if !rows.ignored.is_empty() {
            note(format_args!(
                "{label}: columns not read: {}",
                rows.ignored.join(", ")
            ));
        }
        let mut resumed = false;
        if let Some(source) = &self.source {
            resumed = resume::skip(store, source, &mut rows.input)
                .map_err(|what| format!("{what}: {label}"))?;
        }
        let rules = Rules {
            source: self.source.as_ref(),
            rounding: if self.strict {
                Rounding::Refuse
            } else {
                Rounding::HalfEven
            },
        };
        let mut progress = Progress::default();
        let result = pipeline::run(store, &mut rows, &rules, &mut progress);
        bar.finish_and_clear();
        tell(&label, &progress, resumed, started.elapsed());
        result.map_err(|stop| {
            let what = match stop {
                Stop::Row(wrong) => located(&label, &wrong),
                Stop::Store {
                    lines: (first, last),
                    error,
                } => {
                    format!("{error}: {label} lines {first} to {last}")
                }
            };
            format!("{what} ({})", self.what_is_in(&progress, resumed))
        })
    }

    /// After a failure: which lines are in, and what to do about the others.
    fn what_is_in(&self, progress: &Progress, resumed: bool) -> String {
        let repeat = "repeat the command and it goes on from there";
        match (progress.lines, self.source.is_some()) {
            (None, true) if resumed => format!("nothing new is in the store; {repeat}"),
            (None, _) => "nothing of this file is in the store".to_owned(),
            (Some((_, last)), true) => format!("lines up to {last} are in the store; {repeat}"),
            (Some((first, last)), false) => format!(
                "lines {first} to {last} are in the store and would count twice: go on with the lines after {last}"
            ),
        }
    }
}

fn located(label: &str, wrong: &Wrong) -> String {
    format!("{}: {label} line {}", wrong.what, wrong.line)
}

/// Declares the metrics of a file that are not.
fn define_missing(store: &Store, place: &mut Place, format: Format) -> Result<(), String> {
    let label = place.label.clone();
    let rows_max = if place.length.is_some() {
        u64::MAX
    } else {
        PIPE_ROWS
    };
    let bar = progress::bytes(&format!("looking at {label}"), place.length);
    let looked = place.first_look(|reader| {
        let mut rows = Rows::open(Input::new(reader, bar.clone()), format)?;
        survey::missing(&mut rows, store.snapshot().catalogue(), rows_max)
    });
    bar.finish_and_clear();
    let metrics = looked
        .map_err(|error| format!("opening failed: {label}: {error}"))?
        .map_err(|wrong| {
            format!(
                "{} (nothing of this file is in the store)",
                located(&label, &wrong)
            )
        })?;
    store
        .define(|catalogue| {
            let mut new = metrics.iter();
            new.try_for_each(|metric| catalogue.define_metric(metric).map(|_| ()))
        })
        .map_err(|error| format!("{error}: {label}"))?;
    for metric in metrics {
        let what = match metric.kind {
            Kind::Sum { decimals } => format!("a sum with {decimals} decimals"),
            kind => format!("a {}", kind.as_str()),
        };
        note(format_args!("{:?} is declared as {what}", metric.name));
    }
    Ok(())
}

fn tell(label: &str, progress: &Progress, resumed: bool, elapsed: Duration) {
    let &Progress {
        rows,
        rounded,
        dropped,
        ..
    } = progress;
    let seconds = elapsed.as_secs_f64();
    let speed = rows as f64 / seconds.max(1e-6);
    let new = if resumed { " new" } else { "" };
    note(format_args!(
        "{}{new} rows of {label} in {seconds:.2} s, {} a second",
        grouped(rows),
        grouped(speed as u64),
    ));
    if rounded > 0 {
        note(format_args!(
            "{} values of {label} were rounded, half to even",
            grouped(rounded)
        ));
    }
    if dropped > 0 {
        note(format_args!(
            "{} rows of {label} lie before the retention floor and were dropped",
            grouped(dropped)
        ));
    }
}
