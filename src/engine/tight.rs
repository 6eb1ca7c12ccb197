//! Lists that grow by an eighth instead of twofold: for what lives as long as the
//! store and is charged to its budget. Large ones are moved by the system without
//! being copied.

/// The part of its length by which a list grows.
const TIGHT: usize = 8;
const ITEMS_MIN: usize = 64;

/// Appends an item.
pub fn push_tight<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / TIGHT).max(ITEMS_MIN));
    }
    list.push(item);
}

/// Bytes held by a list.
pub fn bytes_of<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_hardly_longer_than_what_is_in_them() {
        let mut list = Vec::new();
        for length in 1..100_000 {
            push_tight(&mut list, 0_u32);
            assert_eq!(list.len(), length);
            assert!(list.capacity() <= length + length / TIGHT + ITEMS_MIN);
        }
    }
}
