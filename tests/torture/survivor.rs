//! The oracle: what must hold of a store whose writer is gone.

use std::path::Path;

use hotstove::{ErrorKind, Options, Reader, Store};

use super::client::Client;
use super::plan::{self, FLOORS, WRITERS, batch, cells, counts};

/// How the writer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Its process alone.
    Kill,
    /// The machine's power; syncs count.
    Cut,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As a reader; the next writer looks further.
    Read,
    /// Recovers, sends everything again twice, closes, and reads once more.
    Recover,
}

/// Looks at what is left behind, and lets the client know.
pub fn check(path: &Path, client: &mut Client, death: Death, depth: Depth) -> Result<(), String> {
    if let Some(wrong) = &client.wrong {
        return Err(wrong.clone());
    }
    check_backups(path, client)?;
    let read = match read(path, client, death) {
        Err(Refused::NoStore) if !client.opened => None,
        Err(refused) => return Err(format!("a reader: {refused:?}")),
        Ok(read) => Some(read),
    };
    if depth == Depth::Read {
        return Ok(());
    }
    recover(path, client, read)
}

#[derive(Debug)]
enum Refused {
    NoStore,
    #[expect(dead_code, reason = "printed where it is unexpected")]
    Wrong(String),
}

/// Reads and verifies; gives the floor.
fn read(path: &Path, client: &mut Client, death: Death) -> Result<u32, Refused> {
    let wrong = |error: hotstove::Error| match error.kind() {
        ErrorKind::NotAStore => Refused::NoStore,
        _ => Refused::Wrong(error.to_string()),
    };
    let reader = Reader::open(path).map_err(wrong)?;
    let found = reader.verify().map_err(wrong)?;
    if !found.is_sound() || !reader.warnings().is_empty() {
        return Err(Refused::Wrong(format!(
            "{:?} {:?}",
            found.damage,
            reader.warnings()
        )));
    }
    let snapshot = reader.snapshot().map_err(wrong)?;
    let counts = counts(&snapshot);
    let least = match death {
        Death::Kill => client.acknowledged,
        Death::Cut => client.synced,
    };
    for writer in 0..WRITERS {
        // One batch may be on its way.
        let allowed = least[writer]..=client.acknowledged[writer] + 1;
        if !allowed.contains(&counts[writer]) {
            let wrong = format!(
                "{} batches of writer {writer}, not {allowed:?}",
                counts[writer]
            );
            return Err(Refused::Wrong(wrong));
        }
    }
    let floor = reader.inspect().map_err(wrong)?.floor.get();
    let floors = client.floors_granted..=client.floors_asked;
    if !floors.clone().any(|number| floor_of(number) == floor) {
        return Err(Refused::Wrong(format!(
            "floor {floor}, not of the numbers {floors:?}"
        )));
    }
    client.model.advance(counts);
    let seen = cells(&snapshot).map_err(wrong)?;
    if seen != client.model.from(floor) {
        let wanted = client.model.from(floor);
        return Err(Refused::Wrong(format!(
            "{counts:?}: {seen:?}\nand not {wanted:?}"
        )));
    }
    client.settle(counts, floor);
    Ok(floor)
}

pub fn floor_of(number: usize) -> u32 {
    number.checked_sub(1).map_or(0, |last| FLOORS[last])
}

/// Opens for writing, sends all batches again and the next ones, each twice.
fn recover(path: &Path, client: &mut Client, read: Option<u32>) -> Result<(), String> {
    let say = |doing: &'static str| move |error: hotstove::Error| format!("{doing}: {error}");
    let store = Store::open(path, Options::new().background(false)).map_err(say("opening"))?;
    let recovered = counts(&store.snapshot());
    if recovered != client.model.counts {
        return Err(format!(
            "recovered {recovered:?}, read {:?}",
            client.model.counts
        ));
    }
    let floor = store.inspect().map_err(say("inspecting"))?.floor.get();
    if read.is_some_and(|read| read != floor) {
        return Err(format!("floor {floor}, read {read:?}"));
    }
    if cells(&store.snapshot()).map_err(say("reading"))? != client.model.from(floor) {
        return Err("a writer recovers other cells than a reader read".to_owned());
    }
    plan::define(&store).map_err(say("defining"))?;
    let all = recovered.map(|count| if count == 0 { 0 } else { count + 1 });
    for round in 0..2 {
        for writer in 0..WRITERS {
            for number in 1..=all[writer] {
                let batch = batch(&store, writer, number).map_err(say("making a batch"))?;
                let receipt = store.commit(batch).map_err(say("sending again"))?;
                if receipt.already_applied != (number <= recovered[writer] || round > 0) {
                    return Err(format!("batch {number} of {recovered:?}: {receipt:?}"));
                }
            }
        }
    }
    client.model.advance(all);
    client.settle(all, floor);
    let wanted = client.model.from(floor);
    if cells(&store.snapshot()).map_err(say("reading"))? != wanted {
        return Err("sums differ after all was sent again".to_owned());
    }
    store.close().map_err(say("closing"))?;
    let reader = Reader::open(path).map_err(say("a reader after the close"))?;
    let found = reader.verify().map_err(say("verifying after the close"))?;
    let seen = cells(&reader.snapshot().map_err(say("reading after the close"))?);
    if seen.map_err(say("reading after the close"))? != wanted || !found.is_sound() {
        return Err(format!(
            "other sums after a close, or damage: {:?}",
            found.damage
        ));
    }
    Ok(())
}

/// A backup that was made is a store of exactly its batches; one that was not
/// is none, or is that as well.
fn check_backups(path: &Path, client: &Client) -> Result<(), String> {
    for (number, count, made) in &client.backups {
        let path = super::child::backup_path(path, *number);
        let reader = match Reader::open(&path) {
            Err(error) if !made && error.kind() == ErrorKind::NotAStore => continue,
            opened => opened.map_err(|error| format!("backup {number}: {error}"))?,
        };
        let found = reader
            .verify()
            .map_err(|error| format!("backup {number}: {error}"))?;
        let snapshot = reader
            .snapshot()
            .map_err(|error| format!("backup {number}: {error}"))?;
        let mut model = plan::Model::default();
        let mut wanted = [0; WRITERS];
        wanted[0] = *count;
        model.advance(wanted);
        let seen = cells(&snapshot).map_err(|error| format!("backup {number}: {error}"))?;
        if !found.is_sound() || counts(&snapshot) != wanted || seen != model.from(0) {
            return Err(format!(
                "backup {number} is not that of {count} batches: {seen:?}"
            ));
        }
    }
    Ok(())
}
