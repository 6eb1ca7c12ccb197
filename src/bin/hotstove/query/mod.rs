//! `query`: sums, gauges and rates by bucket.

mod buckets;
mod print;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use hotstove::{
    ErrorKind, Every, GroupBy, Held, Minute, Name, Override, Pattern, Query as Question, Reader,
    Snapshot, Table,
};

use crate::failure::{Failure, Result, note};
use crate::print::{Format, answer, line_width};
use crate::{clock, define, open};

/// Ask for sums (of gauges: the last value) by bucket.
///
/// CSV has the columns release,branch,metric,minute,value, sorted, with exact
/// decimals; keys not grouped by are `*`. JSON is an array of objects with the
/// same keys and exact numbers. With --age the minute is a number of minutes.
/// Buckets without a cell are not there: absent is not zero.
#[derive(Args)]
pub struct Query {
    /// The store's directory.
    store: PathBuf,
    /// Which releases; all unless said.
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    release: Option<Glob>,
    /// Which branches; all unless said.
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    branch: Option<Glob>,
    /// Which metrics; all unless said. A decision metric before its window is
    /// whole is refused when named exactly, and left out when met by a glob.
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    metric: Option<Glob>,
    /// The first minute.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    from: Option<Minute>,
    /// The end: minutes before this one.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    to: Option<Minute>,
    /// Tell time by minutes since each release went public.
    #[arg(long)]
    age: bool,
    /// The width of a bucket: 1m, 5m, 1h, 1d, or all for one.
    #[arg(long, value_name = "WIDTH", default_value = "1h", value_parser = buckets::every)]
    every: Every,
    /// Which names tell rows apart.
    #[arg(
        long,
        value_enum,
        value_name = "KEYS",
        value_delimiter = ',',
        default_value = "release,branch,metric"
    )]
    by: Vec<Key>,
    /// Rates for each 1,000 units of this exposure metric: sums divided by
    /// sums.
    #[arg(long, value_name = "METRIC", value_parser = define::name)]
    per: Option<Name>,
    /// Look as of this minute: minutes before it, and decision metrics whose
    /// window was whole by then. Not later than now.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    at: Option<Minute>,
    /// Read decision metrics before their window is whole. The reason is kept
    /// in the store's audit log.
    #[arg(long = "override", value_name = "REASON")]
    overriding: Option<String>,
    /// table on a terminal, else csv, unless said otherwise.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    Release,
    Branch,
    Metric,
}

/// A pattern and how it was written.
#[derive(Clone)]
pub struct Glob {
    text: String,
    pub pattern: Pattern,
}

/// Reads a GLOB for clap.
pub fn glob(text: &str) -> Result<Glob, String> {
    let pattern = Pattern::new(text).map_err(|error| error.to_string())?;
    Ok(Glob {
        text: text.to_owned(),
        pattern,
    })
}

impl Query {
    pub fn run(self) -> Result<ExitCode> {
        let failed = |error| Failure::store(&self.store, &error);
        let now = clock::looking_back_from(self.at)?;
        let reader = open::reader(&self.store)?;
        if let Some(reason) = &self.overriding {
            self.record(&reader, reason)?;
        }
        let snapshot = reader.snapshot().map_err(failed)?;
        let table = self.answer(&snapshot, now).map_err(failed)?;
        for held in table.held() {
            note(format_args!("{} ({held})", left_out(held)));
        }
        for what in table.notes() {
            note(what);
        }
        let shape = print::Shape {
            by: self.groups(),
            every: self.every,
        };
        answer(|out| match Format::or_default(self.format) {
            Format::Table => shape.table(out, &table, line_width()),
            Format::Csv => print::csv(out, &table),
            Format::Json => print::json(out, &table),
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn groups(&self) -> GroupBy {
        GroupBy {
            release: self.by.contains(&Key::Release),
            branch: self.by.contains(&Key::Branch),
            metric: self.by.contains(&Key::Metric),
        }
    }

    fn question<'s>(&self, snapshot: &'s Snapshot) -> Question<'s> {
        let mut question = snapshot
            .query()
            .every(self.every)
            .by(self.groups())
            .overriding_held(self.overriding.is_some());
        if let Some(glob) = &self.release {
            question = question.releases(&glob.pattern);
        }
        if let Some(glob) = &self.branch {
            question = question.branches(&glob.pattern);
        }
        if let Some(glob) = &self.metric {
            question = question.metrics(&glob.pattern);
        }
        if let Some(from) = self.from {
            question = question.from(from);
        }
        if let Some(to) = self.to {
            question = question.to(to);
        }
        if self.age {
            question = question.by_age();
        }
        if let Some(exposure) = &self.per {
            question = question.per(exposure);
        }
        question
    }

    /// Answers as of `--at`. Without it nothing is cut off at the present:
    /// clocks of producers may run ahead. Only where a decision metric is open
    /// by now does the answer need a present, and is one as of it.
    fn answer(&self, snapshot: &Snapshot, now: Minute) -> hotstove::Result<Table> {
        if self.at.is_some() {
            return self.question(snapshot).as_of(now).run();
        }
        let opened = |held: &Held| held.opens_at.is_some_and(|opens| opens <= now);
        match self.question(snapshot).run() {
            Ok(table) if table.held().iter().any(opened) => {}
            Err(error) if error.kind() == ErrorKind::Held => {}
            answer => return answer,
        }
        self.question(snapshot).as_of(now.saturating_add(1)).run()
    }

    fn record(&self, reader: &Reader, reason: &str) -> Result<()> {
        let text = |glob: &Option<Glob>| glob.as_ref().map_or("*", |glob| &glob.text).to_owned();
        let record = Override {
            at: clock::now().get(),
            release: text(&self.release),
            metric: text(&self.metric),
            reason: reason.to_owned(),
        };
        reader
            .record_override(&record)
            .map_err(|error| Failure::store(&self.store, &error))
    }
}

fn left_out(held: &Held) -> String {
    format!("{:?} of {:?} is left out", held.metric, held.release)
}
