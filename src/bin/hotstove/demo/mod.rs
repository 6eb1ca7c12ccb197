//! `demo`: a roll-out to play with.

mod random;
mod rollout;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser};
use hotstove::{Batch, Durability, Minute, Name, Options, Reader, Store};

use self::rollout::{BATCH_MINUTES, Rollout, declare, rollouts};
use crate::failure::{Failure, Result, shown};
use crate::print::{Format, answer, bytes, grouped};
use crate::{clock, health, open, query};

/// The first minute simulated: a Monday. The same in every run.
const START: &str = "2026-01-05T00:00Z";

/// The release with a branch that crashes.
const CRASHING: &str = "browser/release/121.0";

/// Whose health is asked for, and why, in the order of the releases.
const STORY: [(&str, &str); 3] = [
    (
        "browser/release/120.0",
        "May this release go on? A harmless one turns out healthy:",
    ),
    (
        CRASHING,
        "And this one? Its branch crashes; the first alarm is the minute at which the roll-out could have been stopped:",
    ),
    (
        "experiment/blue-button",
        "Does the blue button make a difference? Nobody noticed that the treatment was never switched on:",
    ),
];

/// What sources of a demonstration are called.
const SOURCE: &str = "demo/";

/// Simulate a roll-out and leave the store to play with.
///
/// A healthy release, a release with a branch that crashes, an experiment whose
/// treatment never differed, and betas for volume; then their health. The same in every run; a second run
/// adds nothing that is there, and goes on where more days are asked for.
#[derive(Args)]
pub struct Demo {
    /// The store's directory.
    #[arg(default_value = "demo")]
    directory: PathBuf,
    /// Days to simulate.
    #[arg(long, default_value = "14", value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    /// Releases to roll out.
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1000))]
    releases: u32,
}

/// What was written.
#[derive(Default)]
struct Written {
    batches: u64,
    deltas: u64,
    known: u64,
    /// Time within commits alone.
    committing: Duration,
}

