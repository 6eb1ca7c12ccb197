//! What is committed at once.

use crate::error::{Error, Result};
use crate::format::batch::{Delta, Stamp};
use crate::limits::{BATCH_DELTAS_MAX, MINUTE_END};
use crate::model::{Kind, Minute, Name};

/// A series of an open store, resolved once so that writing hashes no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    /// The store it belongs to: numbers of another one would mean nothing.
    pub(crate) store: u64,
}

impl Series {
    /// How deltas of this series merge.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// Deltas applied all or not at all.
///
/// A delta that can not be taken spoils the batch: [`crate::Store::commit`]
/// then refuses the whole of it with the first error.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) deltas: Vec<Delta>,
    pub(crate) stamp: Option<Stamp<Name>>,
    pub(crate) store: Option<u64>,
    pub(crate) refuse_dropped: bool,
    pub(crate) spoiled: Option<String>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a count to a counter.
    pub fn add(&mut self, series: Series, minute: Minute, count: u64) -> &mut Self {
        self.push(series, minute, count, matches(series.kind, Kind::Counter))
    }

    /// Adds to a sum, in units of its last decimal: 1.5 of a sum with two
    /// decimals is 150.
    pub fn add_units(&mut self, series: Series, minute: Minute, units: i64) -> &mut Self {
        let fits = matches(series.kind, Kind::Sum { decimals: 0 });
        self.push(series, minute, units as u64, fits)
    }

    /// Sets a gauge.
    pub fn set(&mut self, series: Series, minute: Minute, value: f64) -> &mut Self {
        if !value.is_finite() {
            return self.spoil(format!("{value} is no value of a gauge"));
        }
        self.push(
            series,
            minute,
            value.to_bits(),
            matches(series.kind, Kind::Gauge),
        )
    }

    /// Stamps the batch: it is applied once, however often a batch with this
    /// or a lower offset of this source is sent. Offsets rise strictly in
    /// commit order; gaps are fine.
    pub fn stamp(&mut self, source: &Name, offset: u64) -> &mut Self {
        self.stamp_checked(source, offset, 0)
    }

    /// As [`Batch::stamp`], and keeps `check` beside the offset: a checksum of
    /// the producer's making, to know its own input again.
    pub fn stamp_checked(&mut self, source: &Name, offset: u64, check: u64) -> &mut Self {
        self.of(source).offset = Some((offset, check));
        self
    }

    /// Declares that the source's minutes before `minute` are whole. It never
    /// moves back.
    pub fn watermark(&mut self, source: &Name, minute: Minute) -> &mut Self {
        self.of(source).watermark = Some(minute.get());
        self
    }

    /// Refuses the batch where any delta lies before the retention floor,
    /// instead of dropping and counting those.
    pub fn refuse_dropped(&mut self) -> &mut Self {
        self.refuse_dropped = true;
        self
    }

    /// Deltas in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deltas.len()
    }

    /// Whether it has no deltas; a stamp may still be worth committing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    /// Forgets everything but the memory, for the next batch.
    pub fn clear(&mut self) {
        self.deltas.clear();
        self.stamp = None;
        self.store = None;
        self.refuse_dropped = false;
        self.spoiled = None;
    }

    fn of(&mut self, source: &Name) -> &mut Stamp<Name> {
        if self
            .stamp
            .as_ref()
            .is_some_and(|stamp| stamp.source != *source)
        {
            self.spoil("a batch has one source".to_owned());
        }
        self.stamp.get_or_insert_with(|| Stamp {
            source: source.clone(),
            offset: None,
            watermark: None,
        })
    }

    fn push(&mut self, series: Series, minute: Minute, bits: u64, fits: bool) -> &mut Self {
        if !fits {
            let kind = series.kind.as_str();
            return self.spoil(format!("a {kind} does not take this sort of delta"));
        }
        if minute.get() >= MINUTE_END {
            return self.spoil(format!(
                "{minute} lies beyond the last minute that can be stored"
            ));
        }
        if *self.store.get_or_insert(series.store) != series.store {
            return self.spoil("series of two stores".to_owned());
        }
        if self.deltas.len() == BATCH_DELTAS_MAX {
            return self.spoil(format!("a batch holds at most {BATCH_DELTAS_MAX} deltas"));
        }
        self.deltas.push(Delta {
            series: series.id,
            minute: minute.get(),
            bits,
        });
        self
    }

    fn spoil(&mut self, why: String) -> &mut Self {
        self.spoiled.get_or_insert(why);
        self
    }

    /// # Errors
    /// The first delta that could not be taken, or series of another store.
    pub(crate) fn check(&self, store: u64) -> Result<()> {
        if let Some(why) = &self.spoiled {
            return Err(Error::invalid(format!("the batch is refused: {why}")));
        }
        if self.store.is_some_and(|own| own != store) {
            return Err(
                Error::invalid("the batch is refused: series of another store")
                    .help("resolve series with the store they are written to"),
            );
        }
        Ok(())
    }
}

/// Whether two kinds are the same but for their decimals.
fn matches(kind: Kind, expected: Kind) -> bool {
    std::mem::discriminant(&kind) == std::mem::discriminant(&expected)
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The commit's sequence; of a batch already applied, the last one.
    pub sequence: u64,
    /// Whether the batch had been applied before and so was not again.
    pub already_applied: bool,
    /// Deltas dropped because they lie before the retention floor.
    pub dropped: usize,
}
