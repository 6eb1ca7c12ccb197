//! A service that commits every minute and asks after each whether a release is
//! well: it keeps a monitor, and pays for the new minute alone.
//!
//! ```text
//! cargo run --release --example health_service
//! ```
//!
//! Two branches of a release are played: from its sixth hour on the new one
//! crashes half as often again as control. In hour nine crashes of an hour ago
//! arrive late: the monitor has seen that hour, and is made anew.

use hotstove::health::{Cell, Monitor};
use hotstove::{
    Batch, Branch, Kind, Metric, Minute, Name, Options, Release, Result, Role, Series, Snapshot,
    Store, Worse,
};

#[path = "../tests/support/random.rs"]
mod random;

const RELEASE: &str = "app/2.0";
const BRANCHES: [&str; 2] = ["control", "new"];
const START: u32 = 29_460_960;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path(), Options::new())?;
    define(&store)?;
    let crashes = series(&store, "crashes")?;
    let hours = series(&store, "hours")?;

    let mut random = random::Random::new(7);
    let mut monitor = health(&store.snapshot(), START)?;
    let mut last = None;
    for minute in START..START + 12 * 60 {
        let at = Minute::new(minute)?;
        let hour = (minute - START) / 60;
        let rates = [20.0, if hour < 6 { 20.0 } else { 30.0 }];
        let counts = rates.map(|rate| random.poisson(rate) as u64);
        let used = [(); 2].map(|()| random.poisson(1_000.0) as i64);

        // What is committed is what the monitor is told: one minute, whole.
        let mut batch = Batch::new();
        let mut cells = Vec::new();
        for (branch, name) in BRANCHES.into_iter().enumerate() {
            batch.add(crashes[branch], at, counts[branch]);
            batch.add_units(hours[branch], at, used[branch]);
            let cell = |metric, units| Cell {
                branch: name,
                metric,
                units,
            };
            cells.push(cell("crashes", counts[branch].into()));
            cells.push(cell("hours", used[branch].into()));
        }
        store.commit(batch)?;
        monitor.add(at, &cells)?;

        if minute == START + 9 * 60 {
            let mut late = Batch::new();
            late.add(crashes[1], Minute::new(minute - 60)?, 40);
            store.commit(late)?;
            monitor = health(&store.snapshot(), minute + 1)?;
            println!("{at}  40 crashes of an hour ago came late");
        }
        let report = monitor.report();
        if last != Some(report.verdict) {
            println!("{at}  {}", report.verdict);
            last = Some(report.verdict);
        }
    }

    // Whoever asks the store from scratch is told the same.
    let asked = store
        .snapshot()
        .health(RELEASE, Minute::new(START + 12 * 60)?)
        .run()?;
    assert_eq!(asked, monitor.report());
    store.close()?;
    Ok(())
}

fn health(snapshot: &Snapshot, before: u32) -> Result<Monitor> {
    snapshot.health(RELEASE, Minute::new(before)?).monitor()
}

fn define(store: &Store) -> Result<()> {
    store.define(|catalogue| {
        let mut hours = Metric::new(Name::new("hours")?, Kind::Sum { decimals: 1 });
        hours.role = Some(Role::Exposure);
        let mut crashes = Metric::new(Name::new("crashes")?, Kind::Counter);
        crashes.worse = Some(Worse::Higher);
        crashes.per = Some(hours.name.clone());
        catalogue.define_metric(&hours)?;
        catalogue.define_metric(&crashes)
    })?;
    let mut release = Release::new(Name::new(RELEASE)?);
    release.control = Some(Name::new("control")?);
    for branch in BRANCHES {
        release.branches.push(Branch::new(Name::new(branch)?, None));
    }
    store.define_release(&release)?;
    Ok(())
}

fn series(store: &Store, metric: &str) -> Result<[Series; 2]> {
    let [control, new] = BRANCHES.map(|branch| store.series(RELEASE, branch, metric));
    Ok([control?, new?])
}