impl Demo {
    pub fn run(self) -> Result<ExitCode> {
        let path = &self.directory;
        let failed = |error| Failure::store(path, &error);
        refuse_others(path)?;
        let started = Instant::now();
        let buffered = Durability::Buffered {
            interval: Duration::from_millis(100),
        };
        let store = open::made(path, Options::new().durability(buffered))?;
        let start: Minute = START.parse().map_err(failed)?;
        let rollouts = rollouts(start, self.releases).map_err(failed)?;
        store
            .define(|catalogue| declare(catalogue, &rollouts))
            .map_err(failed)?;
        let written = self.write(&store, &rollouts, start).map_err(failed)?;
        store.compact().map_err(failed)?;
        let found = store.inspect().map_err(failed)?;
        open::close(path, store)?;
        let seconds = written.committing.as_secs_f64();
        let speed = written.deltas as f64 / seconds.max(1e-6);
        answer(|out| {
            writeln!(
                out,
                "{} days of {} releases: {} deltas in {} batches, {} a second ({} were there already)",
                self.days,
                rollouts.len(),
                grouped(written.deltas),
                grouped(written.batches),
                grouped(speed as u64),
                grouped(written.known),
            )?;
            writeln!(
                out,
                "{} cells in {} after compaction, {:.2} bytes a cell; {:.1} s in all",
                grouped(found.cells()),
                bytes(found.segment_bytes()),
                found.segment_bytes() as f64 / (found.cells() as f64).max(1.0),
                started.elapsed().as_secs_f64(),
            )
        })?;
        self.ask()?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(
        &self,
        store: &Store,
        rollouts: &[Rollout],
        start: Minute,
    ) -> hotstove::Result<Written> {
        let mut written = Written::default();
        let mut targets = Vec::new();
        for rollout in rollouts {
            let source = Name::new(&format!("{SOURCE}{}", rollout.release.name))?;
            targets.push((source, rollout.series(store)?));
        }
        for number in 0..self.days * 1_440 / BATCH_MINUTES {
            let offset = number * BATCH_MINUTES;
            let from = start.saturating_add(offset.into());
            let end = u64::from(offset + BATCH_MINUTES);
            for (index, (rollout, (source, series))) in rollouts.iter().zip(&targets).enumerate() {
                if store
                    .committed_offset(source)
                    .is_some_and(|committed| committed >= end)
                {
                    written.known += 1;
                    continue;
                }
                let mut batch = Batch::new();
                rollout.simulate(index as u64, series, from, &mut batch);
                batch.stamp(source, end);
                batch.watermark(source, from.saturating_add(BATCH_MINUTES.into()));
                written.deltas += batch.len() as u64;
                written.batches += 1;
                let began = Instant::now();
                store.commit(batch)?;
                written.committing += began.elapsed();
            }
        }
        let began = Instant::now();
        store.sync()?;
        written.committing += began.elapsed();
        Ok(written)
    }

    /// Asks what a person would, with the commands they would type.
    fn ask(&self) -> Result<()> {
        let store = shown(&self.directory);
        let day = |days: i64| -> Result<String> {
            let start: Minute = START
                .parse()
                .map_err(|error| Failure::store(&self.directory, &error))?;
            Ok(start.saturating_add(days * 1_440).to_string())
        };
        let third = day(3)?;
        self.show(
            "How often does each branch crash, for each 1,000 hours of use?",
            &[
                "--metric",
                "crashes",
                "--per",
                "usage_hours",
                "--every",
                "all",
            ],
        )?;
        self.show(
            "When did it start? The first days of the release that crashes:",
            &[
                "--release",
                CRASHING,
                "--metric",
                "crashes",
                "--per",
                "usage_hours",
                "--every",
                "1d",
                "--by",
                "branch",
                "--to",
                &third,
            ],
        )?;
        self.show(
            "How many joined each branch of the experiment?",
            &[
                "--release",
                "experiment/*",
                "--metric",
                "enrolments",
                "--every",
                "all",
            ],
        )?;
        self.judge()?;
        self.refused(
            "The number of pages decides, so it is held back until its week is whole:",
            &["--metric", "pages", "--every", "all", "--at", &third],
        )?;
        answer(|out| {
            writeln!(out, "\nThe store is yours:")?;
            writeln!(out, "$ hotstove inspect {store}")?;
            writeln!(
                out,
                "$ hotstove query {store} --release 'browser/*' --metric 'c*' --every 1d"
            )?;
            writeln!(
                out,
                "$ hotstove health {store} --release {CRASHING} --format html --out health.html"
            )
        })
    }

    /// Asks for the health of what was rolled out.
    fn judge(&self) -> Result<()> {
        let failed = |error| Failure::store(&self.directory, &error);
        let start: Minute = START.parse().map_err(failed)?;
        let end = start.saturating_add(i64::from(self.days) * 1_440);
        // The present is as far as anybody may look.
        let at = end.min(clock::now());
        let known = self.releases as usize;
        for (release, question) in STORY.into_iter().take(known).filter(|_| at > start) {
            let at = at.to_string();
            let arguments = ["--release", release, "--at", &at];
            self.say(question, "health", &arguments)?;
            let code = self
                .asked::<AskedHealth>("health", &arguments)?
                .health
                .judge()?;
            answer(|out| writeln!(out, "(exit code {code})"))?;
        }
        Ok(())
    }

    /// Prints a question and its answer.
    fn show(&self, question: &str, arguments: &[&str]) -> Result<()> {
        self.say(question, "query", arguments)?;
        let mut asked = self.asked::<Asked>("query", arguments)?;
        asked.query.format = Some(Format::Table);
        asked.query.run().map(|_| ())
    }

    /// Prints a question and why there is no answer.
    fn refused(&self, question: &str, arguments: &[&str]) -> Result<()> {
        self.say(question, "query", arguments)?;
        match self.asked::<Asked>("query", arguments)?.query.run() {
            Err(Failure::Failed(why)) => answer(|out| writeln!(out, "hotstove: {why}")),
            other => other.map(|_| ()),
        }
    }

    /// Prints a question, and the command that asks it.
    fn say(&self, question: &str, command: &str, arguments: &[&str]) -> Result<()> {
        let words: Vec<_> = arguments.iter().map(|word| quoted(word)).collect();
        let (store, words) = (shown(&self.directory), words.join(" "));
        answer(|out| {
            writeln!(out, "\n{question}")?;
            writeln!(out, "$ hotstove {command} {store} {words}\n")
        })
    }

    /// A command as it would be typed.
    fn asked<A: Parser>(&self, command: &str, arguments: &[&str]) -> Result<A> {
        let words = [command.as_ref(), self.directory.as_os_str()].into_iter();
        let words = words.chain(arguments.iter().map(AsRef::as_ref));
        A::try_parse_from(words)
            .map_err(|error| Failure::new(format!("the demonstration asks nonsense: {error}")))
    }
}

/// A query as it would be typed.
#[derive(Parser)]
struct Asked {
    #[command(flatten)]
    query: query::Query,
}

/// The same of `health`.
#[derive(Parser)]
struct AskedHealth {
    #[command(flatten)]
    health: health::Health,
}

/// A word as a shell wants it.
fn quoted(word: &str) -> String {
    if word.contains(['*', '?', '\\', ' ']) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

/// A store that is not a demonstration is not for playing.
fn refuse_others(path: &Path) -> Result<()> {
    let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
    if !path.exists() || std::fs::read_dir(path).is_ok_and(is_empty) {
        return Ok(());
    }
    let failed = |error| Failure::store(path, &error);
    let snapshot = Reader::open(path)
        .and_then(|reader| reader.snapshot())
        .map_err(failed)?;
    let mut sources = snapshot.sources();
    if snapshot.sequence() > 0 && !sources.any(|(name, _)| name.starts_with(SOURCE)) {
        return Err(Failure::new(format!(
            "a store that is no demonstration: {} (name another directory)",
            shown(path)
        )));
    }
    Ok(())
}
