//! A window of the memtable: 64 minutes of one series, as a few cells with their
//! places or as an array.

use std::ops::Deref;
use std::sync::Arc;

use crate::engine::arrivals::Entry;

/// Cells a window holds before it becomes an array.
const FEW: usize = 6;
/// Bytes charged for an array of 64 cells with its allocation.
const DENSE_BYTES: usize = size_of::<Dense>() + 32;

/// 64 minutes of one series. `D` holds them once they are more than a few.
#[derive(Clone)]
pub struct Window<D> {
    /// Minutes since the epoch, by 64.
    pub number: u32,
    cells: Cells<D>,
}

#[derive(Clone)]
enum Cells<D> {
    Few {
        len: u8,
        at: [u8; FEW],
        values: [i64; FEW],
    },
    Dense(D),
}

#[derive(Clone)]
pub struct Dense {
    present: u64,
    values: [i64; 64],
}

/// How an array of cells is held: by its window alone, or by many snapshots.
pub trait Holder: From<Dense> + Deref<Target = Dense> {
    /// The array, ours alone.
    fn own(&mut self) -> &mut Dense;
}

impl Holder for Box<Dense> {
    fn own(&mut self) -> &mut Dense {
        self
    }
}

impl Holder for Arc<Dense> {
    fn own(&mut self) -> &mut Dense {
        Arc::make_mut(self)
    }
}

/// How a value joins the one in its cell.
pub enum Joined {
    /// It did.
    Done,
    /// The sum left 64 bits: the old value must be spilled.
    Spill(i64),
}

fn join(slot: &mut i64, entry: &Entry) -> Joined {
    let value = entry.narrow().unwrap_or(0);
    if entry.is_gauge() {
        *slot = value;
        return Joined::Done;
    }
    match slot.checked_add(value) {
        Some(sum) => {
            *slot = sum;
            Joined::Done
        }
        None => Joined::Spill(std::mem::replace(slot, value)),
    }
}

impl Dense {
    #[inline]
    fn join(&mut self, entry: &Entry) -> Joined {
        let at = entry.minute() % 64;
        let slot = &mut self.values[at as usize];
        if self.present >> at & 1 == 0 {
            self.present |= 1 << at;
            *slot = entry.narrow().unwrap_or(0);
            return Joined::Done;
        }
        join(slot, entry)
    }
}

impl<D: Holder> Window<D> {
    /// A window without a cell.
    pub fn new(number: u32) -> Self {
        Window {
            number,
            cells: Cells::Few {
                len: 0,
                at: [0; FEW],
                values: [0; FEW],
            },
        }
    }

    /// Joins deltas of its minutes, in order, to their cells, of which `spill` is told
    /// what they do not hold; says by how many bytes the window grew.
    pub fn join(&mut self, run: &[Entry], mut spill: impl FnMut(&Entry, Joined)) -> usize {
        let mut grown = 0;
        let mut rest = run.iter();
        while let Cells::Few { .. } = self.cells {
            let Some(entry) = rest.next() else {
                return grown;
            };
            let (joined, more) = self.join_few(entry);
            grown += more;
            spill(entry, joined);
        }
        if let Cells::Dense(dense) = &mut self.cells {
            let dense = dense.own();
            rest.for_each(|entry| spill(entry, dense.join(entry)));
        }
        grown
    }

    /// Joins a delta while the cells are few.
    fn join_few(&mut self, entry: &Entry) -> (Joined, usize) {
        let Cells::Few {
            len,
            at: places,
            values,
        } = &mut self.cells
        else {
            return (Joined::Done, 0);
        };
        let (at, value) = ((entry.minute() % 64) as u8, entry.narrow().unwrap_or(0));
        let used = usize::from(*len);
        if let Some(index) = places[..used].iter().position(|place| *place == at) {
            return (join(&mut values[index], entry), 0);
        }
        if used < FEW {
            places[used] = at;
            values[used] = value;
            *len += 1;
            return (Joined::Done, 0);
        }
        let mut dense = Dense {
            present: 1 << at,
            values: [0; 64],
        };
        dense.values[usize::from(at)] = value;
        for (place, value) in places.iter().zip(values.iter()) {
            dense.present |= 1 << place;
            dense.values[usize::from(*place)] = *value;
        }
        self.cells = Cells::Dense(D::from(dense));
        (Joined::Done, DENSE_BYTES)
    }

    /// Loads of an array what joining values to the cells of these minutes touches
    /// of it, some of it at least: to have it near. What it says means nothing.
    pub fn glance(&self, first: u32, last: u32) -> u64 {
        let Cells::Dense(dense) = &self.cells else {
            return 0;
        };
        let value = |minute: u32| dense.values[minute as usize % 64] as u64;
        dense.present ^ value(first) ^ value(first.midpoint(last)) ^ value(last)
    }

    /// Visits cells by ascending minute.
    pub fn visit(&self, each: &mut impl FnMut(u32, i64)) {
        let base = self.number * 64;
        match &self.cells {
            Cells::Few { len, at, values } => {
                let mut order: [u8; FEW] = std::array::from_fn(|index| index as u8);
                let order = &mut order[..usize::from(*len)];
                order.sort_unstable_by_key(|index| at[usize::from(*index)]);
                for index in order {
                    let index = usize::from(*index);
                    each(base + u32::from(at[index]), values[index]);
                }
            }
            Cells::Dense(dense) => {
                let mut present = dense.present;
                while present != 0 {
                    let at = present.trailing_zeros();
                    present &= present - 1;
                    each(base + at, dense.values[at as usize]);
                }
            }
        }
    }
}

impl Window<Box<Dense>> {
    /// The window in a form that snapshots share.
    pub fn shared(self) -> Window<Arc<Dense>> {
        let cells = match self.cells {
            Cells::Few { len, at, values } => Cells::Few { len, at, values },
            Cells::Dense(dense) => Cells::Dense(Arc::from(dense)),
        };
        Window {
            number: self.number,
            cells,
        }
    }
}
