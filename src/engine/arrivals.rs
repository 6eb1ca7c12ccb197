//! Deltas of a group of series as they arrived, not merged into cells yet.
//!
//! They lie in sheets that are full, and an open one. So a writer behind a
//! snapshot copies one sheet at most, and merging them later, thousands at once,
//! touches the memory of each series once for many of its deltas.

use std::ops::Range;
use std::sync::Arc;

use crate::format::batch::Delta;
use crate::limits::MINUTE_END;
use crate::model::Kind;

/// Deltas in one sheet.
const SHEET: usize = 256;
/// Bytes charged for a sheet with its allocation.
pub const SHEET_BYTES: usize = size_of::<Sheet>() + 32;

/// What else a minute says: the value is a gauge's.
const GAUGE: u32 = 1 << 31;
/// What else a minute says: the value is a count beyond the signed range.
const WIDE: u32 = 1 << 30;

const _: () = assert!(MINUTE_END <= WIDE);

/// One delta, packed.
#[derive(Clone, Copy, Default)]
pub struct Entry {
    /// Which series of its group.
    pub lane: u8,
    minute: u32,
    value: i64,
}

/// Deltas of up to 256 series in the order they came. Cloning is a snapshot.
#[derive(Clone)]
pub struct Arrivals {
    /// Those behind the last delta are empty, and kept for the next ones.
    sheets: Vec<Arc<Sheet>>,
    len: usize,
    /// No minute lies outside.
    span: (u32, u32),
}

#[derive(Clone)]
struct Sheet {
    lanes: [u8; SHEET],
    minutes: [u32; SHEET],
    values: [i64; SHEET],
}

impl Entry {
    /// A delta of a series of some kind.
    pub fn of(delta: &Delta, kind: Kind) -> Self {
        let meant = match kind {
            Kind::Gauge => GAUGE,
            Kind::Counter if delta.bits > i64::MAX as u64 => WIDE,
            _ => 0,
        };
        Entry {
            lane: delta.series as u8,
            minute: delta.minute | meant,
            value: delta.bits as i64,
        }
    }

    /// Minutes since the epoch.
    pub fn minute(&self) -> u32 {
        self.minute & !(GAUGE | WIDE)
    }

    /// Whether the value takes the place of the one in its cell.
    pub fn is_gauge(&self) -> bool {
        self.minute & GAUGE != 0
    }

    /// The value, where 64 bits with a sign hold it.
    pub fn narrow(&self) -> Option<i64> {
        (self.minute & WIDE == 0).then_some(self.value)
    }

    /// The value.
    pub fn value(&self) -> i128 {
        match self.narrow() {
            Some(value) => value.into(),
            None => (self.value as u64).into(),
        }
    }
}

impl Sheet {
    fn new() -> Self {
        Sheet {
            lanes: [0; SHEET],
            minutes: [0; SHEET],
            values: [0; SHEET],
        }
    }

    fn get(&self, index: usize) -> Entry {
        Entry {
            lane: self.lanes[index],
            minute: self.minutes[index],
            value: self.values[index],
        }
    }

    /// Visits the places of a series among the first `filled`. A reader looks
    /// through all sheets of a group for the few deltas of its series: most runs of
    /// lanes are passed over without a branch for each.
    fn places(&self, lane: u8, filled: usize, mut each: impl FnMut(usize)) {
        const RUN: usize = 64;
        for (index, run) in self.lanes[..filled].chunks(RUN).enumerate() {
            let any = run.iter().fold(0, |any, own| any | u8::from(*own == lane));
            if any != 0 {
                let places = run.iter().enumerate().filter(|(_, own)| **own == lane);
                places.for_each(|(place, _)| each(index * RUN + place));
            }
        }
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Arrivals {
            sheets: Vec::new(),
            len: 0,
            span: (u32::MAX, 0),
        }
    }
}

impl Arrivals {
    /// Takes items, each an entry.
    pub fn push<T>(&mut self, mut items: &[T], entry: impl Fn(&T) -> Entry) {
        while !items.is_empty() {
            let taken = self.push_some(items, &entry);
            items = &items[taken..];
        }
    }

    /// Takes as many as the sheet they go to has room for; says how many those were.
    fn push_some<T>(&mut self, items: &[T], entry: impl Fn(&T) -> Entry) -> usize {
        let (number, filled) = (self.len / SHEET, self.len % SHEET);
        if number == self.sheets.len() {
            self.sheets.push(Arc::new(Sheet::new()));
        }
        let sheet = &mut self.sheets[number];
        if filled == 0 && Arc::get_mut(sheet).is_none() {
            // What a snapshot sees in it is not worth a copy.
            *sheet = Arc::new(Sheet::new());
        }
        let sheet = Arc::make_mut(sheet);
        let lanes = sheet.lanes[filled..].iter_mut();
        let places = lanes
            .zip(&mut sheet.minutes[filled..])
            .zip(&mut sheet.values[filled..]);
        let (mut first, mut last) = self.span;
        for (item, ((lane, minute), value)) in items.iter().zip(places) {
            let entry = entry(item);
            (*lane, *minute, *value) = (entry.lane, entry.minute, entry.value);
            first = first.min(entry.minute());
            last = last.max(entry.minute());
        }
        self.span = (first, last);
        let taken = items.len().min(SHEET - filled);
        self.len += taken;
        taken
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes held, as charged to the store's budget.
    pub fn bytes(&self) -> usize {
        self.sheets.len() * SHEET_BYTES
    }

    /// All of them in the order they came, a sheet at a time.
    pub fn sheets(&self) -> impl Iterator<Item = impl Iterator<Item = Entry>> {
        let filled = (0..).map(|number| self.filled(number));
        self.sheets.iter().zip(filled).map(|(sheet, filled)| {
            let lanes = sheet.lanes[..filled].iter();
            let places = lanes.zip(&sheet.minutes).zip(&sheet.values);
            places.map(|((lane, minute), value)| Entry {
                lane: *lane,
                minute: *minute,
                value: *value,
            })
        })
    }

    /// Adds for each series how many there are of it.
    pub fn count(&self, counts: &mut [usize; 256]) {
        for (number, sheet) in self.sheets.iter().enumerate() {
            for lane in &sheet.lanes[..self.filled(number)] {
                counts[usize::from(*lane)] += 1;
            }
        }
    }

    /// Forgets all of them, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.len = 0;
        self.span = (u32::MAX, 0);
    }

    /// Appends what arrived of one series in `minutes`.
    pub fn collect(&self, lane: u8, minutes: &Range<u32>, found: &mut Vec<Entry>) {
        if self.span.1 < minutes.start || self.span.0 >= minutes.end {
            return;
        }
        for (number, sheet) in self.sheets.iter().enumerate() {
            sheet.places(lane, self.filled(number), |place| {
                let entry = sheet.get(place);
                if minutes.contains(&entry.minute()) {
                    found.push(entry);
                }
            });
        }
    }

    /// The first and last minute of one series.
    pub fn ends(&self, lane: u8) -> Option<(u32, u32)> {
        let mut ends = None;
        for (number, sheet) in self.sheets.iter().enumerate() {
            sheet.places(lane, self.filled(number), |place| {
                let minute = sheet.get(place).minute();
                let (first, last) = ends.unwrap_or((minute, minute));
                ends = Some((minute.min(first), minute.max(last)));
            });
        }
        ends
    }

    /// Deltas in the sheet of a number.
    fn filled(&self, number: usize) -> usize {
        self.len.saturating_sub(number * SHEET).min(SHEET)
    }
}
