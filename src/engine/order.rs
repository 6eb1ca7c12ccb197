//! Numbers in an order that their owner knows: a sorted list in pieces, so that one
//! more number moves a few others and not all. Four to six bytes a number.

use std::cmp::Ordering;

use crate::engine::tight::bytes_of;

/// Numbers in one piece at most; few in tests, so that there are many pieces.
const PIECE: usize = if cfg!(test) { 64 } else { 512 };

/// Distinct numbers in order.
#[derive(Debug, Default)]
pub struct Order {
    /// None is empty.
    pieces: Vec<Vec<u32>>,
}

impl Order {
    /// Adds a number; `place` tells where any other stands by it.
    pub fn insert(&mut self, number: u32, place: impl Fn(u32) -> Ordering) {
        let is_before = |other: u32| place(other).is_lt();
        let ends_before = |piece: &Vec<u32>| piece.last().is_some_and(|last| is_before(*last));
        let mut at = self.pieces.partition_point(ends_before);
        if at == self.pieces.len() {
            // Behind all others, as where names come in their order.
            at = at.saturating_sub(1);
            if self.pieces.get(at).is_none_or(|piece| piece.len() >= PIECE) {
                self.pieces.push(Vec::new());
                at = self.pieces.len() - 1;
            }
        }
        let piece = &mut self.pieces[at];
        let inside = piece.partition_point(|other| is_before(*other));
        if piece.len() < PIECE {
            piece.insert(inside, number);
            return;
        }
        let mut upper = piece.split_off(PIECE / 2);
        match inside.checked_sub(PIECE / 2) {
            Some(inside) => upper.insert(inside, number),
            None => piece.insert(inside, number),
        }
        self.pieces.insert(at + 1, upper);
    }

    /// All numbers from the first on for which `is_before` does not hold, where it
    /// holds for a front part of them.
    pub fn from(&self, is_before: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let ends_before = |piece: &Vec<u32>| piece.last().is_some_and(|last| is_before(*last));
        let at = self.pieces.partition_point(ends_before);
        let (first, rest) = match self.pieces[at..].split_first() {
            Some((first, rest)) => (&first[..], rest),
            None => (&[][..], &[][..]),
        };
        let inside = first.partition_point(|other| is_before(*other));
        first[inside..].iter().chain(rest.iter().flatten()).copied()
    }

    /// Bytes held, at most.
    pub fn bytes(&self) -> usize {
        self.pieces.len() * PIECE * size_of::<u32>() + bytes_of(&self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_stand_in_order(
            numbers in prop::collection::hash_set(0_u32..500, 0..200),
            from in 0_u32..500,
        ) {
            let mut order = Order::default();
            for number in &numbers {
                order.insert(*number, |other| other.cmp(number));
            }
            let mut sorted: Vec<u32> = numbers.into_iter().collect();
            sorted.sort_unstable();
            prop_assert_eq!(order.from(|_| false).collect::<Vec<_>>(), &sorted[..]);
            let behind = sorted.partition_point(|number| *number < from);
            prop_assert_eq!(order.from(|number| number < from).collect::<Vec<_>>(), &sorted[behind..]);
        }
    }

    #[test]
    fn numbers_that_come_in_order_fill_their_pieces() {
        let mut order = Order::default();
        for number in 0..1_000 {
            order.insert(number, |other| other.cmp(&number));
        }
        assert!(
            order
                .pieces
                .iter()
                .rev()
                .skip(1)
                .all(|piece| piece.len() == PIECE)
        );
    }
}
