//! What a process of one store does; it prints a line for each figure.

use std::time::Instant;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::measure::{Memory, bytes_on_disk, bytes_written, median, percentile};
use crate::question::gets;
use crate::stores::{Contender, Durability, Peer, Place};
use crate::workload::{Delta, Reading};

pub fn run(arguments: &Arguments) -> Outcome {
    let contender = *arguments.contenders.first().ok_or("no such store here")?;
    let memory = Memory::watch();
    let child = Child {
        contender,
        place: Place {
            directory: arguments.directory.clone(),
            deltas: arguments.work.join("deltas"),
            cells: arguments.work.join("cells"),
            series: arguments.series(),
            duckdb: arguments.duckdb.clone(),
        },
        busy: arguments.work.join("busy"),
    };
    match arguments.child.as_deref() {
        Some("synced") => child.ingest(Durability::Synced)?,
        Some("unsynced") => child.ingest(Durability::Unsynced)?,
        Some("load") => child.load()?,
        Some("query") => child.query()?,
        Some("kill") => child.commit_and_wait()?,
        Some("recover") => child.recover()?,
        _ => return Err("what is a child to do?".into()),
    }
    let (resident, anonymous) = memory.peaks();
    tell("resident_mib", resident as f64 / 1_024.0);
    tell("anonymous_mib", anonymous as f64 / 1_024.0);
    Ok(())
}

fn tell(key: &str, value: impl std::fmt::Display) {
    println!("{key} {value}");
}

struct Child {
    contender: Contender,
    place: Place,
    busy: std::path::PathBuf,
}

impl Child {
    fn busy(&self) -> Outcome<Vec<Vec<Delta>>> {
        let mut reading = Reading::open(&self.busy)?;
        let (mut minute, mut minutes) = (Vec::new(), Vec::new());
        while reading.next(&mut minute)? {
            minute.retain(|delta| delta.series < self.place.series);
            minutes.push(std::mem::take(&mut minute));
        }
        Ok(minutes)
    }

    /// The busy minutes into an empty store, a transaction each.
    fn ingest(&self, durability: Durability) -> Outcome {
        let minutes = self.busy()?;
        let deltas: usize = minutes.iter().map(Vec::len).sum();
        let mut peer = self.contender.open(&self.place, durability)?;
        let before = bytes_written();
        let mut commits = Vec::with_capacity(minutes.len());
        for minute in &minutes {
            let start = Instant::now();
            peer.commit(minute)?;
            commits.push(start.elapsed().as_secs_f64());
        }
        let spent: f64 = commits.iter().sum();
        tell("deltas_a_second", deltas as f64 / spent);
        tell("commit_p50", percentile(&mut commits, 0.5));
        tell("commit_p99", percentile(&mut commits, 0.99));
        tell("answer_q3", peer.q3()?);
        peer.close()?;
        tell(
            "written_a_delta",
            (bytes_written() - before) as f64 / deltas as f64,
        );
        Ok(())
    }

    /// The whole of W1, with all that is done in the background.
    fn load(&self) -> Outcome {
        let mut peer = self.contender.open(&self.place, Durability::Bulk)?;
        let before = bytes_written();
        let start = Instant::now();
        let rows = peer.load(&self.place)?;
        peer.close()?;
        let spent = start.elapsed().as_secs_f64();
        tell("rows", rows);
        tell("seconds", spent);
        tell("rows_a_second", rows as f64 / spent);
        tell(
            "written_a_row",
            (bytes_written() - before) as f64 / rows as f64,
        );
        tell("bytes", bytes_on_disk(&self.place.directory));
        Ok(())
    }

    fn query(&self) -> Outcome {
        let gets = gets(self.place.series);
        let start = Instant::now();
        let mut peer = self.contender.open(&self.place, Durability::Bulk)?;
        peer.get(gets[0].0, gets[0].1)?;
        tell("open", start.elapsed().as_secs_f64());
        tell("answer_q1", peer.q1()?);
        tell("answer_q2", peer.q2()?);
        tell("answer_q3", peer.q3()?);
        tell("q1", median(|| peer.q1())?);
        tell("q2", median(|| peer.q2())?);
        tell("q3", median(|| peer.q3())?);
        if let Some(answer) = peer.q3_decoding() {
            tell("answer_q3_decoding", answer?);
            tell(
                "q3_decoding",
                median(|| peer.q3_decoding().unwrap_or_else(|| Err("gone".into())))?,
            );
        }
        let mut got = crate::question::Answer::default();
        let mut spent = Vec::with_capacity(gets.len());
        for (series, minute) in gets {
            let one = Instant::now();
            let value = peer.get(series, minute)?;
            spent.push(one.elapsed().as_secs_f64());
            if let Some(value) = value {
                got.add(series, minute, value);
            }
        }
        tell("answer_get", got);
        tell("get", percentile(&mut spent, 0.5));
        Ok(())
    }

    /// Commits the busy minutes to a loaded store, says so, and waits to be killed.
    fn commit_and_wait(&self) -> Outcome {
        let mut peer = self.contender.open(&self.place, Durability::Synced)?;
        for minute in self.busy()? {
            peer.commit(&minute)?;
        }
        println!("acknowledged");
        loop {
            std::thread::park();
        }
    }

    /// Opens what a killed process left, for writing.
    fn recover(&self) -> Outcome {
        let gets = gets(self.place.series);
        let start = Instant::now();
        let mut peer: Box<dyn Peer> = self.contender.open(&self.place, Durability::Synced)?;
        peer.get(gets[0].0, gets[0].1)?;
        tell("recovery", start.elapsed().as_secs_f64());
        tell("answer_q3", peer.q3()?);
        peer.close()
    }
}
