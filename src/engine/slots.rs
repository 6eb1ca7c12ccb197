//! Numbers found by a hash of what they stand for: a set that keeps nothing but
//! the numbers, five to seven bytes each. What they stand for is the caller's.

/// No number.
const EMPTY: u32 = u32::MAX;
/// Slots of the smallest set.
const SLOTS_MIN: usize = 8;

/// Numbers below `u32::MAX`, each once. Open addressing, one probe after the other.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<u32>,
    used: usize,
}

impl Slots {
    /// The number of that hash for which `same` holds.
    pub fn find(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = place(hash, self.slots.len());
        // At least one slot is empty, unless there is none at all.
        loop {
            match *self.slots.get(at)? {
                EMPTY => return None,
                number if same(number) => return Some(number),
                _ => at = after(at, self.slots.len()),
            }
        }
    }

    /// Adds a number that is not in it; `hash_of` tells the hash of any other.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        // Four fifths full at most: runs of neighbours stay short.
        if (self.used + 1) * 5 > self.slots.len() * 4 {
            // By steps of a third: what stands empty is memory of the budget.
            let more = (self.slots.len() / 3).max(SLOTS_MIN);
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![EMPTY; old.len() + more];
            for number in old.into_iter().filter(|number| *number != EMPTY) {
                self.put(hash_of(number), number);
            }
        }
        self.put(hash, number);
        self.used += 1;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u32>()
    }

    fn put(&mut self, hash: u64, number: u32) {
        let count = self.slots.len();
        let mut at = place(hash, count);
        while self.slots[at] != EMPTY {
            at = after(at, count);
        }
        self.slots[at] = number;
    }
}

/// The first slot of a hash among so many, all equally likely.
fn place(hash: u64, count: usize) -> usize {
    ((u128::from(hash) * count as u128) >> 64) as usize
}

fn after(at: usize, count: usize) -> usize {
    if at + 1 < count { at + 1 } else { 0 }
}
